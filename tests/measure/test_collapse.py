"""The collapse step."""

import pytest

from formatlab.errors import InputError
from formatlab.measure.collapse import collapse_step


def collapse(batches: list[str], threshold: float = 0.9) -> int | None:
    """Take one string of one-letter tags a step."""
    steps = [step for step, batch in enumerate(batches) for _ in batch]
    return collapse_step(steps, [tag for batch in batches for tag in batch], threshold=threshold)


A9 = "aaaaaaaaab"  # exactly nine tenths


@pytest.mark.parametrize(
    ("batches", "step"),
    [
        (["ab", "ab", A9, A9], 2),
        ([A9, "ab", A9, A9], 2),  # what came before a relapse does not count
        ([A9, A9], 0),  # from the first step
        (["ab", "ab", "aaa"], 2),  # only at the last one
        ([A9, A9, "ab"], None),  # lost at the last one
        (["ab", "aaab"], None),
        (["bbb", "bbb", "aaa", "aaa"], 2),  # another format held before
        (["bbb", "bbb"], 0),
        (["ab"], None),
        (["a"], 0),
        ([], None),
    ],
)
def test_the_first_step_that_holds_to_the_end(batches: list[str], step: int | None) -> None:
    assert collapse(batches) == step


def test_steps_are_those_given_and_in_any_order() -> None:
    steps, tags = [30, 10, 30, 20, 10, 20], ["a", "a", "a", "a", "b", "a"]
    assert collapse_step(steps, tags) == 20


def test_rollouts_may_come_as_counts() -> None:
    steps, tags = [0, 0, 1, 1], ["a", "b", "a", "b"]
    assert collapse_step(steps, tags, rollouts=[1, 1, 9, 1]) == 1
    assert collapse_step(steps, tags, rollouts=[1, 1, 8, 1]) is None


def test_the_threshold_decides() -> None:
    batches = ["aaab", "aaaab", "aaaaaaaaab"]
    assert [collapse(batches, threshold) for threshold in (0.7, 0.8, 0.9, 1.0)] == [0, 1, 2, None]


def test_unrecognised_output_can_take_over() -> None:
    assert collapse_step([0, 0, 1, 1], ["prose", "none", "none", "none"]) == 1


@pytest.mark.parametrize("threshold", [0.5, 0.0, -1, 1.01, float("nan")])
def test_a_threshold_that_dominates_nothing_is_refused(threshold: float) -> None:
    with pytest.raises(InputError, match="threshold"):
        collapse(["aa"], threshold)
