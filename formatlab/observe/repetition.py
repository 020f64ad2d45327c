"""Texts that run in circles."""

import regex

_SHORTEST = 24
"""Characters below which nothing is called a loop."""

_SAMPLE = 50_000
"""Characters that the judgement rests on."""

_TAIL = 12
"""Characters at the end of which an earlier copy is looked for."""

_COVERAGE = 0.9
"""Share of a text that has to repeat, and at least..."""

_TIMES = 4
"""...so many times."""

_PARTS = regex.compile(r"[.!?]\s|\n|<\|[^<>\n]*\|>")
_MANY, _DISTINCT = 20, 0.1
"""Sentences or lines from which a text is a loop if no more than this share of them differ."""


def is_loop(text: str) -> bool:
    """Whether most of a text is the same words or characters over and over.

    Either one stretch of it comes again and again without a break to the end (nine tenths of the
    text, four times), or fewer than a tenth of its many sentences differ, or than a fifth of its
    few words.
    """
    sample = text[:_SAMPLE]
    if len(sample) < _SHORTEST:
        return False
    words = sample[:1000].lower().split()
    if 8 <= len(words) < 150 and len(set(words)) < 0.2 * len(words):
        return True
    if _repeating(sample) >= _COVERAGE * len(sample):
        return True
    if len(sample) < _MANY * _TAIL:
        return False
    parts = [part for part in _PARTS.split(sample) if len(part) > 3]
    return len(parts) >= _MANY and len(set(parts)) < _DISTINCT * len(parts)


def _repeating(text: str) -> int:
    """Characters at the end of a text that are one stretch repeated; 0 if fewer than four times."""
    end = len(text)
    before = text.rfind(text[-_TAIL:], 0, end - 1)
    if before < 0:
        return 0
    period = end - _TAIL - before
    low, high = 0, end - period  # the smallest start from which the text has that period
    while low < high:
        middle = (low + high) // 2
        if text[middle : end - period] == text[middle + period :]:
            high = middle
        else:
            low = middle + 1
    length = end - low
    return length if length >= _TIMES * period else 0
