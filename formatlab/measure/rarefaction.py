"""Rarefaction: how many different things k samples of a prompt are, and how often two are alike.

Things are formats, answers or whole texts. The number of different ones in all n samples grows with
n, so it says nothing without k. The mean over the choices of k of the n samples is unbiased:
distinct@k = sum over things of 1 - C(n - m, k) / C(n, k), where m samples are of that thing
(Hurlbert, The Nonconcept of Species Diversity (1971), equation 18). So is the share of pairs that
are alike, sum of m (m - 1) / n (n - 1), of the probability that two samples are (Simpson,
Measurement of Diversity (1949)).
"""

from collections.abc import Sequence
from math import comb


def distinct_at_k(counts: Sequence[int], n: int, k: int) -> float:
    """The number of different things that k samples of a prompt are on average.

    Args:
        counts: samples that are of each thing.
        n: samples of the prompt; more than the sum of `counts` if some are of no thing that counts,
            such as those without an answer.
        k: from 1 to n.

    Raises:
        ValueError: k is below 1 or above n.
    """
    if not 1 <= k <= n:
        raise ValueError(f"distinct@{k} needs {k} samples of each prompt, and k from 1 on")
    return sum(1 - comb(n - count, k) / comb(n, k) for count in counts)


def collision(counts: Sequence[int], n: int) -> float:
    """The probability that two samples of a prompt are of the same thing.

    Args:
        counts: samples that are of each thing.
        n: samples of the prompt, at least 2; those that are of no thing are like no other.

    Raises:
        ValueError: fewer than 2 samples.
    """
    if n < 2:
        raise ValueError("two samples are needed to tell how often two are alike")
    return sum(count * (count - 1) for count in counts) / (n * (n - 1))
