r"""The answer in a `\boxed{}`."""

from fractions import Fraction
from functools import lru_cache

import regex

from formatlab.world.formats.format import Missing, Reading
from formatlab.world.formats.limits import QUANTITY, limit

_BOX = regex.compile(r"\\(?:boxed|fbox)\s*+(?:\{|(?P<bare>-?\d[\d,.]*+))")
_BRACE = regex.compile(r"\\.|[{}]", regex.DOTALL)
_BRACES = str.maketrans("", "", "{}")
_NUMBER = regex.compile(QUANTITY)
_OPERATORS = (
    *("+", "*", "/", "^", "{", "\\sqrt", "\\times", "\\cdot", "\\div", "\\pm"),
    *("\\ne", "\\neq", "\\not"),
)
_AFTER = regex.compile(
    r"\s*(?:\^(?!\s*\{?\s*\\circ)|[+*/!]\s*\$?[\d(\\a-z]|-\s*\d|\\(?:times|cdot|div)\b)"
)
"""What makes a box one side of an operation."""


@lru_cache(maxsize=8)  # several formats ask the same of one text
def boxed(text: str) -> Reading | Missing:
    r"""The inside of the `\boxed{}` that the text closes; boxes that differ are ambiguous."""
    if "box" not in text:
        return "no answer"
    found: list[str] = []
    cut = False
    covered = -1
    closing: dict[int, int] | None = None
    for match in _BOX.finditer(text, timeout=limit(text)):
        if match["bare"]:
            found.append(match["bare"])
            continue
        closing = _closing_braces(text, match.start()) if closing is None else closing
        end = closing.get(match.end() - 1)
        if end is None:
            cut = True
        elif end > covered:  # of nested boxes the outer one is passed over
            inner = text[match.end() : end].strip()
            nested = _BOX.match(inner, timeout=limit(inner))
            if nested is None or nested["bare"]:
                covered = end
                if _is_operand(text, match.start(), end + 1):
                    return "ambiguous"  # the box holds a part of something else
                found.append(inner)
    written = [content for content in found if content]
    if not written:
        return "malformed" if cut or found else "no answer"
    if len({answer_key(content) for content in written}) > 1:
        return "ambiguous"
    return Reading(content=written[-1])


def _is_operand(text: str, start: int, end: int) -> bool:
    """Whether what stands before or after a box makes it one side of an operation."""
    if _AFTER.match(text, end):
        return True
    before = text[max(0, start - 80) : start].rsplit("\n", 1)[-1]
    said = before.rstrip()
    if said.endswith("-"):  # with a space behind it at the beginning of a line, it marks a list
        return said == before or bool(said[:-1].strip(" *"))
    return said.endswith(_OPERATORS) and not said.endswith(("\\boxed{", "\\fbox{", "**"))


def has_box(text: str) -> bool:
    """Whether a text has a box, closed or not."""
    return "\\boxed" in text or "\\fbox" in text


def answer_key(answer: str) -> Fraction | str:
    """What two ways of writing one answer have in common."""
    number = _NUMBER.match(answer, timeout=limit(answer))
    plain = number[0] if number else answer.translate(_BRACES)
    plain = plain.strip(" $€£%*.\\").replace(",", "").replace("\u2212", "-").replace(" ", "")
    try:
        exponent = plain.lower().partition("e")[2]
        if len(plain) > 50 or len(exponent) > 4:  # `1e999999999` would be written out
            return plain
        return Fraction(plain)
    except (ValueError, ZeroDivisionError):
        return plain


def _closing_braces(text: str, start: int) -> dict[int, int]:
    """For each opening brace from a start on that is closed, the position of its closing one."""
    pairs: dict[int, int] = {}
    unclosed: list[int] = []
    for match in _BRACE.finditer(text, start, timeout=limit(text)):
        if match[0] == "{":
            unclosed.append(match.start())
        elif match[0] == "}" and unclosed:
            pairs[unclosed.pop()] = match.start()
    return pairs
