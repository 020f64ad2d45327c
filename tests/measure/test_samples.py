"""Rollouts by prompt, and how many of each a comparison can use."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatlab.measure.samples import budget, by_prompt

NUMBERS = st.lists(st.integers(1, 20), min_size=1, max_size=40)


def table(**columns: Sequence[Any]) -> pa.Table:
    return pa.table({name: list(values) for name, values in columns.items()})


def test_rollouts_are_grouped_by_prompt_and_ordered_by_sample():
    found = by_prompt(table(prompt_id="qpqpp", sample=[1, 2, 0, 0, 1], tag="abcde"))
    assert [of.prompt_id for of in found] == ["p", "q"]
    assert [list(of.tags) for of in found] == [["d", "e", "b"], ["c", "a"]]


def test_the_order_of_rows_is_that_of_sampling_without_a_number():
    found = by_prompt(table(prompt_id="qpqpp", tag="abcde"))
    assert [list(of.tags) for of in found] == [["b", "d", "e"], ["a", "c"]]


def test_rows_of_equal_numbers_stay_in_their_order():
    rows = 500
    drawn = np.random.default_rng(0).integers(0, 3, size=rows).tolist()
    tags = [str(row) for row in range(rows)]
    (found,) = by_prompt(table(prompt_id="p" * rows, sample=drawn, tag=tags))
    assert list(found.tags) == sorted(tags, key=lambda tag: (drawn[int(tag)], int(tag)))


def test_columns_go_with_their_rows():
    rollouts = table(
        prompt_id="qpp",
        sample=[0, 1, 0],
        tag="abc",
        correct=[True, None, False],
        answer=["1", "2", None],
    )
    one, other = by_prompt(rollouts)
    assert (one.correct, other.correct) == ([False, None], [True])
    assert one.columns["answer"] == [None, "2"]
    assert (one.right, other.right) == ([], [0])
    assert (one.graded, other.graded) == ([0], [0])


def test_rollouts_without_verdicts_were_not_graded():
    (found,) = by_prompt(table(prompt_id="pp", tag="ab"))
    assert (found.correct, found.right, found.graded) == ([None, None], [], [])


def test_no_rollouts_are_of_no_prompt():
    assert by_prompt(table(prompt_id="p", tag="a").slice(0, 0)) == []


def test_values_of_some_rollouts():
    (found,) = by_prompt(table(prompt_id="ppp", tag="abc", completion=["x", None, "z"]))
    assert found.values("completion", [2, 0]) == ["z", "x"]
    assert found.values("completion", [0, 1]) is None
    assert found.values("completion", []) == []
    assert found.values("answer", [0]) is None


@pytest.mark.parametrize(
    ("numbers", "most"),
    [
        ([8], 8),
        ([8] * 9 + [2], 8),  # nine in ten have 8
        ([8] * 8 + [2] * 2, 2),
        ([8] * 8 + [2], 2),  # eight in nine are fewer
        ([8] * 18 + [2] * 2, 8),
        ([8] * 17 + [2] * 3, 2),
        (range(1, 101), 11),
        ([], 0),
    ],
)
def test_nine_in_ten_have_as_many(numbers: Sequence[int], most: int):
    assert budget(numbers) == most
    assert budget(numbers, [5] * 10) == min(most, 5)
    assert budget([5] * 10, numbers) == min(most, 5)


def test_no_set_or_an_empty_one():
    assert budget([], [4]) == 0
    assert budget([4], []) == 0


@given(NUMBERS)
def test_the_budget_is_the_largest_that_nine_in_ten_have(numbers: list[int]):
    most = budget(numbers)
    assert sum(number >= most for number in numbers) * 10 >= 9 * len(numbers)
    assert sum(number > most for number in numbers) * 10 < 9 * len(numbers)
