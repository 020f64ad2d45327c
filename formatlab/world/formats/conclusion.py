"""How running text says what the answer is: after a mark, or in its last sentence.

Every answer that a text commits to has to agree (`commitment` says what is no commitment): those
behind marks of all kinds, one in a box, and what the last sentence concludes after them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import regex

from formatlab.world.formats.box import answer_key, boxed, has_box
from formatlab.world.formats.choice import CHOICE, OPTION, OTHER_CHOICE
from formatlab.world.formats.commitment import (
    agreed,
    is_altered,
    is_taken_back,
    offers_another,
    opens_plainly,
)
from formatlab.world.formats.expression import expression
from formatlab.world.formats.format import Missing, Reading
from formatlab.world.formats.languages import (
    ANSWER_WORDS,
    LATIN_ANSWER_WORDS,
    MARK,
    denies,
)
from formatlab.world.formats.limits import NUMBER, QUANTITY, QUOTES, WIDE_COLON
from formatlab.world.formats.listed import listed_answers, several_unknowns
from formatlab.world.formats.plain_text import minus_signs, unadorned
from formatlab.world.formats.sentence import (
    ALTERNATIVES,
    APOSTROPHE,
    AROUND,
    AT_ONCE,
    EQUALS,
    HAN_DENIES,
    HEDGED,
    MARKUP,
    OTHERS,
    SENTENCES,
    concluding_number,
    find_only_number,
    number_phrase,
)

_Kind = Literal["heading", "sentence", "label"]
_IS = (
    r"(?:is|was|(?:should|would|will|must|has\s+to)\s+be|comes?\s+(?:out\s+)?(?:to|as)|equals"
    r"|turns\s+out\s+to\s+be)\b"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Mark:
    """A mark behind which an answer stands."""

    kind: _Kind
    pattern: "regex.Pattern[str]"
    begins: tuple[str, ...] = ()
    """Words in lower case before the first of which there is no mark, but for what its line begins
    with."""
    words: tuple[str, ...] = ()
    """Words in lower case of which a text with the mark has one, behind a line break at its
    beginning."""


def _pattern(mark: str) -> "regex.Pattern[str]":
    return regex.compile(
        rf"(?:{mark})(?=(?P<rest>[^\n]{{0,300}}))", regex.IGNORECASE | regex.MULTILINE
    )


_WE_FIND = (
    r"(?:\s(?:that\s)?(?:we|you|i)\s(?:are\s|were\s|have\s)?"
    r"(?:seek|want|need|get|got|obtain(?:ed)?|find|found|looking\sfor|asked\sfor))"
)
_ANSWER = (
    r"\banswers?(?:,\s(?:then|therefore|thus|of\scourse),)?(?:\s*+\([^()\n]{0,40}+\))?"
    rf"{_WE_FIND}?(?:\s+(?:to|for|of)\s[^\n.:=?\d]{{1,60}}?)?"
)
_MARKS = (
    _Mark(
        kind="heading",
        begins=("####",),
        pattern=_pattern(r"(?:^|(?<=[\s.]))####"),
    ),
    _Mark(
        kind="sentence",
        begins=("answer", "option", "choice"),
        pattern=_pattern(
            rf"(?:{_ANSWER}|\b(?:correct|right|best)\s+(?:option|choice))\s*+{_IS}",
        ),
    ),
    _Mark(
        kind="label",
        words=(
            *("answer:", "answer*", "answer_", "answer=", "answer =", "answer :", "answer -"),
            *("answer  ", "answer\t", "answer\n", "#answer", "# answer", "# the", "# final"),
            *("\tfinal", "answer]"),
        ),
        begins=("answer",),
        pattern=_pattern(
            r"answer[ \t*_]*+(?:[:=]|-\s)|^[ \t*]*+(?:final\s)?answer[ \t*]*+$"
            r"|^\[(?:final\s)?answer\]|^#+[ \t]*+(?:the\s)?(?:final\s)?answer\b"
        ),
    ),
    _Mark(
        kind="label",
        words=("\na:", "\na.", "\nans", "\na :", "\na*", "\n a", "*a", "  a", "\ta"),
        pattern=_pattern(r"^[ \t*]*+A(?:ns)?[ \t*]*+[:.]"),
    ),
    _Mark(kind="label", words=ANSWER_WORDS, pattern=_pattern(MARK)),
)
"""The marks, the strongest first."""
_AHEAD = 60
"""Characters that a mark may have before its word, beside what its line begins with."""

_BEFORE_ITS_MARK = regex.compile(
    rf"(?<![\w.,/^*+=-])(?P<number>{NUMBER})(?P<unit>(?:\s\p{{L}}[\p{{L}}'-]*+){{0,2}}?)[*)$]*+\s+"
    r"(?:is|are|was)\s+(?:the|our|my)\s+(?:(?:final|correct|right)\s+)?answer\b"
    r"|\b(?:option|choice)\s+\(?(?P<option>[A-J])\)?\s+is\s+(?:the\s+)?(?:correct|right|answer)\b"
    r"|(?:\A|[.,:]\s|\b(?:so|thus|therefore|hence|that)\s"
    r"|\n)[\s*]*+\(?(?-i:(?P<letter>[A-J]))\)?[*]*+\s+is\s+(?:the|our|my)\s+"
    r"(?:(?:correct|right|final|best)\s+)?(?:answer|option|choice)\b",
    regex.IGNORECASE,
)
"""`5 is the answer.` and `Option B is correct.`"""
_BEFORE_WORDS = (
    *("s the answer", "e the answer", "s the final answer", "s the correct answer"),
    *("s the right answer", "s our ", "s my ", " is correct", " is right", "s the best"),
    *("s the correct", "s the right"),
)
"""Words in lower case of which a text with `_BEFORE_ITS_MARK` has one."""
_RATHER = regex.compile(r"^\s*+not\s+\S++\s+but\s+(?:rather\s+)?", regex.IGNORECASE)
"""`not 17 but 18`"""
_PLAIN = regex.compile(r"[\s*]*+(?P<number>-?\$?\d[\d,]*+(?:\.\d++)?)[\s*]*+\.?[\s*]*+")
"""A number and nothing else, which is what stands behind most marks."""
_NEGATIVE = regex.compile(
    r"\A([\s:*$]*+)(?:(?:minus|negative)\s+|负)(?=\\?\$?\d)", regex.IGNORECASE
)
"""A sign in words."""
_FACTORIAL = regex.compile(r"[\s*]*+(\d++!)[\s*]*+")
"""All that stands behind a label; at the end of a sentence it would be an exclamation."""
_QUOTED = regex.compile(r"(?m)^[ \t]*>[ \t]*")
_CALCULATED = regex.compile(
    r"[\s:*_`$]*+(?:is\s)?[\s$(]*+\d[\d.,\s$()]*[-+*/x×÷·][-\d.,\s$()+*/x×÷·]*"
)
"""A calculation, which has to come to what stands behind its equals sign."""
_AROUND_A_CALCULATION = " \t:*_`$"

_ORS = regex.compile(r"\bor\b|\(")
_AGAIN = regex.compile(rf"(?P<number>(?>{QUANTITY}))[)\s*$]*(?:\.?[\s*]*\Z)")
_GOES_OVER = regex.compile(
    r"(?:\s+\p{L}[\p{L}'-]*){0,4}\s*[,;]\s*(?:so|then|now|thus|hence|later"
    r"|assuming\b[^.\n]{0,60}?\belse)\b"
    r"(?:\s+(?:it|that|this|is|are|was|be|the|answer|total|makes|gives|a|of|in|all|we"
    r"|get))*+\s*+[$*]*+"
    rf"(?P<number>(?>{NUMBER}))(?!\s*[-+*/×x÷=])"
)
"""A number to which the sentence goes on from the first: `18 per box, so 54`."""

_THAN = regex.compile(
    r"\s+(?:more|less|fewer|greater|larger|smaller|higher|lower|bigger)\s+than\b"
    r"|\s+(?:away|short|shy)\s|\s+(?:more|less|fewer)\s*\Z",
    regex.IGNORECASE,
)
"""What makes the number behind a mark a difference to the answer."""

_DENIED = regex.compile(
    rf"(?:\b(?:wrong|incorrect|false|mistaken?|not|never|doubt|unsure)\b|n[{APOSTROPHE}]t\b)"
    r"(?![^.\n]{0,30},\s(?:so|thus|hence|therefore)\b)[^.\n]{0,30}$"
    r"|\b(?:says|said|(?:may|might|could)\s+(?:say|think|believe)|wish"
    rf"|let[{APOSTROPHE}]?s\s+(?:say|guess))\b[^.,\n]{{0,30}}$"
    r"|(?:^|[.!?]\s)\s*say\s[^.,\n]{0,20}$"
    r"|\b(?:suppose|assum(?:e|ing)|imagine|pretend|if|whether|claims?|claimed"
    r"|refuses?d?|den(?:y|ies|ied)|disagrees?d?)\b[^.,\n]{0,30}$|\bwhen\s+the\s+$"
    r"|\b(?:previous|earlier|initial|first|old|former|one|another|other)\s+$",
    regex.IGNORECASE,
)
"""Words before a mark that deny what it says, or only suppose it."""

_MATHEMATICS = regex.compile(
    r"[\s:*]*+(?:\$(?P<dollars>[^$\n]{1,120})\$|\\\((?P<round>[^\n]{1,120}?)\\\)"
    r"|(?P<bare>\\[dt]?frac\s*\{[^{}\n]{1,60}\}\s*\{[^{}\n]{1,60}\}))"
)
"""An answer in mathematical markup."""

_FENCES = regex.compile(r"(?:\s*+(?:[`~]{3,}+\w*+)?+(?=\s))*+\s*+")

_WORD = rf"\p{{L}}[\p{{L}}{APOSTROPHE}-]*+"
_WORDS = regex.compile(
    rf"[\s:{WIDE_COLON}*_`{QUOTES}]*+(?:\\text\{{)?"
    rf"(?P<words>{_WORD}(?:[ ,&]{{1,2}}{_WORD}){{0,3}})"
    rf"[\}}*_`{QUOTES}\s]*+[.!]?[*_`{QUOTES}\s]*+"
)
_SO = regex.compile(
    r"\A\s*(?:therefore|thus|hence|then|simply|clearly|just|indeed|actually|definitely"
    r"|of\s+course),?\s",
    regex.IGNORECASE,
)
_EXPLAINED = regex.compile(
    r"(?:,\s+(?:the|an?|which|who|as|where|located|because|since)|\s+(?:because|since))\s.*\Z"
)
"""What explains the words before it."""
_NO_ANSWER = regex.compile(
    r"\b(?:as|below|above|follow\w*|given|found|unknown|unclear|undefined|uncertain|not|none|no"
    r"|never|correct|incorrect|wrong"
    r"|right|that|this|it|here|there|obvious|clear|simple|easy|the\s+same|same|by|in|on|to|from"
    r"|we|i"
    r"|he|she|they|you|if|when|because|so|then|let|x|y|n|infinity|nan|zero|one|two|three|four"
    r"|five|six"
    r"|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|(?:twen|thir"
    r"|for|fif|six|seven|eigh|nine)ty|hundred|thousand|million|half|between|either|at"
    r"|least|most|less|more|calculated|computed|number|amount|total|sum|value|result|following"
    r"|therefore|thus|is|are|was|were|be|step|steps|explanation"
    r"|solution|answer|choices?|options?)\b",
    regex.IGNORECASE,
)
"""Words that are no answer in themselves."""

_GOES_ON = regex.compile(
    r"\s*+(?:[!^+*×·(]|-\s*[\d(]|\\(?:times|cdot|div|frac|sqrt|pm|choose)(?![A-Za-z]))"
)
"""What makes the number behind a mark the beginning of a calculation."""

_WORK = regex.compile(
    r"\s*+(?:[-+*/×·÷=xX]\s*+[$(]?\d|(?:is|are|was|were|has|have|had)\b|\p{L}+\s+(?:is|are|was"
    r"|were)\s)"
)
"""What makes the number behind a label the beginning of the working."""

_ENUMERATED = regex.compile(r"\s*+[.):][\s*]*+\p{L}")
"""What makes the number of a heading its place in a list."""
_SENTENCE_END = regex.compile(r"(?s)(?:(?<!\bRs)(?:\.|!(?!\s*+[=+×\\]))(?:[\s*]|\Z)|[。।]).*+")

_SUCH_THAT = regex.compile(r"\b(?:such\s+that|for\s+which|where|when)\b", regex.IGNORECASE)
_WORKED = regex.compile(r"[\s$*]*+\d[\d.,]*+\s*+[-+*/x×÷·^]\s*+[\d(]")
_LONG_WORD = regex.compile(r"\p{L}{2,}")
_BETWEEN = regex.compile(r",|;|\bor\b|\band\b")
_SENTENCE_BEFORE = regex.compile(rf"(?r){SENTENCES.pattern}")
"""What parts the last sentence from those before it."""
_CONCLUDES = regex.compile(
    r"\W*+(?:and\s+)?(?:so|thus|therefore|hence|in total|in all|in the end|altogether|finally"
    r"|ultimately|in conclusion|overall|(?:that|this|which) (?:means|gives|leaves|makes(?! sense))"
    r"|the (?:(?:final|total|overall|resulting)(?: \p{L}+){1,4}"
    r"|(?:required|desired|needed)(?: \p{L}+){1,4}"
    r"|number of(?: \p{L}+){1,4} is|result|total|solution|value of \S+)"
    r"|(?:after )?running (?:this|it)|as a result|consequently|we (?:conclude|find|get)"
    r"|this (?:code |program |function )?(?:gives|returns|prints|outputs))\b",
    regex.IGNORECASE,
)
_TURNS = regex.compile(
    r"(?:[,;]\s*(?:and\s+)?|\s)(?:so(?!\s+(?:that|many|much|far|long|on|as)\b)|thus|therefore"
    r"|hence|∴)\s"
    r"|\bwhich\s+(?:is|are|was|means|gives|leaves|makes|equals|totals|comes\s+(?:out\s+)?to"
    r"|adds\s+up\s+to)\s"
    r"|[,;]\s*(?:leaving|giving|making|totall?ing|for)\s"
    r"(?:(?:him|her|them|us|me|it|\p{Lu}\p{Ll}{1,20})\s+with\s)?"
    r"|\b(?:for|gives?|giving|makes?|making|is|are|spent|earned|ha[sd]|have|saved|paid|made|sold"
    r"|bought"
    r"|collected|received|raised|scored|needs?|got|baked|read|ate|drove|ran"
    r"|walked)\s+(?:us\s+)?a\s+(?:grand\s+)?"
    r"total\s+of\s|\b(?:gives\s+us|totals|comes\s+(?:out\s+)?to|adds\s+up\s+to|amounts\s+to"
    r"|ends?\s+up\s+with"
    r"|(?:is|are)\s+left\s+with|now\s+(?:has|have|had))\s",
    regex.IGNORECASE,
)
"""What opens the concluding part of a sentence."""

_RESULT = regex.compile(
    r"(?:(?:=|\b(?:has|have|had|is|are|was|were|will\s+be|gets?|makes?|made|earns?|earned|costs?"
    r"|needs?|pays?"
    r"|paid|spends?|spent|there\s+(?:are|were)"
    r"|(?:that|it|there)['\N{RIGHT SINGLE QUOTATION MARK}]s))"
    r"\s+(?:now\s+|only\s+|still\s+|a\s+total\s+of\s+)*+)"
    rf"(?P<number>{NUMBER})(?P<unit>(?:\s(?!than\b)\p{{L}}[\p{{L}}'-]*+){{0,4}}?)"
    r"\s+(?:(?:left(?:\s+over)?|remaining)(?:\s+(?:on|in|at|for|from|of)\s+(?:the|h(?:er|is)"
    r"|their|my)"
    r"\s+\p{L}+)?|in\s+total|in\s+all|altogether|total|now)(?:\s+over)?[\s*]*+[.!]"
    rf"|(?:\A|[,;]\s|\b(?:so|then|only|and)\s)(?P<left>{NUMBER}(?:\s\p{{L}}[\p{{L}}'-]*+){{0,3}}?)"
    r"\s+(?:remains?|(?:are|is|were|was)\s+(?:left|remaining))(?:\s+over)?[\s*]*+[.!]",
    regex.IGNORECASE,
)
"""`He has 25 roses left.`"""
_VARIABLE = regex.compile(
    r"[\s*]*+(?P<sign>∴|\\therefore|[Tt]hus,?|[Hh]ence,?|[Ss]o,?)?\s*+(?P<dollar>\$\$?"
    r"|\\[(\[])?\s*+"
    rf"\\?[A-Za-z](?:_\w)?\s*=\s*(?P<number>{QUANTITY})\s*+(?:\$\$?|\\[)\]])?(?P<end>[.!])?[\s*]*+"
)
"""A last line that says no more than what the unknown is."""

_RESULT_LABEL = regex.compile(
    r"[\s*_#>-]*+(?:the\s+)?(?:final\s+)?(?:result|total(?:\s\p{L}+)?|solution"
    r"|ans)[\s*_]*+[:=][\s*_]*+(?P<rest>.+)",
    regex.IGNORECASE,
)
_HAN_CONCLUDES = regex.compile(
    r"(?:所以|因此|因而|于是|综上|故|总共|一共|共有|总计|合计|最终|最后|还剩|剩下|得到|したがって|よって|合計|따라서)"
    rf"[^\d。!?]{{0,30}}(?P<number>{QUANTITY})(?P<unit>[^\d。]{{0,12}})[。.!]?\Z"
)
_BOLD = regex.compile(r"\*\*(?P<inside>[^*\n]{1,60})\*\*")

_SOON = 80
"""Characters behind a box in which it is taken back, or another answer offered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    """What the text behind one mark gives."""

    content: str
    """The answer; empty if there is none."""
    several: bool = False
    """Whether there are several in the place of one."""
    sure: bool = True
    """Whether it stands directly behind the mark, and not further on in the sentence."""
    words: bool = False
    """Whether it is words, which only count where nothing else is an answer."""


_NOTHING, _SEVERAL = _Answer(content=""), _Answer(content="", several=True)


def stated(text: str) -> Reading | Missing:
    """The answers behind marks, or else the one in a last sentence that concludes."""
    answer = marked(text)
    if answer != "no answer" or has_box(text):
        return answer
    text = minus_signs(text)
    return listed_answers(text) or _concluded(text)


def concluding(text: str) -> Reading | Missing:
    """The answer in a box, with which those behind marks have to agree; or else what is stated."""
    box = boxed(minus_signs(text))
    if box == "no answer":
        return stated(text)
    if not isinstance(box, Reading):
        return box
    _, _, rest = text[max(text.rfind("\\boxed"), text.rfind("\\fbox")) :].partition("}")
    # further on, what is impossible is mostly a case of the proof
    if is_taken_back(rest[:_SOON]):
        return "no answer"
    answer = marked(text)
    if answer == "ambiguous" or offers_another(rest[: 4 * _SOON], box.content):
        return "ambiguous"
    return box if isinstance(answer, str) else agreed([box, answer])


@lru_cache(maxsize=8)
def marked(text: str) -> Reading | Missing:
    """The answers behind the marks of a text, the strongest mark first; all have to agree.

    A number comes with a few words behind it, from which the grader sees whether they are a unit.
    Marked answers that differ are ambiguous, as is a list of numbers in the place of one. Where
    the text has a box, the box is what its sentences lead to, and only a number directly behind a
    mark counts beside it. What a last sentence concludes after the marks has to agree too.
    """
    text = minus_signs(text)
    boxes = has_box(text)
    lower = f"\n{text.lower()}"
    found: list[tuple[int, _Answer]] = []
    unsure: list[tuple[int, _Answer]] = []
    for mark in _MARKS:
        kind = mark.kind
        foreign = mark.words is ANSWER_WORDS
        words = LATIN_ANSWER_WORDS if foreign and text.isascii() else mark.words
        start = _line_before(text, lower, mark.begins) if mark.begins else 0
        if start is None or (words and not any(map(lower[start:].__contains__, words))):
            continue
        of_kind: list[tuple[int, _Answer]] = []
        for match in mark.pattern.finditer(text, start):
            before = text[max(0, match.start() - 100) : match.end()]
            if ">" in before:
                before = _QUOTED.sub("", before)
            if opens_plainly(before):
                before = ""
            elif kind != "heading" and _DENIED.search(before[-60 - len(match[0]) : -len(match[0])]):
                continue
            rest, end = match["rest"], match.end()
            if foreign and denies(before[: -len(match[0])], rest):
                continue
            if kind != "heading" and not rest.strip(" \t:*_\N{FULLWIDTH COLON}"):
                rest, end = _next_line(text, match.end() + len(rest))
            answer = _answer(rest, before, kind, loosely=not boxes)
            if answer.several and (answer.sure or kind != "label"):
                return "ambiguous"
            if answer.content:
                of_kind.append((end, answer))
        if of_kind:
            weak = kind == "label" and not all(answer.sure for _, answer in of_kind)
            (unsure if weak else found).extend(reversed(of_kind))
    if not boxes and (start := _line_before(text, lower, _BEFORE_WORDS)) is not None:
        for match in _BEFORE_ITS_MARK.finditer(text, start):
            after = text[match.end() : match.end() + 40]
            if not is_altered(text[max(0, match.start() - 100) : match.start()], after):
                content = (
                    match["option"] or match["letter"] or (match["number"] + match["unit"]).strip()
                )
                found.append((match.end(), _Answer(content=content)))
    taken = [item for item in found if not item[1].words] or unsure or found
    if not taken:
        return "no answer"
    return _committed(text, [item for item in taken if item[1].words == taken[0][1].words])


def _line_before(text: str, lower: str, words: Sequence[str]) -> int | None:
    """Where the line begins that stands somewhat before the first of some words; None without them.

    Args:
        text: the text.
        lower: a line break, and the text in lower case.
        words: the words.
    """
    found = [at for word in words if (at := lower.find(word)) >= 0]
    if not found:
        return None
    longer = len(lower) - len(text)  # some letters are two in lower case
    return text.rfind("\n", 0, max(0, min(found) - longer - _AHEAD)) + 1


def _committed(text: str, answers: list[tuple[int, _Answer]]) -> Reading | Missing:
    """The answers of a text, unless what follows the last one takes it back or offers another."""
    last = max(end for end, _ in answers)
    content = next(answer.content for end, answer in answers if end == last)
    rest = text[last:]
    readings = [Reading(content=answer.content) for _, answer in answers]
    if len(rest) > len(content) + 3:
        after = rest[max(0, rest.find(content[:20])) + len(content) :]
        if is_taken_back(after):
            return "no answer"
        if offers_another(after, content):
            return "ambiguous"
        _, _, later = after.partition("\n") if "\n" in after else after.partition(". ")
        if later and not has_box(text) and any(map(str.isdigit, later)):
            further = _concluded(later.strip())
            if isinstance(further, Reading):
                readings.append(further)
    return agreed(readings)


def _answer(rest: str, before: str, kind: _Kind, *, loosely: bool) -> _Answer:
    """The answer that the rest of a line gives."""
    plain = _PLAIN.fullmatch(rest)
    if plain:
        return _NOTHING if is_altered(before, "") else _Answer(content=plain["number"])
    if kind == "label" and (factorial := _FACTORIAL.fullmatch(rest)):
        return _Answer(content=factorial[1])
    rest = _NEGATIVE.sub(r"\g<1>-", unadorned(rest).replace("{,}", ","))
    if loosely and rest.count("=") > 1 and (unknowns := several_unknowns(rest)):
        return _NOTHING if is_altered(before, "") else _Answer(content=unknowns)
    if kind != "heading":
        rest = _SENTENCE_END.sub("", rest)
    if " but " in rest:
        rest = _RATHER.sub("", rest)
    if "?" in rest:
        return _NOTHING
    formula = expression(rest) if loosely else ""
    if formula:
        return _Answer(content=formula)
    sure, calculation = True, ""
    if loosely:
        *sides, last = EQUALS.split(rest)
        sides = [side for side in sides if side.strip(" \t:*_")]
        if sides and (kind == "sentence" or len(_LONG_WORD.findall(sides[0])) <= 3):
            if _SUCH_THAT.search(sides[0]):
                return _NOTHING
            if _PLAIN.fullmatch(sides[0]) and _WORKED.match(last):  # `27 = 3^3`
                return _Answer(content=AROUND.sub("", sides[0]).strip(" *"))
            if any(_BETWEEN.search(side) for side in sides[1:]):
                return _Answer(content="", several=True, sure=False)
            before, rest, sure = before + rest[: len(rest) - len(last)], last, False
            calculation = "=".join(sides) if _CALCULATED.fullmatch(sides[0]) else ""
    markup = MARKUP.match(rest)
    start = markup.end() if markup else 0
    option = OPTION.match(rest, start)
    number = None if _is_formula(rest) else AT_ONCE.match(rest, option.end() if option else start)
    if number is None:
        return _without_number_at_once(rest, before, start, kind, loosely=loosely)
    several = _Answer(content="", several=True, sure=sure)
    if (others := OTHERS.match(rest, number.end())) and not _is_again(rest, number, others):
        return several
    if others is None and ALTERNATIVES.match(rest, number.end()):
        return several
    if others:
        return _Answer(content=number[0].strip(), sure=sure)
    over = _GOES_OVER.match(rest, number.end())
    if over and answer_key(over["number"]) != answer_key(number[0].strip()):
        return several
    if not loosely and _GOES_ON.match(rest, number.end()):
        return _NOTHING
    if kind == "heading" and _ENUMERATED.match(rest, number.end()):
        return _NOTHING
    after = rest[number.end() :]
    if kind == "label" and _WORK.match(after):
        sure = False
    if is_altered(before + rest[: number.start()], after) or _THAN.match(after):
        return _NOTHING
    phrase = number_phrase(rest, number.start(), number.end())
    if option:
        phrase = f"{rest[start : option.end()].strip()} {phrase}"
    if calculation:  # the reader of numbers sees whether it comes to that
        phrase = f"{calculation.strip(_AROUND_A_CALCULATION)} = {phrase}"
    return _Answer(content=phrase, sure=sure)


def _without_number_at_once(
    rest: str, before: str, start: int, kind: _Kind, *, loosely: bool
) -> _Answer:
    """An answer that is a formula, a choice, words, or further on in the sentence."""
    formula = _MATHEMATICS.match(rest)
    if formula:
        if not loosely or "box" in formula[0] or is_altered(before, rest[formula.end() :]):
            return _NOTHING
        return _Answer(content=_inside(formula).strip())
    choice = CHOICE.match(rest, start)
    if choice:
        if OTHER_CHOICE.match(rest, choice.end()):
            return _SEVERAL
        option = OPTION.match(rest, start)
        named = _WORDS.fullmatch(rest, option.end()) if option else None
        if option and named:
            return _Answer(content=f"{rest[start : option.end()].strip()} {named['words']}")
        return _Answer(content=choice["bracketed"] or choice["letter"] or choice["word"])
    if kind == "heading" or not loosely:
        return _NOTHING
    words = _WORDS.fullmatch(_EXPLAINED.sub("", _SO.sub("", rest)))
    if words:
        if _NO_ANSWER.search(words["words"]) or is_altered(before, ""):
            return _NOTHING
        return _Answer(content=words["words"], words=True)
    if kind == "label" and len(rest) > 80:
        return _NOTHING
    number = find_only_number(rest)
    if number is None or is_altered(before + rest[: number.start()], ""):
        return _NOTHING
    return _Answer(content=number_phrase(rest, number.start(), number.end()), sure=False)


def _is_again(rest: str, number: "regex.Match[str]", others: "regex.Match[str]") -> bool:
    """Whether the further number behind a number is the same in another form: `3/4 or 0.75`."""
    again = _AGAIN.match(rest, others.end() - 1)
    if again is None or not _ORS.search(others[0]):
        return False
    return answer_key(again["number"]) == answer_key(number[0].strip())


def _is_formula(rest: str) -> bool:
    """Whether mathematical markup comes first that holds more than a number."""
    formula = _MATHEMATICS.match(rest)
    return formula is not None and AT_ONCE.fullmatch(_inside(formula).strip("\\ ")) is None


def _inside(formula: "regex.Match[str]") -> str:
    return formula["dollars"] or formula["round"] or formula["bare"]


def _next_line(text: str, end: int) -> tuple[str, int]:
    """The next line that is neither empty nor a fence, and where it begins."""
    following = _FENCES.match(text, end, end + 400)
    start = following.end() if following else end
    return text[start : start + 400].split("\n", 1)[0], start


def _concluded(text: str) -> Reading | Missing:
    """The number that a last sentence concludes with, or its only one in bold."""
    tail = text[-400:].rstrip()
    if not tail.isascii():
        tail = unadorned(tail).rstrip()
    line = tail.rsplit("\n", 1)[-1]
    variable = _VARIABLE.fullmatch(line)
    if variable and (variable["end"] or variable["dollar"] or variable["sign"]):
        return Reading(content=variable["number"].strip())
    label = _RESULT_LABEL.fullmatch(line)
    if label:
        answer = _answer(label["rest"], "", "label", loosely=True)
        if answer.content and answer.sure and not answer.words:
            return Reading(content=answer.content)
    han = None if tail.isascii() else _HAN_CONCLUDES.search(line)
    if han and not HAN_DENIES.search(han[0]):
        return Reading(content=AROUND.sub("", han["number"] + han["unit"]).strip(" 。.!*"))
    if not tail.endswith((".", "!", "*", ")", "$", "。")):
        return "no answer"
    before = _SENTENCE_BEFORE.search(tail)
    sentence = tail[before.end() :] if before else tail
    if _CONCLUDES.match(sentence) and (answer := concluding_number(sentence)):
        return Reading(content=answer)
    result = _RESULT.search(sentence)
    if result and not HEDGED.search(sentence[: result.start()]):
        return Reading(content=result["left"] or (result["number"] + result["unit"]).strip())
    turns = [match.end() for match in _TURNS.finditer(sentence)]
    if turns:
        answer = concluding_number(sentence[turns[-1] :])
        return Reading(content=answer) if answer else "no answer"
    bold = _BOLD.findall(sentence)
    if len(bold) == 1 and AT_ONCE.match(bold[0]) and not HEDGED.search(sentence.split("**")[0]):
        return Reading(content=bold[0].strip(" .:"))
    return "no answer"
