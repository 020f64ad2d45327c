"""Quantities: times and sizes in words, with as many figures as an estimate deserves."""

import math


def time_words(seconds: float) -> str:
    """About how long, in a unit that people would choose."""
    for unit, length, until in (("s", 1, 90), ("min", 60, 90 * 60), ("h", 3600, 48 * 3600)):
        if seconds < until:
            return f"{_rounded(seconds / length)} {unit}"
    return f"{_rounded(seconds / 86_400)} days"


def size_words(size: float) -> str:
    """About how many bytes."""
    for unit, bytes_each in (("GiB", 2**30), ("MiB", 2**20)):
        if size >= bytes_each:
            return f"{_rounded(size / bytes_each)} {unit}"
    return f"{math.ceil(size / 2**10)} KiB"


def number_words(count: int, what: str) -> str:
    """A count and what is counted: `1 run`, `2 runs`."""
    return f"{count} {what}{'s' * (count != 1)}"


def _rounded(value: float) -> str:
    """A number with two figures or so."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")
