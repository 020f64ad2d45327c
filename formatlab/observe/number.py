"""Numbers as people and models write them."""

from fractions import Fraction

import regex

_LONGEST = 200
"""Characters beyond which a text is no statement of a number; bounds the work of every pattern."""

_NUMBER = regex.compile(
    r"(?P<sign>[-+\u2212]?)\s*[$€£]?\s*"
    r"(?P<digits>(?:\d{1,3}(?:,\d{3})+|\d{1,40})(?:\.\d{1,40})?(?![\d,]*\d)|\.\d{1,40})"
    r"(?:\s*/\s*(?P<denominator>\d{1,40})|[eE](?P<exponent>[+-]?\d{1,2}))?"
    r"\s*(?P<percent>\\?%)?"
)
_UNIT = regex.compile(r"\s*[\p{L}°][\p{L}\s./²³-]{0,40}")

# Markup that may stand around a number, and what is left of it.
_GROUPING = regex.compile(r"(?<=\d)(?:\{,\}|,?\\!|\\,)(?=\d{3})")
_WORDS = regex.compile(r"\\(?:text|mathrm|mbox)\s*\{([^{}]*)\}")
_SPACE = regex.compile(r"\\[,;:! ]|~")
_EMPHASIS = regex.compile(r"(?<![\w*`])(\*{1,2}|`)([^*`]+)\1(?![\w*`])")


def parse_number(text: str) -> Fraction | None:
    """The one number that a short text states, units and currency aside; None where it does not.

    A percent sign is a unit: `50%` is 50. Text with two numbers states none.
    """
    if len(text) > _LONGEST:
        return None
    plain = _without_markup(text)
    match = _NUMBER.match(plain)
    if match is None:
        return None
    rest = plain[match.end() :]
    if rest and not _UNIT.fullmatch(rest):
        return None
    number = Fraction(match["digits"].replace(",", ""))
    if match["denominator"]:
        if int(match["denominator"]) == 0:
            return None
        number /= int(match["denominator"])
    if match["exponent"]:
        number *= Fraction(10) ** int(match["exponent"])
    return -number if match["sign"] in ("-", "\u2212") else number


def _without_markup(text: str) -> str:
    text = _GROUPING.sub(",", text.replace("\\$", "$"))
    text = _WORDS.sub(r" \1 ", text)
    text = _SPACE.sub(" ", text)
    text = _EMPHASIS.sub(r"\2", text)
    text = text.strip().rstrip(".").strip()
    return text.removeprefix("$").removesuffix("$").strip()
