"""How long a text may be, and how it writes a number.

Patterns have no limit of time, which would depend on what else the process does: they are written
to take time in proportion to the text (`tests/observe/test_hostile_text.py`).
"""

LONGEST = 1_000_000
"""Characters of the longest text that is read."""

MINUS = "-\u2212\u2010\u2011\u2012\u2013\u2014\uff0d\ufe63"
"""What stands for a minus sign before a number: the hyphen, the minus sign, and the dashes and wide
forms that are typed for it. They come first in a class (`[{MINUS}+]`), as a hyphen has to."""

THIN_SPACES = "\u00a0\u2009\u202f"
"""Spaces that stand between groups of three digits and nowhere else in a number."""

SCALE = r"(?i:(?:dozen|hundred|thousand|million|billion|trillion|lakh|crore|mn|bn)s?)\b"
"""Pattern of an English word by which the number before it is multiplied."""

QUOTES = (
    '"\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}'
    "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}«»「」『』【】《》〈〉"
)
"""Quotation marks."""

WIDE_COLON = "\N{FULLWIDTH COLON}"

_VULGAR = "[\u00bc-\u00be\u2150-\u215e]"  # a fraction in one character

NUMBER = (
    rf"[{MINUS}]?(?:\\?[$€£])?(?:\d(?:(?:[\d,]|[{THIN_SPACES}](?=\d{{3}}(?!\d)))*\d)?"
    rf"(?:\.\d+)?(?:/\d+)?(?:[eE][+-]?\d+)?{_VULGAR}?|\.\d+|{_VULGAR})"
)
"""Pattern of a number as it stands in running text, a full stop or comma behind it left out."""

QUANTITY = (
    rf"[{MINUS}+\uff0b]?(?:\\?[$€£¥₹])?\s*+(?:\d{{1,3}}(?:[ ]\d{{3}})+(?![\d,/]|\s?\d)|{NUMBER})"
    r"(?:\s\d+/\d+)?(?:\s*+\\?%)?"
)
"""Pattern of a number with its sign, currency and percent sign where nothing but an answer stands:
`9 500` and `1 1/2` are one."""
