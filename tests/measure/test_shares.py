"""Shares and accuracies by group."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_runs import rollout

from formatlab.measure.counts import shares
from formatlab.store import ROLLOUT_SCHEMA
from formatlab.store.rollout import rollouts_to_table


def test_a_small_case_by_hand() -> None:
    rows = [
        rollout(step=1, tag="b", correct=False),
        rollout(step=0, tag="a", well_formed=False),
        rollout(step=0, tag="a"),
        rollout(step=0, tag="a", correct=False),
        rollout(step=0, tag="b"),
    ]
    measured = shares(rollouts_to_table(rows), by=["step"]).to_pylist()
    names = ("step", "tag", "rollouts", "total", "share", "accuracy", "well_formed")
    assert [tuple(row[name] for name in names) for row in measured] == [
        (0, "a", 3, 4, 0.75, pytest.approx(2 / 3), pytest.approx(2 / 3)),
        (0, "b", 1, 4, 0.25, 1.0, 1.0),
        (1, "a", 0, 1, 0.0, None, None),
        (1, "b", 1, 1, 1.0, 0.0, 1.0),
    ]


def test_groups_of_several_columns() -> None:
    rows = [rollout(epoch=1.0, step=4), rollout(epoch=0.0, step=3), rollout(epoch=0.0, step=2)]
    measured = shares(rollouts_to_table(rows), by=["epoch", "step"])
    assert measured["epoch"].to_pylist() == [0.0, 0.0, 1.0]
    assert measured["step"].to_pylist() == [2, 3, 4]


def test_no_rollouts_make_no_rows() -> None:
    assert shares(ROLLOUT_SCHEMA.empty_table(), by=["step"]).num_rows == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", "none"]), st.booleans()),
        min_size=1,
    )
)
def test_shares_of_a_group_sum_to_one_and_agree_with_counting(cells: list) -> None:
    rows = [rollout(step=step, tag=tag, correct=correct) for step, tag, correct in cells]
    measured = shares(rollouts_to_table(rows), by=["step"]).to_pylist()
    totals = Counter(step for step, _, _ in cells)
    for step, total in totals.items():
        of_step = [row for row in measured if row["step"] == step]
        assert sum(row["share"] for row in of_step) == pytest.approx(1)
        assert {row["total"] for row in of_step} == {total}
    for row in measured:
        mine = [c for step, tag, c in cells if (step, tag) == (row["step"], row["tag"])]
        assert row["rollouts"] == len(mine)
        assert row["accuracy"] == (pytest.approx(sum(mine) / len(mine)) if mine else None)


def test_accuracy_is_over_the_rollouts_whose_right_answer_is_known() -> None:
    rows = [rollout(tag="a", correct=value) for value in (True, False, None)]
    rows += [rollout(tag="b", correct=None)] * 2
    measured = shares(rollouts_to_table(rows), by=["step"]).to_pylist()
    assert [(row["rollouts"], row["accuracy"]) for row in measured] == [(3, 0.5), (2, None)]
