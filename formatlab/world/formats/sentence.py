"""The number that a sentence commits to: its only one, its last one, or what it concludes with."""

import regex

from formatlab.world.formats.commitment import (
    is_altered,
    is_taken_back,
)
from formatlab.world.formats.format import Missing, Reading
from formatlab.world.formats.languages import (
    speaks_of_answer,
)
from formatlab.world.formats.limits import NUMBER, QUANTITY, QUOTES, SCALE, WIDE_COLON
from formatlab.world.formats.plain_text import minus_signs, unadorned

APOSTROPHE = "'\N{RIGHT SINGLE QUOTATION MARK}"
_BRACKET = "\N{FULLWIDTH LEFT PARENTHESIS}"
_SPACES = "\N{NO-BREAK SPACE}\N{THIN SPACE}\N{NARROW NO-BREAK SPACE}"
MARKUP = regex.compile(
    rf"[\s:{WIDE_COLON}*_`~≈={QUOTES}]*+{_BRACKET}?+"
    r"(?:\\[(\[]|\((?=[-$\d])|\$(?=\\|\S[^$\n]{0,80}\$))?\s*+\\?"
)
_CURRENCY = r"(?:(?:US|AU|CA|NZ)(?=\$)|(?:Rs\.?|USD|EUR|GBP)(?=[\s\d]))"

AT_ONCE = regex.compile(
    rf"(?:-?\d{{1,3}}(?:[ {_SPACES}]\d{{3}})+"
    rf"(?![ \d]*\d|[.,/]\d)|{_CURRENCY}?\s?{QUANTITY}(?:\sand\s\d+/\d+)?)"
)

OTHERS = regex.compile(
    r"[*_`)\]}\s]*+(?:\\?[%$€£])?[*_`(){}\[\]\s]*+"
    r"(?<!\s\((?=[$\d.,\s]+[-+*/x×÷·]\s*[$\d]))"  # a calculation in brackets explains it
    r"(?:(?:,|;|/|\||&|…|\.{2,}|\bor\b|\band\b|\bto\b|–|-|~)[\s*_`(\[{]*+"
    r"(?:(?:or|and|maybe|perhaps|possibly|even)\b\s*+)*+[-\u2212]?\\?[$€£]?[-\u2212]?)?+\d"
)
"""A further number directly after the first: several answers, or none."""

ALTERNATIVES = regex.compile(
    r"(?:\s+\p{L}[\p{L}'-]*){0,6}\s*(?:,|;|…|\.{2,}|\bor\b|\band\b|\balternatively\b|\belse\b)"
    r"(?:\s*(?:,|or|and|else|maybe|perhaps|alternatively)\b)*"
    r"(?:\s+(?:for|in|with|on)(?!\s+a\s+total)(?:\s+\p{L}[\p{L}'-]*){1,3}\s)?"
    r"\s*[-\u2212]?\\?[$€£]?\d"
)
"""A further number behind a unit: `17 apples, 18 pears`."""

HEDGED = regex.compile(
    r"\b(?:not|isn't|never|cannot|neither|nor|nobody|less|more|fewer|greater|larger|smaller"
    r"|higher|lower"
    r"|least|most|under|over(?!\s+(?:\d|the\s+(?:course|next|past|whole|entire)))"
    r"|above|below|beyond|up\s+to|except|unless|negative|minus|might"
    r"|perhaps|maybe"
    r"|possibly|wrong|incorrect|wonder|whether|hardly|if|anything\s+but|far\s+from|half|twice"
    r"|double|triple|thrice"
    rf"|approximates?)\b|n[{APOSTROPHE}]t\b|\b(?:could|may|can)\s+be\b"
    r"|[-+±√∓\u2212/*^(<>≤≥≠]\s*+$",
    regex.IGNORECASE,
)
"""Words and signs before a number that keep it from being the answer."""

_TIED = regex.compile(
    r"\b(?:by|than|from|with|between|among|into|per|on|under|over|near|before|after|within|until"
    r"|since"
    r"|times|plus|minus|adding|subtracting|substituting|log|sin|cos|tan|problem|question|page"
    r"|step|part|example|chapter|exercise"
    r"|case"
    r"|equation|line|section|figure|table|grade|base|version"
    r"|(?<!\bthe\s)number|no\.|(?:related|similar|compared|relative|proportional|linked|next"
    r"|prior|opposed)\s+to|number\s+of|one\s+of|in|divides?|mod|round"
    r"|day|week|month|year"
    r"|(?:half|third|quarter|root|square|cube|multiple|factor|power|percent|%|digits?|logarithm"
    r"|\d)\s+of)"
    r"[\s$*_(\\]*+$",
    regex.IGNORECASE,
)
"""Words directly before a number that tie it to something else than the answer."""

_PROPERTY = regex.compile(
    r"\b(?:answer|number|result|solution)\s+(?:has|have|contains?|ends?|starts?|begins?|lies"
    r"|consists)\b"
    r"|\b(?:we|you|us)\s+(?:\w+\s+){0,3}?(?:add|subtract|multiply|divide|plug|substitute|round)\b",
    regex.IGNORECASE,
)
_SUBJECT = regex.compile(
    r"\s+(?:is|are|was|were|has|have|had|does|do|did|divides?|cannot|can|must|will|would|should"
    r"|could"
    r"|goes|fits?)\b(?!\s+(?:left|remaining|remain|needed|the\s+(?:final\s+|correct\s+)?(?:answer"
    r"|total|result)))",
    regex.IGNORECASE,
)
"""What makes the number the subject of a sentence that says something about it."""

EQUALS = regex.compile(r"(?<![<>!])=|\b(?:equals|is\s+equal\s+to)\b")
_CLAUSE_END = regex.compile(
    r"(?:[;<,，、；。]|:\s|\s[-–—]+\s+(?=\p{L})|\.(?!\d)|\s[(\[（]|\s\S*&|\b(?:so|because|since|which"
    r"|that|who|after|when|as|the"
    r"|per\s+our|to\s+(?=\p{L}{2})|(?:in|for|from|with|on|at|during|by)\s+(?=\p{L}{3})"
    r"|(?:in|for|within|during|(?<=\p{L}\s)by)\s+(?=\d)"
    r"|is|are|was|were|will|would|can|had|has|have|(?<=left\s)over"
    r"|and\s+(?!(?:one|two|three|half|quarter|another|maybe|perhaps)\b)(?=\p{L}{3}))\b).*+",
    regex.DOTALL,
)
"""Where the words behind a number are no longer its unit."""
SENTENCES = regex.compile(r"(?<=(?<!\bRs)[.!?。])[\s*]+|(?<=。)|\n+")

_TOTAL = regex.compile(
    r"\b(?:(?:a|the)\s+total\s+of|(?:leaves?|leaving)\s+\w+\s+with|left\s+with"
    r"|ends?\s+up\s+with)\s*+$",
    regex.IGNORECASE,
)
"""Words directly before a number that make it the answer after all."""
HAN_DENIES = regex.compile(r"不|没有|至少|至多|最多|大于|小于|超过|可能|也许|或许")
"""Chinese words that deny, bound or hedge a number."""

_OF = regex.compile(r"\s*+(?:%\s*of\b|of\b(?!(?<!%\s*of)\s+(?:them|these|those|us|it)\b))")
_OPERATES = regex.compile(r"\s+[-+*/×÷=x](?![*\w])")
_UNSURE = regex.compile(
    r"\b(?:not|never|cannot|might|perhaps|maybe|possibly|wrong|incorrect|if)\b"
    rf"|n[{APOSTROPHE}]t\b|\b(?:could|may)\s+be\b",
    regex.IGNORECASE,
)
"""Words before an equation that keep its result from being the answer."""

_OPERATED = regex.compile(r"[\w)}]\s?[-+*/^]\s?[\w({]+\s?=")
"""A calculation before an equals sign, into which the reader of numbers looks."""
_CLAUSES = regex.compile(r"[,;:](?!\d)|\b(?:so|but|and|then|which)\b")
_LISTED = regex.compile(r"\d\s*+(?:to|or|and|[,/&–-])\s*+[$(]?\Z")
_ANY_NUMBER = regex.compile(
    rf"(?<![A-Za-z0-9_.,])(?!\d{{1,9}}(?:st|nd|rd|th)\b){NUMBER}"
    rf"(?:\s?(?:\\?%|{SCALE}(?:\sof\b)?))?"
)
_WHEN = regex.compile(r"\b(?:after|in|within|by|over|during|for)\s+(?:the\s+)?\Z", regex.IGNORECASE)
_DURATION = regex.compile(
    r"\s(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?)\b", regex.IGNORECASE
)
_IS_AT_LAST = regex.compile(
    rf"[^,;=]*\b(?:is|are|was"
    rf"|were)\s+[*$\\(]*{NUMBER}(?:\s\p{{L}}[\p{{L}}'-]*+){{0,2}}[\s*$)]*[.!]?[\s*]*\Z"
)
"""`for 3 shirts and 2 hats is $85.`"""
AROUND = regex.compile(
    rf"\*{{1,3}}(?=[\s.,;:!)]|$)|(?<=\s)\*{{1,3}}(?=\p{{L}})|`|\\[()\[\]]"
    rf"|(?<![A-Z])\$(?=[\s.,;:!)]|$)|[{QUOTES}）]"
)
"""Marks of emphasis and of mathematics around a number, which are no part of it."""

_WORDS_AFTER = 4
"""Words kept behind a number, so that what compares can tell a unit from a continued number."""


def only_number(text: str) -> str:
    """The one number in some words; the text itself where it is no sentence, or has several."""
    text = text.strip()
    if "\\" in text or len(text.split()) <= 3 or _OPERATED.search(text):
        return text
    match = find_only_number(text)
    return match[0] if match else text


def find_only_number(text: str) -> "regex.Match[str] | None":
    """The one number in some words that they commit to."""
    numbers = list(_ANY_NUMBER.finditer(text))
    if len(numbers) != 1:
        return None
    before, after = text[: numbers[0].start()], text[numbers[0].end() :]
    if any(words.search(before) for words in (HEDGED, _TIED, _PROPERTY)):
        return None
    if is_altered(before, after) or _SUBJECT.match(after) or is_taken_back(after):
        return None
    return numbers[0]


def number_phrase(text: str, start: int, end: int) -> str:
    """A number with the few words behind it that belong to it."""
    after = _CLAUSE_END.sub("", text[end : end + 80])
    words = after.split(" ")
    kept = " ".join(words[: _WORDS_AFTER + 1])
    phrase = AROUND.sub("", text[start:end] + kept)
    return phrase.strip(' \t_"').rstrip("$\\)")


def concluding_number(part: str) -> str:
    """The number that a part of a sentence concludes with; empty if it is none, or several.

    Behind an equals sign it stands at once; else it has to be the only one.
    """
    *sides, last = EQUALS.split(part)
    if sides:
        number = _result(last)
        if number is None or _UNSURE.search(part):
            return ""
        return number_phrase(last, number.start(), number.end())
    numbers = list(_ANY_NUMBER.finditer(part))
    if len(numbers) > 1:
        numbers = [n for n in numbers if not _is_time(part, n)]
    if len(numbers) > 1 and _IS_AT_LAST.match(part, numbers[-2].end()):
        before = part[: numbers[-1].start()]
        numbers = (
            [] if any(words.search(before) for words in (HEDGED, _PROPERTY)) else [numbers[-1]]
        )
    if len(numbers) != 1:
        return ""
    said, after = part[: numbers[0].start()].rstrip("*_ "), part[numbers[0].end() :]
    if _OF.match(part, numbers[0].end()) or _OPERATES.match(after):
        return ""
    if is_altered(said, after) or _SUBJECT.match(after):
        return ""
    if any(words.search(said) for words in (HEDGED, _PROPERTY)):
        return ""
    if _TIED.search(said) and not _TOTAL.search(said):
        return ""
    return number_phrase(part, numbers[0].start(), numbers[0].end())


def _is_time(part: str, number: "regex.Match[str]") -> bool:
    """Whether a number says when, or for how long: `after 3 days`."""
    return (
        _WHEN.search(part[: number.start()]) is not None
        and _DURATION.match(part, number.end()) is not None
    )


def _result(side: str) -> "regex.Match[str] | None":
    """The number directly behind an equals sign, unless several stand there or it goes on."""
    start = MARKUP.match(side)
    number = AT_ONCE.match(side, start.end() if start else 0)
    if number is None or OTHERS.match(side, number.end()):
        return None
    after = side[number.end() :]
    if _OF.match(side, number.end()) or _OPERATES.match(after):
        return None
    if ALTERNATIVES.match(side, number.end()) or is_altered("", after):
        return None
    return number


def last_committed(text: str) -> Reading | Missing:
    """The last number that the last sentences commit to, whatever their wording.

    This is the flexible reading, for texts that state no answer. Neither a question, nor a
    sentence that denies, bounds or hedges its number, nor an answer that was taken back counts.
    """
    tail = unadorned(minus_signs(text)[-400:]).rstrip()
    if is_taken_back(tail):
        return "no answer"
    for sentence in reversed(SENTENCES.split(tail)[-2:]):
        if not any(map(str.isdigit, sentence)):
            continue
        if "?" in sentence or speaks_of_answer(sentence):
            return "no answer"  # what says something of the answer, and does not state it
        if not sentence.isascii() and HAN_DENIES.search(sentence):
            return "no answer"
        *sides, last = EQUALS.split(sentence)
        number = _result(last) if sides else None
        if number is not None:
            if _UNSURE.search(_CLAUSES.split("=".join(sides))[-1]):
                return "no answer"
            return Reading(content=number_phrase(last, number.start(), number.end()))
        return _last_number(sentence)
    return "no answer"


def _last_number(sentence: str) -> Reading | Missing:
    """The last number of a sentence that is not tied to something else, as in `by 5 pm`."""
    for number in reversed(list(_ANY_NUMBER.finditer(sentence))):
        said = _CLAUSES.split(sentence[: number.start()])[-1].rstrip("*_ ")
        if _TIED.search(said) and not _TOTAL.search(said):
            continue
        if _LISTED.search(sentence[: number.start()]):
            return "no answer"
        if any(words.search(said) for words in (HEDGED, _PROPERTY)):
            return "no answer"
        if is_altered(said, sentence[number.end() :]):
            return "no answer"
        return Reading(content=number_phrase(sentence, number.start(), number.end()))
    return "no answer"
