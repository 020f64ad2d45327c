"""maj@k: how likely it is that the most frequent answer of k samples of a prompt is right.

The samples of a prompt are drawn k at a time without replacement, as for pass@k, and all choices
are counted: with r right samples of n, those with j right ones among the k win if no other answer
has more than j. Where t others have j too, one of the t + 1 is taken by lot. A sample without an
answer has no vote. The estimate is exact, and so unbiased, for every k up to n.

Source: self-consistency (Wang et al., Self-Consistency Improves Chain of Thought Reasoning (2023)),
estimated over all subsets as pass@k is.
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from math import comb

import numpy as np


def majority_at_k(correct: Sequence[bool], answers: Sequence[str | None], k: int) -> float:
    """The estimate of maj@k for one prompt.

    Args:
        correct: whether each of n samples is right.
        answers: of each; None where it gives none. Right ones count as equal, however written.
        k: from 1 to n.

    Raises:
        ValueError: k is below 1 or above n.
    """
    if not 1 <= k <= len(correct):
        raise ValueError(f"maj@{k} needs {k} samples of each prompt, and k from 1 on")
    pairs = list(zip(correct, answers, strict=True))
    votes = Counter(answer for right, answer in pairs if not right and answer is not None)
    silent = sum(answer is None and not right for right, answer in pairs)
    return _won(sum(correct), tuple(sorted(votes.values())), silent, k)


@lru_cache(maxsize=1 << 14)
def _won(right: int, others: tuple[int, ...], silent: int, k: int) -> float:
    """Probability that a right answer wins: of right samples, each other answer, and no answer."""
    won = 0.0
    for votes in range(1, min(right, k) + 1):
        left = k - votes
        # ways[t, d]: choices of d samples of the others in which t answers have as many votes.
        ways = np.zeros((left // votes + 1, left + 1))  # (T, D)
        ways[0] = [comb(silent, drawn) for drawn in range(left + 1)]
        for count in others:
            before, ways = ways, np.zeros_like(ways)
            for drawn in range(min(votes, count, left) + 1):
                tied = int(drawn == votes)
                moved = comb(count, drawn) * before[: len(before) - tied, : left + 1 - drawn]
                ways[tied:, drawn:] += moved
        lots = 1 + np.arange(len(ways))
        won += comb(right, votes) * float((ways[:, left] / lots).sum())
    return won / comb(right + sum(others) + silent, k)
