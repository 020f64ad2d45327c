"""How long a pattern may take on text that a model wrote, and how such text writes a number."""

PATTERN_SECONDS = 2.0
"""Time limit of a pattern match on text that a model wrote; `regex` then raises TimeoutError."""

_SHORT = 2_000
"""Characters up to which a match is not timed."""


def limit(text: str) -> float | None:
    """The time limit of a match on a text, in seconds; none for a short one.

    No pattern comes near it: they take time in proportion to the text, and texts of 100,000
    characters made to break them hold them to it (`tests/observe/test_hostile_text.py`). Timing
    costs ten times as much as matching a short text.
    """
    return PATTERN_SECONDS if len(text) > _SHORT else None


NUMBER = r"[-\u2212]?[$€£]?\d(?:[\d,]*\d)?(?:\.\d+)?(?:/\d+)?(?:[eE][+-]?\d+)?"
"""Pattern of a number as it stands in running text, a full stop or comma behind it left out."""

QUANTITY = rf"[-+\u2212]?[$€£¥₹]?\s*+{NUMBER}(?:\s\d+/\d+)?(?:\s*+\\?%)?"
"""Pattern of a number with its sign, currency and percent sign; `1 1/2` is one."""
