"""Statistics: numbers of a set of rollouts that a bootstrap over prompts can draw again.

A statistic is a function of sums over prompts. A mean over prompts is the sum of their values over
the number of prompts that have one; the entropy of all rollouts is a function of the sums of the
tags. So a resample of prompts needs only the sums, and all statistics of a set of rollouts, and of
another on the same prompts, can share one draw.

P: prompts, K: sums of a statistic, B: resamples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from formatlab.measure.bootstrap import (
    DEFAULT_RESAMPLES,
    FEWEST_CLUSTERS,
    cluster_interval,
    percentile_interval,
    resampled,
)
from formatlab.measure.wilson import wilson_interval

_ROUNDING = 1e-12
"""Equal ratios may differ in the last bit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistic:
    """A number of a set of rollouts."""

    measure: str
    """For example `pass@k`."""
    subset: str = "all"
    """The rollouts that it looks at: `all`, `right` ones, or those of one tag."""
    k: int | None = None
    """Rollouts of each prompt that it looks at; None where their number does not matter."""
    sums: np.ndarray
    """What each prompt adds; (P, K)."""
    of_sums: Callable[[np.ndarray], np.ndarray]
    """From the sums to the number, (..., K) -> (...); nan where it is not defined."""
    bearing: np.ndarray
    """Whether a prompt has what it takes; bool (P,)."""
    of_prompts: bool = False
    """Whether prompts that do not bear are left out, and all others weigh the same."""

    @property
    def key(self) -> tuple[str, str, int | None]:
        """What tells it from the others of its rollouts."""
        return self.measure, self.subset, self.k

    @property
    def value(self) -> float:
        """The number; nan where it is not defined."""
        return float(self.of_sums(self.sums.sum(axis=0)))


def mean_of_prompts(
    measure: str, values: Sequence[float] | np.ndarray, *, subset: str = "all", k: int | None = None
) -> Statistic:
    """The mean over prompts of a number that each has, or nan.

    Args:
        measure: its name.
        values: of each of P prompts; those with nan are left out.
        subset: the rollouts that it looks at.
        k: rollouts of each prompt that it looks at.
    """
    column = np.asarray(values, dtype=np.float64)
    defined = ~np.isnan(column)
    return Statistic(
        measure=measure,
        subset=subset,
        k=k,
        sums=np.stack([np.where(defined, column, 0.0), defined], axis=1),
        of_sums=ratio,
        bearing=defined,
        of_prompts=True,
    )


def matched(one: Sequence[Statistic], other: Sequence[Statistic]) -> list[Statistic]:
    """The statistics of one set, those of prompts over the ones alone that bear on both.

    Args:
        one: statistics of a set of rollouts.
        other: of another set, on the same prompts in the same order.
    """
    bearing = {of.key: of.bearing for of in other}
    found = []
    for of in one:
        if of.of_prompts and of.key in bearing:
            both = of.bearing & bearing[of.key]
            found.append(replace(of, sums=np.where(both[:, None], of.sums, 0.0), bearing=both))
        else:
            found.append(of)
    return found


def ratio(sums: np.ndarray) -> np.ndarray:
    """The first sum over the second; (..., 2) -> (...), nan over 0."""
    above, below = sums[..., 0], sums[..., 1]
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A number with its interval."""

    value: float | None
    """None where it is not defined."""
    low: float | None
    """Lower bound, 95%, of a cluster bootstrap over prompts; None below `FEWEST_CLUSTERS`, and
    where all resamples agree, which says nothing of prompts that were not drawn."""
    high: float | None
    """Upper bound, likewise."""


def draws(
    statistics: Sequence[Statistic], *, resamples: int = DEFAULT_RESAMPLES, seed: int = 0
) -> list[np.ndarray]:
    """The values of statistics of the same prompts over shared resamples; (B,) each."""
    if not statistics:
        return []
    drawn = resampled([of.sums for of in statistics], resamples, seed)
    return [of.of_sums(sums) for of, sums in zip(statistics, drawn, strict=True)]


def estimate(value: float, drawn: np.ndarray, prompts: int, *, fraction: bool = False) -> Estimate:
    """A number with the percentile interval of its resamples.

    Args:
        value: of the rollouts; nan where it is not defined.
        drawn: of the resamples; (B,).
        prompts: that bear on it.
        fraction: whether it is one of the prompts or rollouts, which has an interval by Wilson
            where all resamples agree; other numbers have none there.
    """
    if np.isnan(value):
        return Estimate(value=None, low=None, high=None)
    if prompts < FEWEST_CLUSTERS or np.isnan(drawn).all():
        return Estimate(value=value, low=None, high=None)
    low, high = cluster_interval(drawn, prompts) if fraction else percentile_interval(drawn)
    if high - low < _ROUNDING:
        return Estimate(value=value, low=None, high=None)
    return Estimate(value=value, low=float(low), high=float(high))


def difference(
    values: tuple[float, float],
    drawn: tuple[np.ndarray, np.ndarray],
    prompts: int,
    *,
    fraction: bool = False,
) -> Estimate:
    """The second number less the first, with its interval; see `estimate` for the arguments.

    Where all resamples of a difference of fractions agree, the interval is made of Wilson's
    intervals of both (Newcombe, Interval Estimation for the Difference between Independent
    Proportions (1998), method 10).
    """
    found = estimate(values[1] - values[0], drawn[1] - drawn[0], prompts)
    if not fraction or found.value is None or found.low is not None or prompts < FEWEST_CLUSTERS:
        return found
    ends = [wilson_interval(np.array(value), np.array(prompts)) for value in values]
    (low_a, high_a), (low_b, high_b) = ends
    a, b = values
    return Estimate(
        value=b - a,
        low=float(b - a - np.hypot(b - low_b, high_a - a)),
        high=float(b - a + np.hypot(high_b - b, a - low_a)),
    )
