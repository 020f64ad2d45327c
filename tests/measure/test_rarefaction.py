"""Numbers of different things against published formulas, the definition, and a known policy."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatlab.measure.rarefaction import collision, distinct_at_k

KNOWN = [0.6, 0.2, 0.1, 0.05, 0.03, 0.02]
"""Shares of the things that a policy writes."""

THINGS = st.text("abcd?", min_size=1, max_size=8)
"""A letter for each thing, and `?` for no thing."""


def counts_of(things: str) -> list[int]:
    return [things.count(letter) for letter in "abcd" if letter in things]


@pytest.mark.parametrize(("k", "different"), [(1, 1), (2, 1.75), (4, 2.771429), (8, 4)])
def test_different_ones_of_k(k: int, different: float):
    assert distinct_at_k([4, 2, 1, 1], 8, k) == pytest.approx(different, abs=1e-6)  # aaaabbcd


@pytest.mark.parametrize(
    ("counts", "n", "chance"),
    [([4, 2, 1, 1], 8, 0.25), ([5], 5, 1), ([1] * 5, 5, 0), ([2], 4, 1 / 6), ([], 3, 0)],
)
def test_how_often_two_are_alike(counts: list[int], n: int, chance: float):
    assert collision(counts, n) == pytest.approx(chance)


@given(THINGS)
def test_it_is_the_mean_over_all_choices(things: str):
    n, counts = len(things), counts_of(things)
    for k in range(1, n + 1):
        chosen = [len(set(of) - {"?"}) for of in combinations(things, k)]
        assert distinct_at_k(counts, n, k) == pytest.approx(sum(chosen) / comb(n, k))
    if n > 1:
        alike = [one == other != "?" for one, other in combinations(things, 2)]
        assert collision(counts, n) == pytest.approx(np.mean(alike))


@given(THINGS.filter(lambda things: "?" not in things))
def test_it_grows_from_one_to_all_that_there_are(things: str):
    n, counts = len(things), counts_of(things)
    different = [distinct_at_k(counts, n, k) for k in range(1, n + 1)]
    assert different[0] == pytest.approx(1)
    assert different[-1] == len(set(things))
    assert np.all(np.diff(different) >= -1e-9)
    if n > 1:
        assert different[1] == pytest.approx(2 - collision(counts, n))


@pytest.mark.parametrize(("k", "truth"), [(8, 3.1032), (16, 4.0084)])
def test_different_ones_are_estimated_without_bias(k: int, truth: float):
    drawn = np.random.default_rng(k).multinomial(24, KNOWN, size=4_000)
    found = np.array([distinct_at_k(counts, 24, k) for counts in drawn.tolist()])
    error = found.std() / np.sqrt(len(found))
    assert error < 0.02
    assert found.mean() == pytest.approx(truth, abs=4 * error)


@pytest.mark.parametrize("n", [2, 8])
def test_how_often_two_are_alike_is_estimated_without_bias(n: int):
    drawn = np.random.default_rng(n).multinomial(n, KNOWN, size=20_000)
    found = np.array([collision(counts, n) for counts in drawn.tolist()])
    error = found.std() / np.sqrt(len(found))
    assert error < 0.004
    assert found.mean() == pytest.approx(0.4138, abs=4 * error)


@pytest.mark.parametrize("k", [0, -1, 4])
def test_more_than_there_are_samples_is_refused(k: int):
    with pytest.raises(ValueError, match="samples of each prompt"):
        distinct_at_k([2, 1], 3, k)


@pytest.mark.parametrize("n", [0, 1])
def test_one_sample_is_like_no_other(n: int):
    with pytest.raises(ValueError, match="two samples"):
        collision([1] * n, n)
