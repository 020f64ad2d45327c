"""The cluster bootstrap: prompts are drawn with replacement, each with all its rollouts.

Rollouts of one prompt are not independent (a prompt pulls towards its own format and is easy or
hard for all of them), so prompts are resampled, not rollouts. A resample is the number of times
each prompt was drawn, and a resampled count is a product of matrices:
`weights (B, P) @ counts (P, F) = (B, F)`.

`resampled` draws, `cluster_interval` takes the bounds of a share or a difference of shares over the
resamples, and `ratio_intervals` does both for shares and accuracies given as counts. Where all
resamples agree, as for 0 right answers of 32, they say nothing of prompts that were not drawn;
Wilson's interval stands there, with the prompts, and not the rollouts, as its observations.

B: resamples, P: prompts or other clusters, F: tags.
Source: Davison & Hinkley, Bootstrap Methods and their Application (1997), section 3.8; percentile
intervals after section 5.3.1.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from formatlab.measure.wilson import wilson_interval

DEFAULT_RESAMPLES = 2_000
DEFAULT_LEVEL = 0.95

FEWEST_CLUSTERS = 10
"""Clusters below which there is no interval, and so no winner: a bootstrap of few clusters looks
more certain than it is."""

_MOST_WEIGHTS = 1 << 20
"""Weights held in memory at a time; 8 MiB."""


def resampled(matrices: Sequence[np.ndarray], resamples: int, seed: int) -> list[np.ndarray]:
    """Return the resampled sums of each matrix, drawing the weights a few rows at a time.

    Args:
        matrices: counts by prompt and any columns; (P, K), where P and K may differ.
        resamples: number of resamples.
        seed: of the draws; matrices with equally many prompts share them.

    Returns:
        float64 (B, K) for each.
    """
    products = dict[int, np.ndarray]()
    for prompts in {len(counts) for counts in matrices}:
        alike = [place for place, counts in enumerate(matrices) if len(counts) == prompts]
        # Products of float matrices go through BLAS, those of integers do not; counts stay exact.
        stacked = np.hstack([matrices[place] for place in alike]).astype(np.float64)
        drawn = np.concatenate([w @ stacked for w in _blocks(prompts, resamples, seed)])
        ends = np.cumsum([matrices[place].shape[1] for place in alike])
        products |= zip(alike, np.split(drawn, ends[:-1], axis=1), strict=True)
    return [products[place] for place in range(len(matrices))]


def _blocks(prompts: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Draw how often each prompt occurs in each resample; float64 (B, P) in blocks of rows."""
    generator = np.random.default_rng(seed)
    chances = np.full(prompts, 1 / prompts)
    rows = max(1, _MOST_WEIGHTS // prompts)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        yield generator.multinomial(prompts, chances, size=size).astype(np.float64)


def percentile_interval(
    statistics: np.ndarray, level: float = DEFAULT_LEVEL
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper percentile bounds over the resamples.

    Args:
        statistics: (B, ...); nan where a resample has no value, for example an accuracy without
            a rollout.
        level: probability inside the interval.

    Returns:
        Two arrays of shape (...); nan where no resample has a value.
    """
    tail = (1 - level) / 2
    undefined = np.isnan(statistics).all(axis=0)
    # nanquantile warns about columns without a value, which are answered here.
    filled = np.where(undefined, 0.0, statistics)
    low, high = np.nanquantile(filled, [tail, 1 - tail], axis=0)
    return np.where(undefined, np.nan, low), np.where(undefined, np.nan, high)


def cluster_interval(
    statistics: np.ndarray, clusters: np.ndarray | int, *, lowest: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95% bounds of shares, or of differences of shares, over the resamples.

    Args:
        statistics: (B, ...); nan where a resample has no value.
        clusters: how many each rests on, at least 1 where it has a value; (...) or one for all.
        lowest: the smallest possible value: 0 of shares, -1 of differences. The largest is 1.

    Returns:
        Two arrays of shape (...): percentile bounds, or Wilson's where all resamples agree (the
        range is then taken for that of a share); nan where no resample has a value.
    """
    low, high = percentile_interval(statistics)
    agree = high - low < 1e-12  # False for nan; equal ratios may differ in the last bit
    width = 1 - lowest
    share = np.clip((np.where(agree, low, 0.0) - lowest) / width, 0.0, 1.0)
    wide = wilson_interval(share, np.maximum(clusters, 1))
    return (
        np.where(agree, lowest + width * wide[0], low),
        np.where(agree, lowest + width * wide[1], high),
    )


def ratio_intervals(
    numerators: np.ndarray,
    denominators: np.ndarray,
    *,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> list[tuple[float, float] | None]:
    """Return the 95% interval of each ratio of sums, from a cluster bootstrap.

    Args:
        numerators: counts by cluster and tag; (P, F).
        denominators: likewise; (P, F), or (P, 1) where the tags share one.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        Lower and upper bound for each tag; None without a ratio, or where fewer than
        `FEWEST_CLUSTERS` clusters have a denominator.
    """
    tags = numerators.shape[1]
    bearing = np.broadcast_to(denominators > 0, numerators.shape).sum(axis=0)  # (F,)
    if not (bearing >= FEWEST_CLUSTERS).any():
        return [None] * tags
    above, below = resampled([numerators, denominators], resamples, seed)  # (B, F), (B, F or 1)
    below = np.broadcast_to(below, above.shape)
    ratios = np.where(below > 0, above / np.maximum(below, 1), np.nan)
    bounds = zip(*cluster_interval(ratios, bearing), strict=True)
    return [
        (float(low), float(high)) if count >= FEWEST_CLUSTERS and not np.isnan(low) else None
        for count, (low, high) in zip(bearing, bounds, strict=True)
    ]
