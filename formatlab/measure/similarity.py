"""Similarity of each pair of a set of texts, and what is told from it.

`chrf_similarities`, `rouge_l_similarities`, `subtree_similarities` and `cosine_similarities` make
a symmetric matrix with ones on its diagonal, 1 for equal texts and 0 for texts that share nothing.
`mean_distance`, `clusters` and `vendi_score` tell from such a matrix how varied the set is. What
cannot be compared (a program that does not parse, an embedding of zeros) has nan in its row and
column, and is left out of what is told.

Completions of a prompt repeat, so each distinct text is read once, and each pair of distinct texts
compared once: sacrebleu's scorer reads both texts anew for every pair.

n: texts.
"""

import ast
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations
from math import nan
from typing import TypeVar

import numpy as np

TALLEST_SUBTREE = 4
"""Height of the subtrees of a program that are compared; a leaf has height 1."""

SAME_CLUSTER = 0.6
"""Mean similarity of clusters that are joined, that of Matsutani et al. (2025) in chrF."""

_WORDS = re.compile(r"[^\W_]+")

_BETA = 2
"""Weight of recall in chrF."""

Read = TypeVar("Read")


def chrf_similarities(texts: Sequence[str]) -> np.ndarray:
    """The chrF of each pair, mean of both directions; (n, n), 0..1.

    The values are those of sacrebleu's `CHRF` for sentences, divided by 100: n-grams of 1 to 6
    characters without white space, recall weighed twice.

    Source: Popović, chrF (2015); both directions as Matsutani et al., RL Squeezes, SFT Expands
    (2025).
    """
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.helpers import extract_all_char_ngrams

    return _similarities(
        texts, lambda text: extract_all_char_ngrams(text, CHRF.CHAR_ORDER), _chrf_both_ways
    )


def rouge_l_similarities(texts: Sequence[str]) -> np.ndarray:
    """ROUGE-L of each pair: F1 of their longest common subsequence of words; (n, n), 0..1.

    Words are runs of letters and digits, in lower case and without stemming: in English those of
    the package rouge-score.

    Source: Lin, ROUGE (2004), section 3.1.
    """
    return _similarities(texts, lambda text: _WORDS.findall(text.lower()), _rouge_l)


def subtree_similarities(programs: Sequence[str]) -> np.ndarray:
    """Share of syntax trees that each pair of Python programs has in common; (n, n), 0..1.

    It is the Jaccard index of the multisets of subtrees of at most `TALLEST_SUBTREE` levels,
    with the names and constants in them. Leaves count, so nearly all programs share something.

    Source: Karouzos et al., Where does output diversity collapse in post-training? (2026).

    Returns:
        nan in the row and the column of a program that does not parse.
    """
    return _similarities(programs, _subtrees, _jaccard)


def cosine_similarities(embeddings: np.ndarray) -> np.ndarray:
    """Cosine of each pair.

    Args:
        embeddings: (n, d).

    Returns:
        float64 (n, n), -1..1; nan in the row and the column of a vector of zeros.
    """
    vectors = np.asarray(embeddings, dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = np.divide(vectors, lengths, out=np.full_like(vectors, nan), where=lengths > 0)
    cosines = np.clip(units @ units.T, -1.0, 1.0)
    np.fill_diagonal(cosines, np.where(lengths[:, 0] > 0, 1.0, nan))
    return cosines


def mean_distance(similarities: np.ndarray) -> float:
    """1 - the mean similarity of the pairs.

    Args:
        similarities: (n, n); pairs that are nan do not count.

    Returns:
        nan if no pair counts.
    """
    pairs = similarities[np.triu_indices(len(similarities), k=1)]
    known = pairs[~np.isnan(pairs)]
    return float(1 - known.mean()) if known.size else nan


def clusters(similarities: np.ndarray, *, cut: float = SAME_CLUSTER) -> int:
    """Number of clusters: those with the nearest mean are joined while it is at least `cut`.

    Source: UPGMA (Sokal & Michener, 1958), cut as by Matsutani et al., RL Squeezes, SFT Expands
    (2025).

    Args:
        similarities: (n, n); what has no similarity to itself is in no cluster.
        cut: similarity.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    known = _known(similarities)
    if len(known) < 2:
        return len(known)
    distances = 1 - known[np.triu_indices(len(known), k=1)]
    joined = linkage(distances, method="average")
    return int(fcluster(joined, t=1 - cut, criterion="distance").max())


def vendi_score(similarities: np.ndarray) -> float:
    """Effective number of different texts, 1..n: exp of the entropy of the eigenvalues of K / n.

    Similarities that are no kernel, such as chrF, may have slightly negative eigenvalues, which do
    not count.

    Source: Friedman & Dieng, The Vendi Score (2022), definition 3.1; order 1.

    Args:
        similarities: K, (n, n); what has no similarity to itself does not count.

    Returns:
        nan for no texts. Bounded by n, so compare sets of equal size.
    """
    known = _known(similarities)
    if not len(known):
        return nan
    eigenvalues = np.linalg.eigvalsh(known / len(known))
    positive = eigenvalues[eigenvalues > 1e-12]
    return float(np.exp(-np.sum(positive * np.log(positive))))


def _known(similarities: np.ndarray) -> np.ndarray:
    """The rows and columns of what can be compared."""
    known = ~np.isnan(np.diagonal(similarities))
    return similarities[np.ix_(known, known)]


def _similarities(
    texts: Sequence[str],
    read: Callable[[str], Read | None],
    compare: Callable[[Read, Read], float],
) -> np.ndarray:
    """Read each distinct text, None if it cannot be compared, and compare each two; (n, n)."""
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    contents = [read(text) for text in places]
    matrix = np.diag([nan if content is None else 1.0 for content in contents])
    for (i, one), (j, other) in combinations(enumerate(contents), 2):
        found = nan if one is None or other is None else compare(one, other)
        matrix[i, j] = matrix[j, i] = found
    rows = [places[text] for text in texts]
    return matrix[np.ix_(rows, rows)]


def _chrf_both_ways(ours: list[Counter[str]], theirs: list[Counter[str]]) -> float:
    """Mean of chrF both ways, from the n-grams of each order."""
    precision, recall, orders = 0.0, 0.0, 0
    for one, other in zip(ours, theirs, strict=True):
        if one and other:  # orders that a text is too short for do not count
            shared = sum(min(count, other[gram]) for gram, count in one.items() if gram in other)
            precision += shared / one.total()
            recall += shared / other.total()
            orders += 1
    if not precision:
        return 0.0
    product = precision * recall * (1 + _BETA**2) / orders
    return (
        product / (_BETA**2 * precision + recall) + product / (precision + _BETA**2 * recall)
    ) / 2


def _rouge_l(ours: list[str], theirs: list[str]) -> float:
    """F1 of the longest common subsequence of two lists of words."""
    words = len(ours) + len(theirs)
    return 2 * _longest_common(ours, theirs) / words if words else 0.0


def _longest_common(ours: list[str], theirs: list[str]) -> int:
    """Length of the longest common subsequence, a row of the table at a time.

    A row is the bits of a number: a word of ours has a 0 where the table grows at it.

    Source: Hyyrö, Bit-Parallel LCS-length Computation Revisited (2004).
    """
    places = defaultdict[str, int](int)
    for place, word in enumerate(ours):
        places[word] |= 1 << place
    everywhere = (1 << len(ours)) - 1
    row = everywhere
    for word in theirs:
        matches = row & places[word]
        row = ((row + matches) | (row - matches)) & everywhere
    return len(ours) - row.bit_count()


def _subtrees(program: str) -> Counter[str] | None:
    """How often each subtree of a few levels occurs; None if the program does not parse."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd escapes and comparisons
            tree = ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    found = Counter[str]()
    heights = dict[ast.AST, int]()
    for node in reversed(list(ast.walk(tree))):  # children come before their parents
        children = (heights[child] for child in ast.iter_child_nodes(node))
        heights[node] = 1 + max(children, default=0)
        if heights[node] <= TALLEST_SUBTREE:
            found[ast.dump(node)] += 1
    return found


def _jaccard(ours: Counter[str], theirs: Counter[str]) -> float:
    """Shared elements of two multisets, per element of either."""
    return (ours & theirs).total() / (ours | theirs).total()
