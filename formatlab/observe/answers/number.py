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

import ast
import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

import regex

from formatlab.world.formats.limits import MINUS, SCALE, THIN_SPACES

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

# The parts of a number, in their order. Only the digits 0 to 9 count (`latin_digits`).
_SIGN = rf"[{MINUS}+]"
_CURRENCY = r"(?:(?:[A-Z]{1,2})?\$|\p{Sc}|(?:USD|EUR|GBP|CHF|Rs\.?)(?=[\s\d]))"
_PREFIX = regex.compile(rf"({_SIGN})?\s*(?:{_CURRENCY}\s*({_SIGN})?)?\s*")
_GAP = f"[ {THIN_SPACES}]"  # a space between groups of three digits
_DECIMAL = regex.compile(
    rf"(?:[0-9]{{1,3}}(?:,[0-9]{{3}})+|[0-9]{{1,3}}(?:{_GAP}[0-9]{{3}})+(?!\s*[0-9/])|[0-9]+)"
    r"(?:\.[0-9]*)?(?![0-9,]*[0-9])|\.[0-9]+"
)
INTEGER = re.compile(rf"-?[0-9]{{1,{MOST_DIGITS}}}")
"""An integer as programs write it."""
_SLASH = "[/\u2044]"
_MIXED = regex.compile(rf"\s+(?:and\s+)?([0-9]{{1,80}})\s*{_SLASH}\s*([0-9]{{1,80}})")
_DENOMINATOR = regex.compile(rf"\s*{_SLASH}\s*([0-9]{{1,80}})")
_POWER = (
    rf"\s*(?:\^|\*\*)\s*(?:({_SIGN}?[0-9]{{1,4}})|\{{\s*({_SIGN}?\s*[0-9]{{1,4}})\s*\}}"
    rf"|\(\s*({_SIGN}?[0-9]{{1,4}})\s*\))"
)
_EXPONENT = regex.compile(rf"[eE]({_SIGN}?[0-9]{{1,4}})(?![0-9])")
_TEN = regex.compile(rf"\s*(?:[xX\u00d7*\u00b7]|\\times)\s*10{_POWER}(?![0-9])")
_RAISED = regex.compile(rf"{_POWER}(?![0-9])")
_PERCENT = regex.compile(r"\s*(?:\\?%|per\s?cent\b)", regex.IGNORECASE)
_SCALE = regex.compile(
    rf"\s*(?:({SCALE})|([\u4e07\u842c\ub9cc])|([\u4ebf\u5104\uc5b5]))",
    regex.IGNORECASE,
)
_SCALES = {
    **{"dozen": 12, "hundred": 10**2, "thousand": 10**3, "lakh": 10**5, "crore": 10**7},
    **{"million": 10**6, "billion": 10**9, "trillion": 10**12, "mn": 10**6, "bn": 10**9},
}

# A unit is a few words. A single letter counts only if it is a known unit and stands apart (5x is
# not 5). No word may continue, bound, hedge or deny the number, or name another one.
_SQUARED = (
    r"(?:(?:\s?\^\s?(?:[1-4]|\{[-\u2212]?[1-4]\})|\u207b?[\u00b9\u00b2\u00b3]"
    r"|(?<=\b\p{Ll}{1,3})[23])(?!\w))?"
)
_WORD = (
    rf"(?:[\p{{Han}}\p{{Hangul}}\p{{Hiragana}}\p{{Katakana}}]{{1,8}}"
    rf"|\p{{L}}{{2}}[\p{{L}}\p{{M}}'\u2019-]*+\.?{_SQUARED}|\p{{L}}\p{{M}}[\p{{L}}\p{{M}}]*+"
    r"|\u00b0[CF]?|[\u03a9\u2126]|\p{Sc})"
)
_LETTER = rf"(?:(?<=[\s/(\u00b7\u00b0])[mgshdlLVWJNFCKATÅ]|(?<!.)[gLVW])\b{_SQUARED}"
_UNIT = regex.compile(
    rf"\s*+[/(]?\s?(?:an?\s(?=\p{{L}}{{3}}))?(?:{_WORD}"
    rf"|{_LETTER})\)?(?:\s?[\s/(\u00b7]\(?\s?(?:{_WORD}|{_LETTER}|a)\)?){{0,6}}\s*"
)
_CONTINUED = regex.compile(
    r"\b(?:or|and|plus|minus|divided|factorial|pi|not|nor|versus|vs|mod|half|halves|quarter|thirds?"
    r"|infinity|inf|nan|bound|but|if|unless|otherwise|else|either|except|without|point|sqrt|frac"
    r"|log"
    r"|zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen"
    r"|fifteen"
    r"|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
    rf"|{SCALE}|(?:ten|hundred|thousand|million)s|(?:ten|hundred|thousand|million|four|fif|six"
    rf"|seven|eigh|nin|twelf)ths|sin|cos|tan"
    r"|docenas?|douzaines?|dutzend|d\u00fazias?|dozzin[ae]|\u0434\u044e\u0436\u0438\u043d\p{L}*+"
    r"|mil|mille|mila|tausend|mil+i?[o\u00f3]n(?:es?|en|i)?|mil+i\p{L}?rd\p{L}*+"
    r"|milh(?:\u00e3o|\u00f5es)|mln|mio|mrd"
    r"|\u0442\u044b\u0441\u044f\u0447\p{L}*+|\u043c\u0438\u043b\u043b\u0438\p{L}*+|cientos"
    r"|maybe|perhaps|possibly|probably|presumably|could|might|never|neither|cannot"
    r"|\p{L}+n['\u2019]t"
    r"|(?:more|less|fewer|greater|larger|smaller|higher|lower|other|rather)\s+than"
    r"|at\s+(?:least|most|minimum|maximum|best|worst)|(?:wrong|incorrect|false|is\s+no"
    r"|too)(?=[\s)]*\Z)"
    r"|times\b(?!\s*(?:\Z|as|per|a|each|every|in|this|last|more|larger|bigger|greater|faster|longer"
    r"|older|heavier)))\b"
    r"|\A\W*(?:to|over|by|squared|cubed)\b"
    r"|\A\W*ish\b|\u7684|\u4ee5[\u4e0a\u4e0b\u5185\u5167]|[\u6216\u4e0d\u975e\u672a]|\u5de6\u53f3"
    r"|\uc774\uc0c1|\uc774\ud558|\ubbf8\ub9cc|\ucd08\uacfc",
    regex.IGNORECASE,
)

# What may stand before an equals sign: a name, a calculation, or the number in another form.
_NAME = regex.compile(
    r"(?:m\s?(?=\\))?(?:\\?\p{L}[\p{L}\p{M}\s'\u2019]{0,30}+(?:_(?:[0-9A-Za-z]"
    r"|\{[0-9A-Za-z]{1,10}\}))?"
    r"(?:(?:\^\{?-1\}?)?\s?\([^()=]{1,20}\))?"
    r"|\[\p{Lu}{1,6}\]|\|\p{Lu}{2}\||\\overline\{\p{Lu}{2}\})"
)
_NO_NAME = regex.compile(
    r"\b(?:no|not|neg|lnot|non|never|neither|nor|none|nobody|nothing|without|cannot"
    r"|\p{L}+n['\u2019]t"
    r"|any\p{L}*|every\p{L}*|all|but|except|excluding|unless|if|other|otherwise|instead|rather|else"
    r"|different|wrong\p{L}*|incorrect\p{L}*|false\p{L}*|fake|bad|untrue|mistaken?|error|invalid"
    r"|impossible|doubt\p{L}*|unlikely|opposite|far|less|more|fewer|greater|larger|smaller|higher"
    r"|lower|least|most|than|to|under|over|above|below|beyond|half|twice|double|triple|times|plus"
    r"|minus|root|sqrt|squared|cubed|log|ln|exp|sin|cos|tan|sec|csc|cot|about|approximately"
    r"|roughly|nearly|almost|maybe|perhaps|possibly|probably|could|might)\b",
    regex.IGNORECASE,
)
_CALCULATION = regex.compile(
    r"(?:[0-9.,\s$()+*/x\u00d7\u00f7\u00b7\u2044-]|\u2212|\\times(?![A-Za-z])|\\div(?![A-Za-z]))+"
)
_OPERATORS = (("\\times", "*"), ("\\div", "/"), ("\u00d7", "*"), ("x", "*"), ("\u00b7", "*"))
_IN_CALCULATION = regex.compile(
    r"([0-9]+)\u2044([0-9]+)|([0-9]+(?:,[0-9]{3})*(?:\.[0-9]*)?|\.[0-9]+)"
)
_JUXTAPOSED = regex.compile(r"(?<=[0-9)])\s*(?=\()|(?<=\))\s*(?=[0-9])")

# Markup that may stand in or around a number.
_GROUPING = regex.compile(
    r"(?<=[0-9])(?:\{,\}|(?:,?\\!|,?\\,|\{\\[,; ]\}|['\u2019])\s*)(?=[0-9]{3}(?![0-9]))"
)
_WHOLE = r"[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,40}(?:\.[0-9]{1,40})?"
_FRACTION = regex.compile(
    rf"\\(?:[dtc]|nice|s|x)?frac\s*(?:\{{\s*([-\u2212]?(?:{_WHOLE}))\s*\}}|([0-9]))"
    rf"\s*(?:\{{\s*([-\u2212]?(?:{_WHOLE}))\s*\}}|([0-9]))"
)
_REPEATING = regex.compile(
    r"([0-9]{0,30})\.([0-9]{0,30})\\(?:overline|bar)\s*\{\s*([0-9]{1,30})\s*\}"
)
_VULGAR = regex.compile("[\u00bc-\u00be\u2150-\u215e]")
_RAISED_DIGITS = regex.compile(
    r"(?<=(?<![0-9.])10)[\u207a\u207b]?[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+"
)
_WORDS = regex.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|up|normal)?|math(?:bf|it|rm|sf|tt)|mbox|emph|underline|boldsymbol"
    r"|bm|operatorname\*?|boxed|fbox)\s*\{([^{}]*)\}"
)
_COMMANDS = (
    (regex.compile(r"\\(?:left|right|displaystyle|limits|bf|rm)(?![A-Za-z])"), ""),
    (regex.compile(r"\\cdot(?![A-Za-z])"), "\u00b7"),
    (regex.compile(r"\\[dt]?frac\s*\{\s*(\p{L}[^{}]*)\}\s*\{\s*(\p{L}[^{}]*)\}"), r" \1/\2"),
    (regex.compile(r"\\over(?![A-Za-z])"), "/"),
    (
        regex.compile(r"\s*\^\s*(?:\\circ(?![A-Za-z])|\{\s*\\circ\s*\})|\\degrees?(?![A-Za-z])"),
        "\u00b0",
    ),
    (regex.compile(r"\\(?:Omega|ohm)(?![A-Za-z])"), "ohm"),
    (regex.compile(r"\\mu\s*"), "\u00b5"),
    (regex.compile(r"\\pounds(?![A-Za-z])"), "\u00a3"),
    (regex.compile(r"\\(?:euro|EUR)(?![A-Za-z])"), "\u20ac"),
    (regex.compile(r"\\[,;:! ]|~|\\q?quad(?![A-Za-z])"), " "),
    (regex.compile(r"\\[()\[\]]"), " "),
    (regex.compile(r"(?<![\w*`])(\*{1,3}|`|__)([^*`]+)\1(?![\w*`])"), r"\2"),
    (regex.compile(r"(?<=[0-9]) and a half\b"), " 1/2"),
    (regex.compile(r"\\(?:begin|end)\s*\{(?:aligned|align\*?|gathered)\}|&(?==)"), " "),
    (regex.compile(r"[ \t\n]+"), " "),
    (regex.compile(r"\A\s?(?:the\s)?(?:final\s)?answer(?:\sis|\s?:)\s?", regex.IGNORECASE), ""),
)
_BRACKETED = regex.compile(r"\(([^(){}]*)\)|\{([^(){}]*)\}")
_TRAILING = regex.compile(
    r"(?:(?<![.\u2026])\.|[,;:\u3001]|\s[:;]-?[)D]"
    # pictures, but none that strikes the answer out or doubts it
    r"|(?![\u00a9\u00ae\u274c\u274e\u2716\u2753\u2754\u26a0\U0001f6ab\U0001f914\U0001f937\U0001f44e])"
    r"[\p{Extended_Pictographic}\u2713][\ufe0f\u200d\u20e3]?)\s*\Z"
)
_QUOTES = "\"'\u201c\u201d\u2018\u2019\u00ab\u00bb\u300c\u300d`"

_WIDE = str.maketrans(
    "\uff0c\uff0e\uff0d\ufe63\uff0b\uff04\uff05\uff08\uff09\uff1d\uff0f\u066a\u066b\u066c",
    ",.--+$%()=/%.,",
)


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
        if self.whole:
            written = str(self.value.numerator)
        elif self.endless:
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


@lru_cache(maxsize=8)  # the verdict and the answer as it is written ask for the same
def read_number(text: str) -> Number | None:
    """The one number that a short text states, as it is written there; None if it states none.

    Before it may stand a name with an equals sign (`x = 18`), a calculation that comes to it
    (`3 + 4 = 7`) or the same number in another form (`2.5 = 5/2`), behind it a scale (`5 million`,
    `2 dozen`) and a unit in words. Units are not compared.
    """
    if len(text) > _LONGEST:
        return None
    if INTEGER.fullmatch(text):
        return Number(value=Fraction(int(text)))
    *sides, last = _without_markup(text).split("=")
    number = _stated(last)
    if number is None:
        if len(sides) == 1 and is_name(_bare(last)):  # `18 = x`
            return _stated(sides[0])
        return None
    if sides and is_name(_bare(sides[0])):
        del sides[0]
    return number if all(_states(side, number) for side in sides) else None


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


def _stated(text: str) -> Number | None:
    """The one number that a text without markup and equals sign states."""
    plain = _bare(text)
    prefix = _PREFIX.match(plain)
    assert prefix is not None, "every part of it may be missing"
    decimal = _DECIMAL.match(plain, prefix.end())
    if decimal is None or (prefix[1] and prefix[2]):
        return None
    scaled = _scaled(decimal[0], plain[decimal.end() :])
    if scaled is None:
        return None
    number, rest = scaled
    if rest.strip() and not is_unit(rest):
        return None
    negative = (prefix[1] or prefix[2] or "+") != "+"
    return _times(number, -1) if negative else number


def is_name(text: str) -> bool:
    """Whether a text before an equals sign names what follows, and neither denies nor alters it."""
    return _NAME.fullmatch(text) is not None and _NO_NAME.search(text) is None


def _states(side: str, number: Number) -> bool:
    """Whether a side of an equation is a number, as another side writes it, rounded or exactly."""
    given = _stated(side)
    if given is None:
        value = _calculated(_bare(side))
        if value is None:
            return False
        given = Number(value=value)
    difference = abs(given.value - number.value)
    return same_number(given, number) or difference * 2 <= max(given.place, number.place)


def _calculated(text: str) -> Fraction | None:
    """The exact value of a calculation with `+ - * /` and brackets; None if it is none."""
    if not _CALCULATION.fullmatch(text):
        return None
    text = regex.sub(f"[{MINUS}]", "-", text.replace("$", "")).replace("\u00f7", "/")
    for written, operator in _OPERATORS:
        text = text.replace(written, operator)
    text = _IN_CALCULATION.sub(_exactly, _JUXTAPOSED.sub("*", text)).strip()
    try:
        return _evaluated(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError, ZeroDivisionError):
        return None


def _exactly(match: "regex.Match[str]") -> str:
    value = match[3].replace(",", "").rstrip(".") if match[3] else ""
    ratio = Fraction(value) if match[3] else Fraction(int(match[1]), int(match[2]))
    return f"({ratio.numerator}/{ratio.denominator})"


def _evaluated(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int(value)):
            return Fraction(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluated(operand)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _evaluated(left) + _evaluated(right)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _evaluated(left) - _evaluated(right)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _evaluated(left) * _evaluated(right)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _evaluated(left) / _evaluated(right)
        case _:
            raise ValueError("no calculation with + - * /")


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
            exponent = int(regex.sub(f"[{MINUS}]", "-", written_power).replace(" ", ""))
            if abs(exponent) > 4 * MOST_DIGITS:
                return None
            shift = Fraction(10) ** (exponent - 1 if raised else exponent)
            number, rest = _times(number, shift), rest[power.end() :]
    if percent := _PERCENT.match(rest):
        return Number(
            value=number.value, digits=number.digits, place=number.place, percent=True
        ), rest[percent.end() :]
    if scale := _SCALE.match(rest):
        english = scale[1] and _SCALES[scale[1].lower().removesuffix("s")]
        return _times(number, english or (10**4 if scale[2] else 10**8)), rest[scale.end() :]
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


def is_unit(text: str) -> bool:
    """Whether a text behind a number is a unit in words, and neither bounds nor alters it."""
    return _UNIT.fullmatch(text) is not None and _CONTINUED.search(text) is None


def _without_markup(text: str) -> str:
    if not text.isascii():
        text = _VULGAR.sub(lambda match: " " + unicodedata.normalize("NFKC", match[0]), text)
        text = _RAISED_DIGITS.sub(_lowered, text.translate(_WIDE))
    text = _GROUPING.sub(",", text.replace("\\$", "$"))
    if "\\" in text:
        text = _FRACTION.sub(_written_out, _REPEATING.sub(_as_fraction, _WORDS.sub(r" \1 ", text)))
        text = _WORDS.sub(r" \1 ", text)
    for pattern, plain in _COMMANDS:
        text = pattern.sub(plain, text)
    return _bare(text)


def _lowered(match: "regex.Match[str]") -> str:
    return "^{" + unicodedata.normalize("NFKC", match[0]).replace("\u2212", "-") + "}"


def _written_out(match: "regex.Match[str]") -> str:
    over, under = (
        Fraction(part.replace("\u2212", "-").replace(",", ""))
        for part in (match[1] or match[2], match[3] or match[4])
    )
    return _ratio_text(over / under) if under else match[0]


def _as_fraction(match: "regex.Match[str]") -> str:
    """A decimal with digits that repeat."""
    whole, fixed, repeated = match[1], match[2], match[3]
    start = Fraction(int(f"{whole}{fixed}" or 0), 10 ** len(fixed))
    return _ratio_text(
        start + Fraction(int(repeated), (10 ** len(repeated) - 1) * 10 ** len(fixed))
    )


def _ratio_text(ratio: Fraction) -> str:
    return f" {ratio.numerator}\u2044{ratio.denominator} "


def _bare(text: str) -> str:
    """The text without marks and brackets around the whole."""
    while True:
        before = text
        text = _TRAILING.sub("", text.strip()).strip(_QUOTES)
        text = text.removeprefix("$").removesuffix("$").strip()
        for opening, closing in ("()", "{}"):
            if text.endswith(closing) and opening not in text:  # cut off before the number
                text = text[:-1].rstrip()
        if bracketed := _BRACKETED.fullmatch(text):
            text = bracketed[1] or bracketed[2] or ""
        if text == before:
            return text
