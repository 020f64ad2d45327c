"""Similarities against published examples, the libraries, and what must hold for any texts."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_texts import DISJOINT, FOXES, GOING, SAME
from sacrebleu.metrics.chrf import CHRF

from formatlab.measure.similarity import (
    chrf_similarities,
    clusters,
    cosine_similarities,
    mean_distance,
    rouge_l_similarities,
    subtree_similarities,
    vendi_score,
)

TEXTS = st.lists(st.text("ab .é\n", max_size=20), min_size=1, max_size=5)
OF_TEXTS = [chrf_similarities, rouge_l_similarities]


@pytest.mark.parametrize(
    ("texts", "percent", "count"),
    [
        (FOXES, [90.848, 45.943, 43.368], 2),
        (GOING, [100, 15.873, 15.873], 2),
        (SAME, [100] * 6, 1),
        (DISJOINT, [0] * 3, 3),
    ],
)
def test_chrf_of_pairs_and_their_clusters(texts: Sequence[str], percent: list[float], count: int):
    similarities = chrf_similarities(texts)
    pairs = similarities[np.triu_indices(len(texts), k=1)]
    assert pairs * 100 == pytest.approx(percent, abs=1e-3)
    assert clusters(similarities) == count


@pytest.mark.parametrize(
    ("texts", "value"), [(FOXES, 0.771), (GOING, 0.524), (SAME, 1.0), (DISJOINT, 0.0)]
)
def test_mean_rouge_l(texts: Sequence[str], value: float):
    assert 1 - mean_distance(rouge_l_similarities(texts)) == pytest.approx(value, abs=5e-4)


@given(TEXTS)
def test_chrf_is_that_of_sacrebleu(texts: list[str]):
    chrf = CHRF()
    similarities = chrf_similarities(texts)
    for (i, one), (j, other) in combinations(enumerate(texts), 2):
        both = chrf.sentence_score(one, [other]).score + chrf.sentence_score(other, [one]).score
        assert similarities[i, j] == pytest.approx(1 if one == other else both / 200)


@given(TEXTS)
def test_rouge_l_is_that_of_the_longest_common_subsequence(texts: list[str]):
    def longest(one: list[str], other: list[str]) -> int:
        if not one or not other:
            return 0
        if one[-1] == other[-1]:
            return 1 + longest(one[:-1], other[:-1])
        return max(longest(one[:-1], other), longest(one, other[:-1]))

    similarities = rouge_l_similarities(texts)
    words = [text.replace(".", " ").split() for text in texts]
    for (i, one), (j, other) in combinations(enumerate(words), 2):
        score = 2 * longest(one, other) / max(len(one) + len(other), 1)
        assert similarities[i, j] == pytest.approx(1 if texts[i] == texts[j] else score)


@pytest.mark.parametrize("similarities_of", OF_TEXTS)
@given(texts=TEXTS, random=st.randoms(use_true_random=False))
def test_similarities_of_texts(
    similarities_of: Callable[[Sequence[str]], np.ndarray], texts: list[str], random
):
    found = similarities_of(texts)
    assert found.shape == (len(texts), len(texts))
    assert np.all(np.diagonal(found) == 1)
    assert np.all(found == found.T)
    assert np.all((found >= 0) & (found <= 1 + 1e-12))
    order = random.sample(range(len(texts)), len(texts))
    shuffled = similarities_of([texts[place] for place in order])
    assert np.all(shuffled == found[np.ix_(order, order)])
    assert mean_distance(shuffled) == pytest.approx(mean_distance(found), nan_ok=True)
    assert vendi_score(shuffled) == pytest.approx(vendi_score(found))


@pytest.mark.parametrize("similarities_of", [*OF_TEXTS, subtree_similarities])
def test_no_texts_and_equal_ones(similarities_of: Callable[[Sequence[str]], np.ndarray]):
    assert similarities_of([]).shape == (0, 0)
    assert np.all(similarities_of(["a"] * 3) == 1)


def test_programs_are_alike_by_their_subtrees():
    same, spaced, renamed, other = "x = 1 + 2", "x  =  1+2  # three", "y = 1 + 2", "import os"
    found = subtree_similarities([same, spaced, renamed, other])
    assert found[0, 1] == 1
    assert 1 > found[0, 2] > found[0, 3] >= 0


def test_the_share_of_subtrees():
    # Load, Name and Expr once in one and twice in the other, and a Module each
    assert subtree_similarities(["a", "a; a"])[0, 1] == pytest.approx(3 / 8)


def test_only_low_subtrees_are_compared():
    deep = "if a:\n if b:\n  if c:\n   if d:\n    {}"
    changed = subtree_similarities([deep.format("x"), deep.format("y")])[0, 1]
    # of 5 Load, 5 Name, an Expr and the innermost If, a Name, the Expr and the If differ
    assert changed == pytest.approx(9 / 15)


@pytest.mark.parametrize("broken", ["def", "x = '\0'", "(" * 500 + ")" * 500, "1 +\n"])
def test_a_program_that_does_not_parse_is_told_by_nan(broken: str):
    found = subtree_similarities(["a", broken, "a"])
    assert np.isnan(found[1]).all()
    assert np.isnan(found[:, 1]).all()
    assert found[0, 2] == 1
    assert mean_distance(found) == 0
    assert clusters(found) == 1
    assert vendi_score(found) == pytest.approx(1)


def test_a_long_sum_is_no_deep_recursion():
    found = subtree_similarities(["1" + " + 1" * 900, "1"])
    assert 0 < found[0, 1] < 1


def test_cosines():
    found = cosine_similarities(np.array([[2, 0], [0, 3], [1, 0], [-1, 0], [0, 0]], np.float32))
    assert found.dtype == np.float64
    assert found[:4, :4].tolist() == [[1, 0, 1, -1], [0, 1, 0, 0], [1, 0, 1, -1], [-1, 0, -1, 1]]
    assert np.isnan(found[4]).all() and np.isnan(found[:, 4]).all()
    assert mean_distance(found[[0, 2]][:, [0, 2]]) == 0
    assert mean_distance(found[:2, :2]) == 1


def test_nothing_to_compare():
    for nothing in (np.empty((0, 0)), np.full((2, 2), np.nan)):
        assert math.isnan(mean_distance(nothing))
        assert math.isnan(vendi_score(nothing))
        assert clusters(nothing) == 0
    assert math.isnan(mean_distance(np.eye(1)))
    assert clusters(np.eye(1)) == 1


def test_clusters_are_cut_where_asked():
    similarities = np.array([[1, 0.5], [0.5, 1]])
    assert [clusters(similarities, cut=cut) for cut in (0.4, 0.5, 0.6)] == [1, 1, 2]


@pytest.mark.parametrize(
    ("similarities", "score"),
    [
        ([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]], 2.157300),
        (np.eye(4), 4.0),
        (np.ones((4, 4)), 1.0),
        (np.kron(np.eye(2), np.ones((3, 3)))[:5, :5], 1.960132),  # classes aaabb
    ],
)
def test_vendi_score(similarities: list[list[float]], score: float):
    assert vendi_score(np.array(similarities)) == pytest.approx(score, abs=1e-6)


@given(st.text("abcd", min_size=1, max_size=12))
def test_vendi_score_of_classes_is_the_exponential_of_their_entropy(classes: str):
    letters = np.array(list(classes))
    entropy = -sum(m / len(classes) * math.log(m / len(classes)) for m in Counter(classes).values())
    score = vendi_score((letters[:, None] == letters).astype(float))
    assert score == pytest.approx(math.exp(entropy))
