"""The attractor: which format wins at a scale, over seeds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from formatlab.measure.winners import UNDECIDED


@dataclass(frozen=True, kw_only=True)
class SeedInterval:
    """A mean over seeds with a 95% interval, the seeds being the sample."""

    mean: float
    low: float | None
    """None with one seed."""
    high: float | None
    """None with one seed."""
    n_seeds: int


@dataclass(frozen=True, kw_only=True)
class Attractor:
    """The format that the runs of one scale end in."""

    attractor: str
    """The format that wins in more than half of the seeds, or `undecided`."""
    wins: Mapping[str, int]
    """Winner at the final epoch -> number of seeds, most frequent first; may hold `undecided`."""
    shares: Mapping[str, SeedInterval]
    """Format -> final share over seeds, largest first."""
    n_seeds: int


def attractor(finals: Sequence[Mapping]) -> Attractor:
    """Summarise the final epochs of the runs of one scale.

    Args:
        finals: one row of `formatlab.measure.winners` (as a dict) for each seed. Runs of an
            undertrained base do not count: leave them out.
    """
    counts = Counter(final["winner"] for final in finals)
    wins = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    top = max(wins, key=lambda name: wins[name], default=UNDECIDED)
    by_seed = [{row["tag"]: row["share"] for row in final["formats"]} for final in finals]
    tags = sorted({tag for shares in by_seed for tag in shares})
    shares = {tag: seed_interval([of.get(tag, 0.0) for of in by_seed]) for tag in tags}
    return Attractor(
        attractor=top if 2 * wins.get(top, 0) > len(finals) else UNDECIDED,
        wins=wins,
        shares=dict(sorted(shares.items(), key=lambda item: (-item[1].mean, item[0]))),
        n_seeds=len(finals),
    )


def seed_interval(
    values: Sequence[float], *, lowest: float = 0.0, highest: float = 1.0
) -> SeedInterval:
    """Return the mean over seeds with Student's 95% interval, cut to the possible range.

    Args:
        values: one number a seed, at least one.
        lowest: the smallest possible value; 0 for shares and accuracies.
        highest: the largest possible value.
    """
    mean = float(np.mean(values))
    n_seeds = len(values)
    if n_seeds < 2:
        return SeedInterval(mean=mean, low=None, high=None, n_seeds=n_seeds)
    # Imported here, because the rest of the room does without it.
    from scipy.special import stdtrit

    quantile = float(stdtrit(n_seeds - 1, 0.975))
    half = quantile * float(np.std(values, ddof=1)) / n_seeds**0.5
    return SeedInterval(
        mean=mean, low=max(lowest, mean - half), high=min(highest, mean + half), n_seeds=n_seeds
    )
