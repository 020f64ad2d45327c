"""Drift: how far the formats of a trained policy are from those of its base, and what chance does.

The distance is the total variation distance between the format shares of two probes,
`TV = 1/2 sum_f |p_f - q_f|`: the largest difference in the probability of any set of formats
(Levin, Peres & Wilmer, Markov Chains and Mixing Times (2009), proposition 4.2). It is of the shares
over all prompts: a policy that only swaps formats between prompts has none.

It can't be negative, so two probes of one policy differ by more than 0 too. What they differ by is
found by permutation: if the policy did not change, the labels "base" and "final" of the rollouts
of one prompt are exchangeable, so they are dealt again at random inside each prompt, many times
(Good, Permutation, Parametric and Bootstrap Tests of Hypotheses (2005), chapter 3; prompts are the
blocks). Dealing inside prompts keeps both probes at their size and every prompt at its leaning.
Comparing halves of the base's samples instead would need a scale factor that is right for large
counts only.

P: prompts in both probes, F: tags in either, B: resamples.
"""

from dataclasses import dataclass

import numpy as np

from formatlab.measure.bootstrap import (
    DEFAULT_RESAMPLES,
    FEWEST_CLUSTERS,
    cluster_interval,
    percentile_interval,
    resampled,
)
from formatlab.measure.counts import Rollouts, aligned, tally

DRIFT_COLUMNS = ("prompt_id", "tag", "correct")
"""Columns of the probe rollouts that `drift` reads."""

DEFAULT_PERMUTATIONS = 1_000
"""Random deals behind the noise floor; its p-value can't be below 1 / (this + 1)."""

_FLOOR_LEVEL = 0.95


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """The difference between two probes of the same prompts."""

    total_variation: float
    """Between the format shares; 0 to 1."""
    low: float | None
    """Lower bound, 95%; None below 10 prompts. Never above `total_variation`."""
    high: float | None
    """Upper bound, 95%; None below 10 prompts."""
    floor: float
    """What two probes of an unchanged policy stay within in 95 of 100 cases."""
    p_value: float
    """How often two probes of an unchanged policy differ by this much or more."""
    accuracy_change: float | None
    """Final accuracy less that of the base, whatever the format; None if none was graded."""
    accuracy_low: float | None
    """Lower bound, 95%; None below 10 prompts or without a change."""
    accuracy_high: float | None
    """Upper bound, 95%; None below 10 prompts or without a change."""
    n_prompts: int
    """Prompts in both probes."""

    @property
    def beyond_chance(self) -> bool:
        """Whether the distance is above the noise floor."""
        return self.total_variation > self.floor


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """Counts of both probes over the prompts and tags they share."""

    base: np.ndarray  # rollouts, int64 (P, F)
    final: np.ndarray  # rollouts, int64 (P, F)
    graded: np.ndarray  # of base and final, int64 (2, P)
    correct: np.ndarray  # of base and final, int64 (2, P)


def drift(
    base: Rollouts,
    final: Rollouts,
    *,
    resamples: int = DEFAULT_RESAMPLES,
    permutations: int = DEFAULT_PERMUTATIONS,
    seed: int = 0,
) -> Drift | None:
    """Measure how far a probe is from that of the base.

    The interval is the 95% percentile interval of a cluster bootstrap over prompts, each drawn
    with its rollouts in both probes (paired). Below the noise floor it says little: resampling adds
    its own noise to a distance, so the interval is widened to hold the distance itself. A change of
    accuracy that is the same in all resamples has Wilson's interval.

    Args:
        base: probe rollouts of the base with `DRIFT_COLUMNS`.
        final: those of the trained policy. Prompts that are in one probe only are left out.
        resamples: of the bootstrap.
        permutations: of the noise floor.
        seed: of both.

    Returns:
        The drift, or None if no prompt is in both probes.
    """
    pair = _pair(base, final)
    prompts = len(pair.base)
    if prompts == 0:
        return None
    distance = float(_distances(pair.base.sum(axis=0), pair.final.sum(axis=0)))
    chance = _permuted(pair, permutations, seed)  # (B,)
    # Distances that are equal on paper differ in the last bit; the observed deal is one of them
    # (Phipson & Smyth, Permutation p-values should never be zero (2010)).
    reached = int((chance >= distance - 1e-12).sum())
    low = high = None
    change = _change(pair.graded.sum(axis=1), pair.correct.sum(axis=1))
    change_low = change_high = None
    if prompts >= FEWEST_CLUSTERS:
        counts = [pair.base, pair.final, pair.graded.T, pair.correct.T]
        before, after, graded, correct = resampled(counts, resamples, seed)  # (B, F) or (B, 2)
        bounds = percentile_interval(_distances(before, after))
        low, high = min(float(bounds[0]), distance), max(float(bounds[1]), distance)
        bounds = cluster_interval(_change(graded.T, correct.T), prompts, lowest=-1.0)
        if not np.isnan(bounds[0]):
            change_low, change_high = float(bounds[0]), float(bounds[1])
    return Drift(
        total_variation=distance,
        low=low,
        high=high,
        floor=float(np.quantile(chance, _FLOOR_LEVEL)),
        p_value=(reached + 1) / (permutations + 1),
        accuracy_change=None if np.isnan(change) else float(change),
        accuracy_low=change_low,
        accuracy_high=change_high,
        n_prompts=prompts,
    )


def _pair(base: Rollouts, final: Rollouts) -> _Pair:
    probes = aligned(tally(base), tally(final))
    return _Pair(
        base=probes[0].rollouts,
        final=probes[1].rollouts,
        graded=np.stack([probe.graded.sum(axis=1) for probe in probes]),
        correct=np.stack([probe.correct.sum(axis=1) for probe in probes]),
    )


def _distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the total variation between counts by tag; (..., F) -> (...)."""
    shares = [counts / counts.sum(axis=-1, keepdims=True) for counts in (one, other)]
    return np.abs(shares[0] - shares[1]).sum(axis=-1) / 2


def _permuted(pair: _Pair, permutations: int, seed: int) -> np.ndarray:
    """Return the distance after each deal of the rollouts of every prompt; (B,)."""
    generator = np.random.default_rng([seed, 1])
    pooled = pair.base + pair.final  # (P, F)
    dealt = np.zeros((permutations, pooled.shape[1]), dtype=np.int64)
    for of_prompt, size in zip(pooled, pair.base.sum(axis=1), strict=True):
        # How many of each tag the base gets, if `size` of the prompt's rollouts are its.
        dealt += generator.multivariate_hypergeometric(of_prompt, size, permutations)
    return _distances(dealt, pooled.sum(axis=0) - dealt)


def _change(graded: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Return final accuracy less that of the base, nan where one has none; (2, ...) -> (...)."""
    accuracy = np.where(graded > 0, correct / np.maximum(graded, 1), np.nan)
    return accuracy[1] - accuracy[0]
