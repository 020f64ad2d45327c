"""maj@k against the definition, spelt out, and against what is known of single cases."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatlab.measure.majority import majority_at_k

SAMPLES = st.lists(
    # Right answers are written in two ways.
    st.sampled_from([*((True, "1"), (True, "1.0"), (True, None)), (False, None)])
    | st.tuples(st.just(False), st.sampled_from("xyz")),
    min_size=1,
    max_size=8,
)


def by_definition(samples: Sequence[tuple[bool, str | None]], k: int) -> float:
    """The mean over all choices of k samples of whether a right answer wins."""
    chances = []
    for chosen in combinations(samples, k):
        votes = Counter("right" if right else answer for right, answer in chosen)
        del votes[None]
        most = max(votes.values(), default=0)
        first = [answer for answer, count in votes.items() if count == most]
        chances.append(first.count("right") / len(first) if first else 0.0)
    return sum(chances) / len(chances)


def majority(samples: Sequence[tuple[bool, str | None]], k: int) -> float:
    return majority_at_k([right for right, _ in samples], [answer for _, answer in samples], k)


@given(SAMPLES)
def test_it_is_the_share_of_choices_that_a_right_answer_wins(
    samples: list[tuple[bool, str | None]],
):
    for k in range(1, len(samples) + 1):
        assert majority(samples, k) == pytest.approx(by_definition(samples, k))


@given(SAMPLES)
def test_one_vote_is_the_accuracy(samples: list[tuple[bool, str | None]]):
    assert majority(samples, 1) == pytest.approx(sum(right for right, _ in samples) / len(samples))


@pytest.mark.parametrize(
    ("right", "wrong", "chance"),
    [
        (2, "x", 1.0),
        (2, "xx", 1 / 2),
        (2, "xxyy", 1 / 3),
        (1, "xyz", 1 / 4),
        (2, "xxx", 0.0),
        (2, "xxxyy", 0.0),
        (0, "x", 0.0),
    ],
)
def test_all_samples_vote_once_and_ties_are_broken_by_lot(right: int, wrong: str, chance: float):
    samples = [(True, "1")] * right + [(False, answer) for answer in wrong]
    assert majority(samples, len(samples)) == pytest.approx(chance)


def test_samples_without_an_answer_have_no_vote():
    silent = [(False, None)] * 5
    assert majority([(True, "1"), *silent], 6) == 1
    assert majority(silent, 3) == 0
    assert majority([(False, "x"), *silent], 6) == 0
    # Two of six are drawn; the right one is among them in a third of the choices.
    assert majority([(True, "1"), *silent], 2) == pytest.approx(1 / 3)


def test_the_order_and_the_writing_of_samples_do_not_matter():
    one = [(True, "1"), (True, "1"), (False, "x"), (False, "y"), (False, None)]
    other = [(False, None), (False, "b"), (True, "1.0"), (False, "a"), (True, "one")]
    for k in range(1, 6):
        assert majority(one, k) == majority(other, k)


def test_many_samples():
    samples = [(True, "1")] * 60 + [(False, "x")] * 40
    chances = [majority(samples, k) for k in (1, 11, 51, 100)]
    assert chances[0] == pytest.approx(0.6)
    assert chances == sorted(chances)
    assert chances[-1] == 1


@pytest.mark.parametrize("k", [0, -1, 3])
def test_more_than_there_are_samples_is_refused(k: int):
    with pytest.raises(ValueError, match="samples of each prompt"):
        majority_at_k([True, False], ["1", "x"], k)


def test_each_sample_needs_its_answer():
    with pytest.raises(ValueError):
        majority_at_k([True, False], ["1"], 1)
