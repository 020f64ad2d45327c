"""How long a text may be, and how it writes a number."""

LONGEST = 1_000_000
"""Characters of the longest text that is read."""


def limit(text: str) -> None:
    """The time limit of a pattern on a text: none.

    A limit of time depends on what else the process does. Patterns are written to take time in
    proportion to the text instead, and texts made to break them hold them to it
    (`tests/observe/test_hostile_text.py`).
    """


NUMBER = r"[-\u2212]?[$€£]?\d(?:[\d,]*\d)?(?:\.\d+)?(?:/\d+)?(?:[eE][+-]?\d+)?"
"""Pattern of a number as it stands in running text, a full stop or comma behind it left out."""

QUANTITY = rf"[-+\u2212]?[$€£¥₹]?\s*+{NUMBER}(?:\s\d+/\d+)?(?:\s*+\\?%)?"
"""Pattern of a number with its sign, currency and percent sign; `1 1/2` is one."""
