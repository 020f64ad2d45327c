"""Lexical variety: how varied the words of a set of texts are.

Each measure is of one set of texts, such as the completions of a prompt, and says nothing of what
they mean: words may vary more while meanings collapse. All move with the length and number of the
texts, so compare sets of equal size and look at their lengths too.
"""

import gzip
from collections.abc import Sequence
from math import nan

LONGEST_NGRAM = 5
"""Up to this length in words expectation-adjusted distinct is averaged."""


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Distinct n-grams of words per n-gram of words, 0..1; no n-gram crosses from text to text.

    Words are what stands between white space once full stops are removed, as in the authors' code
    of expectation-adjusted distinct, which joins the words around a line break to one.

    Source: Li et al., A Diversity-Promoting Objective Function (2016).

    Args:
        texts: any number.
        n: length in words, at least 1.

    Returns:
        nan if no text has n words.
    """
    ngrams = _ngrams(texts, n)
    return len(set(ngrams)) / len(ngrams) if ngrams else nan


def expectation_adjusted_distinct(texts: Sequence[str], *, vocabulary: int = 50_257) -> float:
    """Distinct n-grams per number expected of words drawn at random, mean over n = 1..5.

    C n-grams drawn from V equally likely ones hold V (1 - ((V - 1) / V)^C) distinct ones, so that
    long texts are not taken for uniform; the value may be above 1. With a vocabulary far above the
    number of n-grams hardly any is expected twice, and this is close to `distinct_n`.

    Source: Liu et al., Rethinking and Refining the Distinct Metric (2022).

    Args:
        texts: any number; words as in `distinct_n`.
        vocabulary: V; GPT-2's by default. Compare only values of the same V.

    Returns:
        Mean over those n of which there is an n-gram; nan if there is no word.
    """
    values = list[float]()
    for n in range(1, LONGEST_NGRAM + 1):
        if ngrams := _ngrams(texts, n):
            expected = vocabulary * (1 - (1 - 1 / vocabulary) ** len(ngrams))
            values.append(len(set(ngrams)) / expected)
    return sum(values) / len(values) if values else nan


def compression_ratio(texts: Sequence[str]) -> float:
    """Bytes of all texts, joined by a space, per byte that gzip (level 9) makes of them.

    More is less varied. It grows with the number of bytes, below 1 for a few words, and builds of
    zlib differ by some bytes.

    Source: Shaib et al., Standardizing the Measurement of Text Diversity (2024).

    Returns:
        nan if there is nothing to compress.
    """
    whole = " ".join(texts).encode()
    return len(whole) / len(gzip.compress(whole, 9, mtime=0)) if whole else nan


def self_bleu(texts: Sequence[str]) -> float:
    """Mean BLEU of each text against all others, 0..100; more is less varied.

    BLEU is sacrebleu's of a sentence: tokenizer 13a, exponential smoothing, and for texts of fewer
    than four words only the orders that they have. It grows with the number of texts.

    Source: Zhu et al., Texygen (2018).

    Returns:
        nan for fewer than two texts.
    """
    from sacrebleu.metrics.bleu import BLEU

    if len(texts) < 2:
        return nan
    bleu = BLEU(effective_order=True)
    total = 0.0
    for text in (distinct := dict.fromkeys(texts)):
        count = texts.count(text)
        # A reference that occurs several times counts once in BLEU.
        others = [other for other in distinct if other != text or count > 1]
        total += count * bleu.sentence_score(text, others).score
    return total / len(texts)


def _ngrams(texts: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """Every n-gram of words within a text."""
    found = list[tuple[str, ...]]()
    for text in texts:
        words = text.replace(".", "").split()
        found += (tuple(words[start : start + n]) for start in range(len(words) - n + 1))
    return found
