"""The parts of a change in diversity add up, and are where the change was made."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatlab.measure.bootstrap import resampled
from formatlab.measure.decomposition import (
    CORRECTNESS_KINDS,
    FORMAT_KINDS,
    PairSums,
    by_correctness,
    by_format,
    pair_sums,
    split,
)
from formatlab.measure.similarity import mean_distance

SIDES = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(2, 6))


def drawn(seed: int, prompts: int, rollouts: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Similarities and verdicts of the rollouts of each prompt, drawn at random."""
    generator = np.random.default_rng(seed)
    halves = generator.random((prompts, rollouts, rollouts))
    right = generator.random((prompts, rollouts)) < generator.random((prompts, 1))
    return list((halves + halves.swapaxes(1, 2)) / 2), list(right)


def pooled(sums: list[PairSums]) -> PairSums:
    return PairSums(*(np.sum(of, axis=0) for of in zip(*sums, strict=True)))


def test_each_pair_is_of_one_kind():
    of_verdicts, of_tags = by_correctness([True, True, False]), by_format(["a", "b", "a"])
    assert (len(of_verdicts), len(of_tags)) == (len(CORRECTNESS_KINDS), len(FORMAT_KINDS))
    assert (of_verdicts.sum(axis=0) == 1).all()
    assert (of_tags.sum(axis=0) == 1).all()
    assert of_verdicts[:, [0, 0, 2], [1, 2, 2]].tolist() == np.eye(3, dtype=bool).tolist()
    assert of_tags[:, 0, 1:].tolist() == [[False, True], [True, False]]


def test_weights_and_distances_of_a_prompt():
    similarities = np.array([[1, 0.9, 0.2], [0.9, 1, 0.4], [0.2, 0.4, 1]])
    sums = pair_sums(similarities, by_correctness([True, True, False]))
    assert sums.weights == pytest.approx([1 / 3, 2 / 3, 0])
    assert sums.distances == pytest.approx([0.1 / 3, 1.4 / 3, 0])
    assert sums.distances.sum() == pytest.approx(mean_distance(similarities))


def test_what_cannot_be_compared_does_not_count():
    similarities = np.array([[1, 0.9, np.nan], [0.9, 1, np.nan], [np.nan, np.nan, np.nan]])
    sums = pair_sums(similarities, by_format(["a", "a", "b"]))
    assert sums.weights.tolist() == [1, 0]
    assert sums.distances == pytest.approx([0.1, 0])
    for none in (pair_sums(np.eye(1), by_format(["a"])), pair_sums(np.eye(0), by_format([]))):
        assert [of.tolist() for of in none] == [[0, 0], [0, 0]]


@given(SIDES, SIDES)
def test_the_parts_add_up(before: tuple[int, int, int], after: tuple[int, int, int]):
    sides, distances = [], []
    for side in (before, after):
        similarities, right = drawn(*side)
        kinds = [by_correctness([bool(of) for of in row]) for row in right]
        sides.append(pooled(list(map(pair_sums, similarities, kinds))))
        distances.append(np.mean([mean_distance(of) for of in similarities]))
    found = split(*sides)
    assert found.change == pytest.approx(distances[1] - distances[0])
    assert found.total_composition + found.total_within == pytest.approx(found.change)
    assert found.composition.shape == found.within.shape == (3,)
    back = split(*reversed(sides))
    assert back.composition == pytest.approx(-found.composition)
    assert back.within == pytest.approx(-found.within)


def test_what_moves_only_weights_is_composition_and_only_distances_within():
    base = PairSums(np.array([0.5, 0.5]), np.array([0.1, 0.4]))
    moved = split(base, PairSums(np.array([0.9, 0.1]), np.array([0.18, 0.08])))
    assert moved.change == pytest.approx(0.26 - 0.5)
    assert moved.total_composition == pytest.approx(moved.change)
    assert moved.within == pytest.approx([0, 0])
    closer = split(base, PairSums(np.array([0.5, 0.5]), np.array([0.1, 0.2])))
    assert closer.composition == pytest.approx([0, 0])
    assert closer.within == pytest.approx([0, -0.2])


def test_a_kind_that_one_side_lacks_comes_and_goes_as_composition():
    mixed = PairSums(np.array([0.5, 0.5]), np.array([0.1, 0.4]))
    alone = PairSums(np.array([1.0, 0.0]), np.array([0.2, 0.0]))
    for found, sign in ((split(mixed, alone), 1), (split(alone, mixed), -1)):
        assert found.change == pytest.approx(-0.3 * sign)
        assert found.within == pytest.approx([0, 0])
        assert found.composition == pytest.approx([0.1 * sign, -0.4 * sign])
    neither = split(alone, alone)
    assert (neither.change, neither.composition[1], neither.within[1]) == (0, 0, 0)


def test_prompts_weigh_alike_whatever_their_number_of_pairs():
    many, few = np.full((9, 9), 0.8), np.full((2, 2), 0.2)
    sides = [
        pooled([pair_sums(of, by_format(["a"] * len(of))) for of in side])
        for side in ([many, many], [many, few])
    ]
    assert split(*sides).change == pytest.approx((0.2 + 0.8) / 2 - 0.2)


def test_resamples_are_split_at_once():
    sides = []
    for seed in (1, 2):
        similarities, right = drawn(seed, prompts=5, rollouts=6)
        kinds = [by_correctness([bool(of) for of in row]) for row in right]
        sums = map(pair_sums, similarities, kinds)
        sides.append([np.stack(of) for of in zip(*sums, strict=True)])
    matrices = resampled([of for side in sides for of in side], 7, seed=0)
    before, after = PairSums(*matrices[:2]), PairSums(*matrices[2:])
    found = split(before, after)
    assert (found.change.shape, found.within.shape) == ((7,), (7, 3))
    assert found.total_composition + found.total_within == pytest.approx(found.change)
    third = split(PairSums(*(of[2] for of in before)), PairSums(*(of[2] for of in after)))
    assert found.composition[2] == pytest.approx(third.composition)


def test_no_pairs_have_no_change():
    some = PairSums(np.array([1.0, 0.0]), np.array([0.2, 0.0]))
    nothing = PairSums(np.zeros(2), np.zeros(2))
    found = split(some, nothing)
    assert np.isnan([found.change, found.total_composition, found.total_within]).all()
