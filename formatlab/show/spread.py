"""The spread: how one number a seed is drawn as a point with a bar."""

from collections.abc import Sequence
from dataclasses import dataclass

SPREAD_WORDS = (
    "with one seed the bar is the 95% cluster-bootstrap interval over prompts; with several the "
    "point is their mean and the bar runs from the lowest seed to the highest"
)
"""What a bar is, for captions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A share or accuracy of one run with its interval."""

    value: float
    low: float | None
    """None where the interval is not defined."""
    high: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """What is drawn."""

    middle: float
    low: float
    high: float
    n_seeds: int


def spread(seeds: Sequence[Measured]) -> Spread:
    """Return the point and bar of one number a seed; see `SPREAD_WORDS`.

    Args:
        seeds: at least one.
    """
    if len(seeds) == 1:
        (only,) = seeds
        low = only.value if only.low is None else only.low
        high = only.value if only.high is None else only.high
        return Spread(middle=only.value, low=low, high=high, n_seeds=1)
    values = [seed.value for seed in seeds]
    return Spread(
        middle=sum(values) / len(values), low=min(values), high=max(values), n_seeds=len(values)
    )
