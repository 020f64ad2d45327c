"""Whether a part of a text is all there, or breaks off."""

import regex

_DANGLING = tuple(",;:+-/=^<\\([{&×÷·–—−")
_PAIRED = "*_`~"
"""Marks of emphasis, of which a text that is all there has an even number at its end."""

_ELLIPSIS = regex.compile(r"(?<!\d\.\d{0,40})(?:\.{3,}|…)$")
"""An ending that says that something is left out, but for the digits of `0.333...`."""

_ARGUMENT = regex.compile(
    r"\\(?:[dt]?frac(?:\{[^{}]*\})?|sqrt|times|cdot|div|pm|mp|text|mathrm|boxed|left|right|begin"
    r"|log|ln|sin"
    r"|cos|tan|[lg]eq?|neq?|in|cup|cap|to)$"
)
"""A command of LaTeX without what it needs behind it."""

_CONNECTIVE = regex.compile(
    r"(?:^|\s)(?:a|an|and|are|as|at|be|but|by|equals|for|from|has|have|if|in|is|of|on|or|plus"
    r"|minus|so|than"
    r"|that|the|then|times|to|was|were|which|with)$",
    regex.IGNORECASE,
)
_FEW = 4
"""Words that are an answer by themselves; more are a sentence, which ends in a mark or a number."""


def unfinished(text: str) -> bool:
    """Whether a text says that it goes on: it ends in three dots."""
    return text.endswith(("...", "…")) and _ELLIPSIS.search(text[-50:]) is not None


def breaks_off(text: str) -> bool:
    """Whether an answer is cut off: in a formula, behind a sign, or in the middle of a sentence.

    A number at the end counts as whole: nothing in the text tells whether a digit is missing.
    """
    text = text.strip()
    if not text or text.endswith(_DANGLING) or unfinished(text):
        return True
    if text[-1] in _PAIRED and text.count(text[-1]) % 2:
        return True
    if sum(map(text.count, "([{")) > sum(map(text.count, ")]}")):
        return True
    if "\\" in text and (
        _ARGUMENT.search(text[-200:]) or text.count("\\left") > text.count("\\right")
    ):
        return True
    if not text[-1].isalpha():
        return False
    if _CONNECTIVE.search(text[-20:]):
        return True
    return text.count(" ") >= _FEW
