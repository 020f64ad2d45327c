"""Format entropy: over all rollouts, and given the prompt.

H(F) = I(F; X) + H(F|X): a model may write many formats because it is undecided on every prompt
(H(F|X) high) or because it chooses by prompt (I(F; X) high), so both are reported.

The plug-in estimate is biased downwards by about (S - 1) / 2n nats for S formats and n rollouts
(at n = 8 it reads 0.89 nats where the truth is 1.19). H(F|X) is estimated from the few rollouts of
each prompt: compare it only at equal samples per prompt. I(F; X) as the difference of the two
estimates is biased upwards for the same reason.
"""

import numpy as np


def format_entropy(counts: np.ndarray) -> float:
    """Return the plug-in entropy H(F) in nats of the tags of all rollouts.

    Args:
        counts: rollouts by prompt and tag (P, F), or by tag (F,).

    Raises:
        ValueError: no rollouts.
    """
    by_tag = np.atleast_2d(counts).sum(axis=0, keepdims=True)
    return float(_row_entropies(by_tag)[0])


def format_entropy_given_prompt(counts: np.ndarray) -> float:
    """Return H(F|X) in nats: the plug-in entropy inside each prompt, averaged over prompts.

    Args:
        counts: rollouts by prompt and tag (P, F).

    Raises:
        ValueError: no prompts, or one without rollouts.
    """
    return float(_row_entropies(counts).mean())


def _row_entropies(counts: np.ndarray) -> np.ndarray:
    """Return the entropy of each row; (P, F) -> (P,)."""
    totals = counts.sum(axis=1, keepdims=True)
    if counts.size == 0 or not totals.all():
        raise ValueError("entropy of no rollouts is not defined")
    p = counts / totals
    # From zero rather than negated: no entropy is 0.0, not -0.0.
    return 0.0 - np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=1)
