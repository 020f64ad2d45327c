"""How long a pattern may take on text that a model wrote, and how such text writes a number."""

PATTERN_SECONDS = 2.0
"""Time limit of every pattern match on text that a model wrote; `regex` then raises TimeoutError.

No pattern here should come near it: they are written to take time in proportion to the text.
"""

NUMBER = r"[-\u2212]?[$€£]?\d(?:[\d,]*\d)?(?:\.\d+)?(?:/\d+)?(?:[eE][+-]?\d+)?"
"""Pattern of a number as it stands in running text, a full stop or comma behind it left out."""

QUANTITY = rf"[-+\u2212]?[$€£¥₹]?\s*+{NUMBER}(?:\s\d+/\d+)?(?:\s*+\\?%)?"
"""Pattern of a number with its sign, currency and percent sign; `1 1/2` is one."""
