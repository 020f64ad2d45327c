"""How running text says what the answer is: after a mark, or in its last sentence."""

from functools import lru_cache

import regex

from formatlab.world.formats.box import answer_key, boxed, has_box
from formatlab.world.formats.format import Missing, Reading
from formatlab.world.formats.limits import NUMBER, QUANTITY, limit

_OTHER_LANGUAGES = (
    *("respuesta", "risposta", "réponse", "resposta", "antwort", "antwoord", "svar", "svaret"),
    *("ответ", "відповідь", "odpowiedź", "cevap", "đáp án", "答案", "答え", "答", "정답"),
    *("الجواب", "الإجابة", "תשובה", "उत्तर"),
)
"""What an answer is called in other languages, in lower case."""

_HEADING, _SENTENCE, _LABEL = range(3)
_MARKS = tuple(
    (
        kind,
        words,
        regex.compile(
            rf"(?:{mark})(?=(?P<rest>[^\n]{{0,300}}))", regex.IGNORECASE | regex.MULTILINE
        ),
    )
    for kind, words, mark in (
        (_HEADING, ("####",), r"(?:^|(?<=[\s.]))####"),
        (
            _SENTENCE,
            ("answer",),
            r"answer(?:\s*+\([^()\n]{0,40}+\))?\s*+(?:is|was|should\s+be|would\s+be|comes?\s+to)\b",
        ),
        (
            _LABEL,
            ("answer",),
            r"answer[ \t*_]*+(?:[:=]|-\s)|^#+[ \t]*+(?:the\s)?(?:final\s)?answer\b",
        ),
        (_LABEL, ("a:", "a.", "ans", "a "), r"^[ \t*]*+A(?:ns)?[ \t]*+[:.]"),
        (
            _LABEL,
            _OTHER_LANGUAGES,
            rf"(?:{'|'.join(_OTHER_LANGUAGES)})[\s*】\]]*+"
            r"(?:[:\N{FULLWIDTH COLON}=]|是|为|は|은|는|هو|(?:è|é|es|est|ist|is)\b)",
        ),
    )
)
"""Marks behind which an answer stands: kind, words of which a text with the mark has one, pattern.
The strongest come first, and only the strongest that a text has counts."""

_MARKUP = regex.compile(
    r"[\s:\N{FULLWIDTH COLON}*_`~≈=\"]*+(?:\\[(\[]|\((?=[-$\d])|\$(?=\\|\S[^$\n]{0,80}\$))?\s*+\\?"
)
_OPTION = regex.compile(r"\(?[A-J][).:]\s++(?=\S)")
_AT_ONCE = regex.compile(QUANTITY)
_CHOICE = regex.compile(
    r"[*_\"]*+(?:\((?P<bracketed>[A-J])\)|(?P<letter>[A-J])(?=[\s*_\".,;:)]|$)"
    r"|(?P<word>(?i:yes|no|true|false))(?=[\s*_\".,;:)]|$))"
)
"""A letter of a multiple choice, or a verdict."""

_OTHERS = regex.compile(
    r"[*_`)\]}\s]*+(?:\\?[%$€£])?[*_`(){}\[\]\s]*+"
    r"(?:(?:,|;|/|\||&|…|\.{2,}|\bor\b|\band\b|\bto\b|–|-|~)[\s*_`(\[{]*+"
    r"(?:(?:or|and|maybe|perhaps|possibly|even)\b\s*+)*+[-\u2212]?\\?[$€£]?[-\u2212]?)?+\d"
)
"""A further number directly after the first: several answers, or none."""

_ALTERNATIVES = regex.compile(
    r"(?:\s+\p{L}[\p{L}'-]*){0,3}\s*(?:,|;|…|\.{2,}|\bor\b|\band\b|\balternatively\b|\belse\b)"
    r"(?:\s*(?:,|or|and|else|maybe|perhaps|alternatively)\b)*\s*[-\u2212]?\\?[$€£]?\d"
)
"""A further number behind a unit: `17 apples, 18 pears`."""

_AFTERTHOUGHT = regex.compile(
    r"\s*(?:or|alternatively|else|maybe|perhaps|(?:it|this|that)\s(?:could|may|might)\b)"
    r"[^.\n]{0,60}\d",
    regex.IGNORECASE,
)
"""A sentence that offers another answer after the first."""

_DENIED = regex.compile(
    r"\b(?:wrong|incorrect|false|mistaken?|not|never|isn't|doubt)\b[^.\n]{0,30}$", regex.IGNORECASE
)
"""Words before a mark that deny what it says."""

_MATHEMATICS = regex.compile(
    r"[\s:*]*+(?:\$(?P<dollars>[^$\n]{1,120})\$|\\\((?P<round>[^\n]{1,120}?)\\\)"
    r"|(?P<bare>\\[dt]?frac\s*\{[^{}\n]{1,60}\}\s*\{[^{}\n]{1,60}\}))"
)
"""An answer in mathematical markup."""

_GOES_ON = regex.compile(
    r"\s*+(?:[!^+*×·(]|-\s*[\d(]|\\(?:times|cdot|div|frac|sqrt|pm|choose)(?![A-Za-z]))"
)
"""What makes the number behind a mark the beginning of a calculation."""

_HEDGED = regex.compile(
    r"\b(?:not|isn't|never|less|more|fewer|greater|larger|smaller|higher|lower|least|most|under|over"
    r"|above|below|beyond|up\s+to|except|unless|negative|minus)\b|[-+±√∓\u2212/*^(]\s*+$",
    regex.IGNORECASE,
)
"""Words and signs before a number that keep it from being the answer."""

_ENUMERATED = regex.compile(r"\s*+[.):][\s*]*+\p{L}")
"""What makes the number of a heading its place in a list."""

_EQUALS = regex.compile(r"(?<![<>!])=|\b(?:equals|is\s+equal\s+to)\b")
_SENTENCE_END = regex.compile(r"(?:[.!](?:[\s*]|\Z)|。).*+", regex.DOTALL)
_CLAUSE_END = regex.compile(
    r"(?:[;<]|[,.](?!\d)|\s[(\[]|\b(?:so|because|since|which|that|who|after|when|as|per\s+our)\b).*+",
    regex.DOTALL,
)
_BETWEEN = regex.compile(r",|;|\bor\b|\band\b")
_SENTENCES = regex.compile(r"(?<=[.!?。])[\s*]+|\n+")
_CONCLUDES = regex.compile(
    r"\W*+(?:so|thus|therefore|hence|in total|in all|altogether|finally|in conclusion|overall"
    r"|(?:that|this|which) means|the (?:final |total )?(?:result|total)"
    r"|(?:after )?running (?:this|it)"
    r"|this (?:code |program |function )?(?:gives|returns|prints|outputs))\b",
    regex.IGNORECASE,
)
_BOLD = regex.compile(r"\*\*(?P<inside>[^*\n]{1,60})\*\*")
_ANY_NUMBER = regex.compile(rf"(?<![A-Za-z0-9_.,]){NUMBER}(?:\s?\\?%)?")
_AROUND = regex.compile(
    r"\*{1,2}(?=[\s.,;:!)]|$)|(?<=\s)\*{1,2}(?=\p{L})|`|\\[()\[\]]|\$(?=[\s.,;:!)]|$)"
)
"""Marks of emphasis and of mathematics around a number, which are no part of it."""

_WORDS_AFTER = 4
"""Words kept behind a number, so that what compares can tell a unit from a continued number."""


def stated(text: str) -> Reading | Missing:
    """The answer behind a mark, or else in a last sentence that concludes."""
    answer = marked(text)
    if answer != "no answer" or has_box(text):
        return answer
    return _concluded(text)


@lru_cache(maxsize=8)
def marked(text: str) -> Reading | Missing:
    """The answer behind the strongest mark in the text.

    A number comes with a few words behind it, from which the grader sees whether they are a unit.
    Marked answers that differ are ambiguous, as is a list of numbers in the place of one. Where
    the text has a box, the box is what its sentences lead to, and only a number directly behind a
    mark counts beside it.
    """
    boxes = has_box(text)
    lowered = text.lower()
    for kind, words, mark in _MARKS:
        if not any(word in lowered for word in words):
            continue
        answers: list[str] = []
        for match in mark.finditer(text, timeout=limit(text)):
            if _DENIED.search(text[max(0, match.start() - 60) : match.start()]):
                continue
            rest = match["rest"]
            if kind != _HEADING and not rest.strip(" \t:*_\N{FULLWIDTH COLON}"):
                rest = _next_line(text, match.end() + len(rest))
            answer = _answer(rest, kind, loosely=not boxes)
            if answer is None:
                return "ambiguous"
            if answer:
                answers.append(answer)
        if answers:
            if len({answer_key(answer) for answer in answers}) > 1:
                return "ambiguous"
            return Reading(content=answers[-1])
    return "no answer"


def concluding(text: str) -> Reading | Missing:
    """The answer in a box, or else the one that is stated."""
    box = boxed(text)
    return stated(text) if box == "no answer" else box


def only_number(text: str) -> str:
    """The one number in some words; the text itself where it is no sentence, or has several."""
    text = text.strip()
    if "\\" in text or len(text.split()) <= 3:
        return text
    numbers = _ANY_NUMBER.findall(text, timeout=limit(text))
    hedged = _HEDGED.search(text, timeout=limit(text))
    return numbers[0] if len(numbers) == 1 and not hedged else text


def _answer(rest: str, kind: int, *, loosely: bool) -> str | None:
    """The answer that the rest of a line gives; empty if none, None if several."""
    if kind != _HEADING:
        whole = rest
        rest = _SENTENCE_END.sub("", rest)
        if _AFTERTHOUGHT.match(whole[len(rest) :].lstrip(".!*_ ")) and any(map(str.isdigit, rest)):
            return None
    if "?" in rest:
        return ""
    if loosely:
        *sides, last = _EQUALS.split(rest)
        sides = [side for side in sides if side.strip(" \t:*_")]
        if sides and (kind == _SENTENCE or len(regex.findall(r"\p{L}{2,}", sides[0])) <= 3):
            if any(_BETWEEN.search(side) for side in sides[1:]):
                return None
            rest = last
    markup = _MARKUP.match(rest)
    start = markup.end() if markup else 0
    option = _OPTION.match(rest, start)
    start = option.end() if option else start
    number = None if _is_formula(rest) else _AT_ONCE.match(rest, start)
    if number is None:
        return _without_number_at_once(rest, start, kind, loosely=loosely)
    if _OTHERS.match(rest, number.end()) or _ALTERNATIVES.match(rest, number.end()):
        return None
    if not loosely and _GOES_ON.match(rest, number.end()):
        return ""
    if kind == _HEADING and _ENUMERATED.match(rest, number.end()):
        return ""
    return _phrase(rest, number.start(), number.end())


def _without_number_at_once(rest: str, start: int, kind: int, *, loosely: bool) -> str:
    """An answer that is a formula, a choice, or further on in the sentence; empty if none."""
    formula = _MATHEMATICS.match(rest)
    if formula:
        return _inside(formula).strip() if loosely and "box" not in formula[0] else ""
    choice = _CHOICE.match(rest, start)
    if choice:
        return choice["bracketed"] or choice["letter"] or choice["word"]
    if kind == _HEADING or not loosely:
        return ""
    numbers = list(_ANY_NUMBER.finditer(rest))
    if len(numbers) != 1 or (kind == _LABEL and len(rest) > 80):
        return ""
    if _HEDGED.search(rest[: numbers[0].start()]):
        return ""
    return _phrase(rest, numbers[0].start(), numbers[0].end())


def _is_formula(rest: str) -> bool:
    """Whether mathematical markup comes first that holds more than a number."""
    formula = _MATHEMATICS.match(rest)
    return formula is not None and _AT_ONCE.fullmatch(_inside(formula).strip("\\ ")) is None


def _inside(formula: "regex.Match[str]") -> str:
    return formula["dollars"] or formula["round"] or formula["bare"]


def _phrase(text: str, start: int, end: int) -> str:
    """A number with the few words behind it that belong to it."""
    after = _CLAUSE_END.sub("", text[end : end + 80])
    words = after.split(" ")
    kept = " ".join(words[: _WORDS_AFTER + 1])
    phrase = _AROUND.sub("", text[start:end] + kept)
    return phrase.strip(' \t_"').rstrip("$\\)")


def _next_line(text: str, end: int) -> str:
    """The next line that is not empty."""
    following = text[end : end + 400].lstrip()
    return following.split("\n", 1)[0]


def _concluded(text: str) -> Reading | Missing:
    """The only number of a last sentence that opens as a conclusion, or its only one in bold."""
    tail = text[-400:].rstrip()
    if not tail.endswith((".", "!", "*", ")", "$")):
        return "no answer"
    sentence = _SENTENCES.split(tail)[-1]
    *sides, last = _EQUALS.split(sentence)
    numbers = list(_ANY_NUMBER.finditer(last))
    if _CONCLUDES.match(sentence) and len(numbers) == 1:
        before = last[: numbers[0].start()].rstrip("*_ ")
        of_something = last[numbers[0].end() :].lstrip().startswith("of ")
        if not of_something and (sides or not _HEDGED.search(before)):
            return Reading(content=_phrase(last, numbers[0].start(), numbers[0].end()))
        return "no answer"
    bold = _BOLD.findall(sentence)
    if len(bold) == 1 and _AT_ONCE.match(bold[0]):
        return Reading(content=bold[0].strip(" .:"))
    return "no answer"
