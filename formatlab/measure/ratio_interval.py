"""Ratio intervals: of shares and accuracies that are known as counts by cluster."""

import numpy as np

from formatlab.measure.bootstrap import DEFAULT_RESAMPLES, percentile_interval, resampled

FEWEST_CLUSTERS = 10


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
        `FEWEST_CLUSTERS` bear on it: a bootstrap of few clusters looks more certain than it is.
    """
    tags = numerators.shape[1]
    bearing = np.broadcast_to(denominators > 0, numerators.shape).sum(axis=0)  # (F,)
    if not (bearing >= FEWEST_CLUSTERS).any():
        return [None] * tags
    above, below = resampled([numerators, denominators], resamples, seed)  # (B, F), (B, F or 1)
    below = np.broadcast_to(below, above.shape)
    ratios = np.where(below > 0, above / np.maximum(below, 1), np.nan)
    bounds = zip(*percentile_interval(ratios), strict=True)
    return [
        (float(low), float(high)) if count >= FEWEST_CLUSTERS and not np.isnan(low) else None
        for count, (low, high) in zip(bearing, bounds, strict=True)
    ]
