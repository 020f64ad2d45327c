"""Numbers as people and models write them."""

from fractions import Fraction

import regex

_NUMBER = regex.compile(
    r"(?P<sign>[-+\u2212]?)\s*[$€£]?\s*(?P<digits>\d{1,40}(?:,\d{3})*(?:\.\d{1,40})?|\.\d{1,40})"
    r"(?:\s*/\s*(?P<denominator>\d{1,40})|[eE](?P<exponent>[+-]?\d{1,2}))?"
    r"\s*(?P<percent>\\?%)?"
)
_MARKUP = regex.compile(r"\\(?:text|mathrm|mbox)\s*\{[^{}]*\}|\\[,;! ]|\\\$|[*`]")
_UNIT = regex.compile(r"\s*[\p{L}°][\p{L}\s./²³-]{0,40}")


def parse_number(text: str) -> Fraction | None:
    """The one number that a short text states, units and currency aside; None where it does not.

    A percent sign is a unit: `50%` is 50. Text with two numbers states none.
    """
    if len(text) > 200:
        return None
    cleaned = _MARKUP.sub("", text, timeout=0.5).strip().rstrip(".").strip()
    cleaned = cleaned.replace("{,}", ",").removeprefix("$").removesuffix("$").strip()
    match = _NUMBER.match(cleaned, timeout=0.5)
    if match is None:
        return None
    rest = cleaned[match.end() :]
    if rest and not _UNIT.fullmatch(rest, timeout=0.5):
        return None
    number = Fraction(match["digits"].replace(",", ""))
    if match["denominator"]:
        if int(match["denominator"]) == 0:
            return None
        number /= int(match["denominator"])
    if match["exponent"]:
        number *= Fraction(10) ** int(match["exponent"])
    return -number if match["sign"] in ("-", "\u2212") else number
