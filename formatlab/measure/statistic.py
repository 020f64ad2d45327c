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
    counted: np.ndarray
    """Whether a prompt counts; bool (P,)."""
    of_prompts: bool = False
    """Whether the sums of prompts that do not count are 0, so that more may be left out."""

    @property
    def n_prompts(self) -> int:
        """Prompts that count."""
        return int(self.counted.sum())

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
        counted=defined,
        of_prompts=True,
    )


def matched(one: Sequence[Statistic], other: Sequence[Statistic]) -> list[Statistic]:
    """The statistics of one set, over those prompts alone that count on both sides.

    Args:
        one: statistics of a set of rollouts.
        other: of another set, on the same prompts in the same order.
    """
    counted = {statistic.key: statistic.counted for statistic in other}
    found = []
    for statistic in one:
        if statistic.of_prompts and statistic.key in counted:
            both = statistic.counted & counted[statistic.key]
            sums = np.where(both[:, None], statistic.sums, 0.0)
            statistic = replace(statistic, sums=sums, counted=both)
        found.append(statistic)
    return found


def ratio(sums: np.ndarray) -> np.ndarray:
    """The first sum over the second; (..., 2) -> (...), nan over 0."""
    above, below = sums[..., 0], sums[..., 1]
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A number with its interval."""

    value: float
    """nan where it is not defined."""
    low: float | None
    """Lower bound, 95%, of a cluster bootstrap over prompts; None below `FEWEST_CLUSTERS`."""
    high: float | None
    """Upper bound, likewise."""


NOT_DEFINED = Estimate(value=float("nan"), low=None, high=None)
"""What has no value."""


def draws(
    statistics: Sequence[Statistic], *, resamples: int = DEFAULT_RESAMPLES, seed: int = 0
) -> list[np.ndarray]:
    """The values of statistics of the same prompts over shared resamples; (B,) each."""
    if not statistics:
        return []
    drawn = resampled([statistic.sums for statistic in statistics], resamples, seed)
    return [statistic.of_sums(sums) for statistic, sums in zip(statistics, drawn, strict=True)]


def estimate(value: float, drawn: np.ndarray, prompts: int, *, fraction: bool = False) -> Estimate:
    """A number with the percentile interval of its resamples.

    Where all resamples agree, they say nothing of prompts that were not drawn. A fraction has
    Wilson's interval there, and other numbers have none.

    Args:
        value: of the rollouts; nan where it is not defined.
        drawn: of the resamples; (B,).
        prompts: that count.
        fraction: whether it is one of the prompts or rollouts.
    """
    if prompts < FEWEST_CLUSTERS or np.isnan(value) or np.isnan(drawn).all():
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

    Where all resamples agree, no prompt differs from the others in its difference. That of
    fractions then has Wilson's interval of 0 such prompts of all, upwards and downwards.
    """
    found = estimate(values[1] - values[0], drawn[1] - drawn[0], prompts)
    if not fraction or found.low is not None or prompts < FEWEST_CLUSTERS or np.isnan(found.value):
        return found
    _, beyond = wilson_interval(0.0, prompts)
    low, high = max(-1.0, found.value - float(beyond)), min(1.0, found.value + float(beyond))
    return Estimate(value=found.value, low=low, high=high)


def retained(
    values: tuple[float, float], drawn: tuple[np.ndarray, np.ndarray], prompts: int
) -> Estimate:
    """The second number as a fraction of the first, with its interval; for numbers above 0.

    Args:
        values: both; nan where it is not defined.
        drawn: of the resamples; (B,) each.
        prompts: that count.
    """
    if not values[0] > 0 or not values[1] >= 0:
        return NOT_DEFINED
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(drawn[0] > 0, drawn[1] / drawn[0], np.nan)
    return estimate(values[1] / values[0], ratios, prompts)
