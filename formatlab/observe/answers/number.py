"""Numbers as people and models write them, and when two of them are the same answer.

Both sides are read exactly, as fractions, and are the same if their values are equal. For integers
there is no other rule, however large they are. Other numbers may also be the same in three cases,
in which an exact value is written inexactly:

- A decimal of at least 15 digits is a printed float. It is the same as a number that differs by at
  most one part in 10^9 and by at most 10^-6; for 0, by at most 10^-12.
- A decimal of at least 6 digits may stand for a number that has no end as a decimal (1/3), or for a
  decimal of at least 10 digits: it was rounded or cut off if the two differ by less than a unit in
  its last place.
- `50%` is 50, per cent being a unit. It is also 1/2, but only if the right answer is written as a
  fraction, as a decimal that is no integer, or in per cent: 50 is neither 0.5 nor 5000%.
"""

import unicodedata
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

import regex

_LONGEST = 200
"""Characters above which a text states no number; bounds the work of every pattern."""
MOST_DIGITS = 100
"""Digits, and powers of ten, above which a number is not taken for an answer."""

_FLOAT_DIGITS = 15
"""Digits from which a decimal counts as a printed float; Python prints up to 17."""
_CUT_DIGITS = 10
"""Digits from which a decimal counts as rounded or cut off."""
EXPANSION_DIGITS = 6
"""Digits that a decimal needs to stand for a number that has no end as a decimal."""
_FLOAT_RELATIVE, _FLOAT_ABSOLUTE = Fraction(1, 10**9), Fraction(1, 10**6)
_FLOAT_ZERO = Fraction(1, 10**12)

# The parts of a number, in their order. Only ASCII digits count: digits of other scripts, and
# letters that look like digits, state no number.
_SIGN = "[-+\u2212\u2013]"  # hyphen, plus, minus sign, and the dash that is typed for it
_CURRENCY = r"(?:(?:US|AU|CA|NZ)?\$|[€£¥₹]|(?:USD|EUR|GBP|Rs\.?)(?=[\s\d]))"
_PREFIX = regex.compile(rf"({_SIGN})?\s*(?:{_CURRENCY}\s*({_SIGN})?)?\s*")
_GAP = "[ \u00a0\u2009\u202f]"  # a space between groups of three digits
_DECIMAL = regex.compile(
    rf"(?:[0-9]{{1,3}}(?:,[0-9]{{3}})+|[0-9]{{1,3}}(?:{_GAP}[0-9]{{3}})+(?!\s*[0-9/])|[0-9]+)"
    r"(?:\.[0-9]*)?(?![0-9,]*[0-9])|\.[0-9]+"
)
_MIXED = regex.compile(r"\s+(?:and\s+)?([0-9]{1,40})\s*/\s*([0-9]{1,40})")
_DENOMINATOR = regex.compile(r"\s*/\s*([0-9]{1,40})")
_POWER = rf"\s*(?:\^|\*\*)\s*(?:({_SIGN}?[0-9]{{1,4}})|\{{\s*({_SIGN}?[0-9]{{1,4}})\s*\}})"
_EXPONENT = regex.compile(rf"[eE]({_SIGN}?[0-9]{{1,4}})(?![0-9])")
_TEN = regex.compile(rf"\s*(?:[xX\u00d7*\u00b7]|\\times|\\cdot)\s*10{_POWER}(?![0-9])")
_RAISED = regex.compile(rf"{_POWER}(?![0-9])")
_PERCENT = regex.compile(r"\s*(?:\\?%|per\s?cent\b)", regex.IGNORECASE)
_SCALE = regex.compile(r"\s*(thousand|million|billion|trillion)\b", regex.IGNORECASE)
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}

# A unit is a few words. A single letter counts only if it is a known unit and stands apart (5x is
# not 5). No word may continue the number or name another one.
_SQUARED = r"(?:(?:\s?\^\s?\{?[23]\}?|[²³]|(?<=\b\p{Ll}{1,3})[23])(?!\w))?"
_WORD = (
    rf"(?:[\p{{Han}}\p{{Hangul}}]{{1,6}}|\p{{L}}{{2}}[\p{{L}}'\u2019-]*+\.?{_SQUARED}|°[CF]?"
    r"|[$€£¥₹])"
)
_LETTER = rf"(?<=[\s/(·])[mgshdlLVWJNFCKA]\b{_SQUARED}"
_UNIT = regex.compile(
    rf"\s*+[/(]?\s?(?:{_WORD}|{_LETTER})\)?(?:\s?[\s/(·]\s?(?:{_WORD}|{_LETTER}|a)\)?){{0,6}}\s*"
)
_CONTINUED = regex.compile(
    r"\b(?:or|and|to|plus|minus|times|over|by|divided|squared|cubed|factorial|pi|not|nor|versus|vs|mod"
    r"|half|halves|quarters?|thirds?|infinity|inf|nan|but|if|maybe|either|except|point|sqrt|frac|log"
    r"|zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    r"|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
    r"|hundred|thousand|million|billion|trillion|sin|cos|tan)\b",
    regex.IGNORECASE,
)

# What may stand before a number and an equals sign: a name, or a bare calculation.
_EQUATION = regex.compile(
    r"(?:\\?\p{L}[\p{L}\s']{0,30}+(?:_\{?[0-9A-Za-z]{1,10}\}?)?(?:\s?\([^()=]{1,20}\))?"
    r"|[0-9.,\s$()]+(?:(?:[-+*/x\u00d7\u00f7\u2212]|\\times|\\div|\\cdot)[0-9.,\s$()]+)+)\s*=\s*"
)

# Markup that may stand in or around a number.
_GROUPING = regex.compile(r"(?<=[0-9])(?:\{,\}|,?\\!|,?\\,)\s*(?=[0-9]{3})")
_FRACTION = regex.compile(
    r"\\[dtc]?frac\s*(?:\{\s*([-\u2212]?[0-9]{1,40})\s*\}|([0-9]))"
    r"\s*(?:\{\s*([0-9]{1,40})\s*\}|([0-9]))"
)
_VULGAR = regex.compile("[\u00bc-\u00be\u2150-\u215e]")
_WORDS = regex.compile(r"\\(?:text(?:bf|it|rm)?|math(?:bf|it|rm)|mbox)\s*\{([^{}]*)\}")
_DEGREES = regex.compile(r"\s*\^\s*(?:\\circ\b|\{\s*\\circ\s*\})")
_SPACING = regex.compile(r"\\[,;:! ]|~|\\quad\b")
_DELIMITERS = regex.compile(r"\\[()\[\]]")
_EMPHASIS = regex.compile(r"(?<![\w*`])(\*{1,2}|`)([^*`]+)\1(?![\w*`])")


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A number as it was written."""

    value: Fraction
    """Its value; a percent sign is a unit, so that `50%` has 50."""
    digits: int = 0
    """Significant digits of a decimal; 0 for an integer or a fraction."""
    place: Fraction = Fraction(0)
    """Value of one unit in the last digit of a decimal."""
    percent: bool = False

    @property
    def text(self) -> str:
        """The number written plainly: `1234`, `0.75`, `1/3`, `50%`."""
        if self.endless:
            written = f"{self.value.numerator}/{self.value.denominator}"
        else:
            with localcontext(prec=4 * MOST_DIGITS):
                decimal = Decimal(self.value.numerator) / self.value.denominator
            written = format(decimal, "f")
        return f"{written}%" if self.percent else written

    @property
    def whole(self) -> bool:
        """Whether it is an integer."""
        return self.value.denominator == 1

    @property
    def endless(self) -> bool:
        """Whether it has infinitely many digits as a decimal."""
        rest = self.value.denominator
        for prime in (2, 5):
            while rest % prime == 0:
                rest //= prime
        return rest != 1


def parse_number(text: str) -> Fraction | None:
    """The value of the one number that a short text states, without unit and currency, or None.

    A percent sign is a unit: `50%` is 50. A text with two numbers states none.
    """
    number = read_number(text)
    return None if number is None else number.value


def read_number(text: str) -> Number | None:
    """The one number that a short text states, as it is written there; None if it states none.

    Before it may stand a name or a bare calculation with an equals sign (`x = 18`, `3 + 4 = 7`),
    behind it a scale (`5 million`) and a unit in words. Units are not compared: a dozen is a unit.
    """
    if len(text) > _LONGEST:
        return None
    plain = _without_markup(text)
    equation = _EQUATION.match(plain)
    if equation:
        plain = _bare(plain[equation.end() :])
    prefix = _PREFIX.match(plain)
    assert prefix is not None, "every part of it may be missing"
    decimal = _DECIMAL.match(plain, prefix.end())
    if decimal is None or (prefix[1] and prefix[2]):
        return None
    scaled = _scaled(decimal[0], plain[decimal.end() :])
    if scaled is None:
        return None
    number, rest = scaled
    if rest.strip() and not _is_unit(rest):
        return None
    negative = (prefix[1] or prefix[2] or "+") != "+"
    return _times(number, -1) if negative else number


def same_number(answer: Number, gold: Number) -> bool:
    """Whether an answer is the right one, by the rules at the top of this file."""
    if answer.percent != gold.percent and (gold.percent or not gold.whole):
        quantities = (
            _times(side, Fraction(1, 100)) if side.percent else side for side in (answer, gold)
        )
        if _same_value(*quantities):
            return True
    return _same_value(answer, gold)


def _same_value(one: Number, other: Number) -> bool:
    if one.value == other.value:
        return True
    if one.whole and other.whole:
        return False
    return _stands_for(one, other) or _stands_for(other, one)


def _stands_for(decimal: Number, other: Number) -> bool:
    """Whether a decimal is another number that was printed, rounded or cut off."""
    difference = abs(decimal.value - other.value)
    if decimal.digits >= _FLOAT_DIGITS:
        near = min(_FLOAT_RELATIVE * abs(other.value), _FLOAT_ABSOLUTE) or _FLOAT_ZERO
        if difference <= near:
            return True
    inexact = other.endless or other.digits >= _CUT_DIGITS
    return inexact and decimal.digits >= EXPANSION_DIGITS and difference < decimal.place


def _scaled(written: str, rest: str) -> tuple[Number, str] | None:
    """A number from its digits and the text behind them, with the rest of that text."""
    number = _plain_number(written)
    if number is None:
        return None
    if (mixed := _MIXED.match(rest)) and not number.digits:
        part = _ratio(mixed[1], mixed[2])
        if part is None or part >= 1:
            return None
        number, rest = Number(value=number.value + part), rest[mixed.end() :]
    elif denominator := _DENOMINATOR.match(rest):
        part = _ratio("1", denominator[1])
        if part is None:
            return None
        number, rest = Number(value=number.value * part), rest[denominator.end() :]
    else:
        raised = _RAISED.match(rest) if written == "10" else None
        power = raised or _EXPONENT.match(rest) or _TEN.match(rest)
        if power:
            written_power = next(filter(None, power.groups()))
            exponent = int(regex.sub("[\u2212\u2013]", "-", written_power))
            if abs(exponent) > 4 * MOST_DIGITS:
                return None
            shift = Fraction(10) ** (exponent - 1 if raised else exponent)
            number, rest = _times(number, shift), rest[power.end() :]
    if percent := _PERCENT.match(rest):
        return Number(
            value=number.value, digits=number.digits, place=number.place, percent=True
        ), rest[percent.end() :]
    if scale := _SCALE.match(rest):
        return _times(number, Fraction(_SCALES[scale[1].lower()])), rest[scale.end() :]
    return number, rest


def _plain_number(written: str) -> Number | None:
    """A number from its digits, grouping and decimal point."""
    digits = regex.sub(r"[^0-9.]", "", written)
    if len(digits) > MOST_DIGITS + 1:
        return None
    if "." not in digits.rstrip("."):
        return Number(value=Fraction(digits.rstrip(".")))
    places = len(digits) - digits.index(".") - 1
    return Number(
        value=Fraction(digits),
        digits=len(digits.replace(".", "").lstrip("0")),
        place=Fraction(1, 10**places),
    )


def _times(number: Number, factor: Fraction | int) -> Number:
    return Number(
        value=number.value * factor,
        digits=number.digits,
        place=number.place * abs(factor),
        percent=number.percent,
    )


def _ratio(over: str, under: str) -> Fraction | None:
    return Fraction(int(over), int(under)) if int(under) else None


def _is_unit(text: str) -> bool:
    return _UNIT.fullmatch(text) is not None and _CONTINUED.search(text) is None


def _without_markup(text: str) -> str:
    text = _GROUPING.sub(",", text.replace("\\$", "$"))
    text = _FRACTION.sub(_written_out, text)
    text = _VULGAR.sub(lambda match: " " + unicodedata.normalize("NFKC", match[0]), text)
    text = _WORDS.sub(r" \1 ", text.replace("\u2044", "/"))
    text = _SPACING.sub(" ", _DEGREES.sub("°", text))
    text = _DELIMITERS.sub(" ", _EMPHASIS.sub(r"\2", text))
    return _bare(text)


def _written_out(match: "regex.Match[str]") -> str:
    return f" {match[1] or match[2]}/{match[3] or match[4]} "


def _bare(text: str) -> str:
    text = text.strip().rstrip(".").strip()
    return text.removeprefix("$").removesuffix("$").strip()
