"""pass@k: how likely it is that one of k samples of a prompt is right.

The plain estimate, 1 - (1 - p)^k with the share p of right samples, is biased. The unbiased one
counts the choices of k of a prompt's n samples without a right one among its c: it is
1 - C(n - c, k) / C(n, k), the mean of which is taken over prompts. So k goes up to n.

Source: Chen et al., Evaluating Large Language Models Trained on Code (2021), equation 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from formatlab.measure.bootstrap import (
    DEFAULT_RESAMPLES,
    FEWEST_CLUSTERS,
    cluster_interval,
    resampled,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PassRate:
    """pass@k over the prompts of a probe."""

    k: int
    rate: float
    """Mean over prompts."""
    interval: tuple[float, float] | None
    """95%, of a bootstrap over prompts; None below `FEWEST_CLUSTERS` prompts."""


def pass_at_k(correct: Sequence[int], samples: Sequence[int], k: int) -> np.ndarray:
    """The unbiased estimate of pass@k of each prompt.

    Args:
        correct: right samples of each of P prompts.
        samples: samples of each, at least k.
        k: at least 1.

    Returns:
        float64 (P,).

    Raises:
        ValueError: a prompt has fewer than k samples, or k is below 1.
    """
    if k < 1 or any(n < k for n in samples):
        raise ValueError(f"pass@{k} needs {k} samples of each prompt, and k from 1 on")
    pairs = zip(samples, correct, strict=True)
    return np.array([1 - comb(n - c, k) / comb(n, k) for n, c in pairs], dtype=np.float64)


def pass_rates(
    correct: Sequence[int],
    samples: Sequence[int],
    *,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> list[PassRate]:
    """pass@k for every k that the samples allow: the powers of two, and all samples of a prompt.

    Args:
        correct: right samples of each of P prompts.
        samples: graded samples of each; prompts without one do not count. Where prompts have
            different numbers, k goes up to the smallest.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        By k, from 1; empty if nothing was graded.
    """
    graded = [(c, n) for c, n in zip(correct, samples, strict=True) if n]
    if not graded:
        return []
    right, of = zip(*graded, strict=True)
    most = min(of)
    ks = sorted({2**power for power in range(most.bit_length()) if 2**power < most} | {most})
    values = np.stack([pass_at_k(right, of, k) for k in ks], axis=1)  # (P, K)
    intervals: list[tuple[float, float] | None] = [None] * len(ks)
    if len(graded) >= FEWEST_CLUSTERS:
        (sums,) = resampled([values], resamples, seed)  # (B, K)
        low, high = cluster_interval(sums / len(graded), len(graded))
        intervals = [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    means = values.mean(axis=0)
    return [
        PassRate(k=k, rate=float(rate), interval=interval)
        for k, rate, interval in zip(ks, means, intervals, strict=True)
    ]
