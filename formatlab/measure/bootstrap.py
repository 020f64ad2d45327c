"""The cluster bootstrap: prompts are drawn with replacement, each with all its rollouts.

Rollouts of one prompt are not independent (a prompt pulls towards its own format and is easy or
hard for all of them), so what is resampled is the prompt. A resample is the number of times each
prompt was drawn, and a resampled count is a product of matrices:
`weights (B, P) @ counts (P, F) = (B, F)`.

B: resamples, P: prompts, F: tags.
Source: Davison & Hinkley, Bootstrap Methods and their Application (1997), section 3.8; percentile
intervals after section 5.3.1.
"""

import numpy as np

DEFAULT_RESAMPLES = 2_000
DEFAULT_LEVEL = 0.95


def prompt_weights(prompts: int, resamples: int, seed: int) -> np.ndarray:
    """Draw how often each prompt occurs in each resample.

    Returns:
        float64 (B, P); each row sums to the number of prompts.
    """
    generator = np.random.default_rng(seed)
    weights = generator.multinomial(prompts, np.full(prompts, 1 / prompts), size=resamples)
    # Products of float matrices go through BLAS, those of integers do not; counts stay exact.
    return weights.astype(np.float64)


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
