"""Format entropy: over all rollouts, given the prompt, and what the prompt says of the format.

H(F) = I(F; X) + H(F|X): a model may write many formats because it is undecided on every prompt
(H(F|X) high) or because it chooses by prompt (I(F; X) high), so all three are reported.

The plug-in estimate is biased downwards by about (S - 1) / 2n nats for S formats and n rollouts
(at n = 8 it reads 0.89 nats where the truth is 1.19), so compare it only at equal samples per
prompt. The jackknife, n H - (n - 1) times the mean of H without one rollout, takes out most of that
(Zahl, Jackknifing an Index of Diversity (1977)): at n = 8 it reads 1.13 there, and is off by less
than 0.04 for two to four formats. For I(F; X) what is left of the error must be the same in both
terms, or formats that do not depend on the prompt would seem to (or seem to depend less than not at
all): so H(F) enters as n rollouts of all prompts show it on average, `entropy_of_samples`.
"""

import numpy as np


def format_entropy(counts: np.ndarray) -> float:
    """Return the plug-in entropy H(F) in nats of the tags of all rollouts.

    Args:
        counts: rollouts by prompt and tag (P, F), or by tag (F,).

    Raises:
        ValueError: no rollouts.
    """
    return _defined(plug_in_entropies(np.atleast_2d(counts).sum(axis=0)))


def format_entropy_given_prompt(counts: np.ndarray) -> float:
    """Return H(F|X) in nats: the plug-in entropy inside each prompt, averaged over prompts.

    Args:
        counts: rollouts by prompt and tag (P, F).

    Raises:
        ValueError: no prompts, or one without rollouts.
    """
    return _defined(plug_in_entropies(counts).mean() if counts.size else np.nan)


def _defined(entropy: float | np.ndarray) -> float:
    if np.isnan(entropy):
        raise ValueError("entropy of no rollouts is not defined")
    return float(entropy)


def plug_in_entropies(counts: np.ndarray) -> np.ndarray:
    """Return the plug-in entropy of each row in nats, nan for a row of none; (..., F) -> (...)."""
    totals = np.asarray(counts).sum(axis=-1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    # From zero rather than negated: no entropy is 0.0, not -0.0.
    return np.where(totals[..., 0] > 0, 0.0 - _x_ln_x(shares).sum(axis=-1), np.nan)


def corrected_entropies(counts: np.ndarray) -> np.ndarray:
    """Return the jackknifed entropy of each row in nats; (..., F) -> (...).

    A row of one rollout has no spread to tell: nan. So has one of none.

    Args:
        counts: rollouts by tag, whole numbers, in each row.
    """
    counts = np.asarray(counts, dtype=np.float64)
    totals = counts.sum(axis=-1, keepdims=True)  # (..., 1)
    n = np.where(totals >= 2, totals, np.nan)
    # H of n counts is ln n - sum m ln m / n: taking out one rollout changes n and one m.
    sums = _x_ln_x(counts).sum(axis=-1, keepdims=True)
    fewer = np.maximum(counts - 1, 0)
    without = np.log(n - 1) - (sums - _x_ln_x(counts) + _x_ln_x(fewer)) / (n - 1)  # (..., F)
    mean_without = (counts * without).sum(axis=-1) / n[..., 0]
    plug_in = (np.log(n) - sums / n)[..., 0]
    found = n[..., 0] * plug_in - (n[..., 0] - 1) * mean_without
    return np.maximum(found, 0.0)  # rounding of a row with a single format


def entropy_of_samples(counts: np.ndarray, n: int) -> np.ndarray:
    """Return what `corrected_entropies` gives on average of n of some rollouts, in nats.

    The counts of n rollouts out of N are hypergeometric, so the mean of their plug-in estimate is
    h(n) = ln n - sum over tags of E[m ln m] / n, and that of the jackknife is
    n h(n) - (n - 1) h(n - 1).

    Args:
        counts: of the tags in all rollouts, whole numbers; (..., F), n at least in each row.
        n: at least 2.
    """
    from scipy.special import gammaln

    def ways(of: np.ndarray, chosen: np.ndarray | float) -> np.ndarray:
        """Logarithm of the binomial coefficient; -inf where there is no way."""
        chosen = np.asarray(chosen)
        there = (chosen >= 0) & (chosen <= of)
        chosen = np.where(there, chosen, 0)
        found = gammaln(of + 1) - gammaln(chosen + 1) - gammaln(of - chosen + 1)
        return np.where(there, found, -np.inf)

    tags = np.asarray(counts, dtype=np.float64)[..., None]  # (..., F, 1)
    total = tags.sum(axis=-2, keepdims=True)  # (..., 1, 1)

    def plug_in(size: int) -> np.ndarray:
        m = np.arange(size + 1.0)
        # (..., F, size + 1)
        chances = np.exp(ways(tags, m) + ways(total - tags, size - m) - ways(total, size))
        return np.log(size) - (chances * _x_ln_x(m)).sum(axis=(-2, -1)) / size

    return n * plug_in(n) - (n - 1) * plug_in(n - 1)


def js_divergence(shares: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the Jensen-Shannon divergence of two distributions in nats, 0 to ln 2.

    Args:
        shares: of the tags; (..., F), each row summing to 1.
        others: likewise.

    Source: Lin, Divergence Measures Based on the Shannon Entropy (1991), equation 4.1 with equal
    weights.
    """
    half = (_x_ln_x(shares) + _x_ln_x(others)) / 2
    return np.maximum((half - _x_ln_x((shares + others) / 2)).sum(axis=-1), 0.0)


def _x_ln_x(x: np.ndarray) -> np.ndarray:
    return x * np.log(np.where(x > 0, x, 1.0))
