"""Counts of rollouts by group, by prompt and tag, and as shares."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_runs import probe_rollouts, rollout

from formatlab.measure import counts as counts_module
from formatlab.measure.counts import counts, shares, tally
from formatlab.store import ROLLOUT_SCHEMA, Rollout
from formatlab.store.rollout import rollouts_to_table

GRADES = (True, False, None)
ROWS = st.lists(
    st.builds(
        lambda step, tag, correct, well_formed: rollout(
            step=step, tag=tag, correct=correct, well_formed=well_formed
        ),
        st.integers(0, 2),
        st.sampled_from("abc"),
        st.sampled_from(GRADES),
        st.booleans(),
    ),
    max_size=12,
)


def rows_of(rollouts: object, **options: list[str]) -> list[dict]:
    found = counts(rollouts, **options).to_pylist()  # pyright: ignore[reportArgumentType]
    return sorted(found, key=lambda row: [row[key] for key in (*options["by"], "tag")])


@given(ROWS)
def test_counts_agree_with_counting(rows: list[Rollout]) -> None:
    groups = sorted({(row.step, row.tag) for row in rows})
    of_group = {g: [row for row in rows if (row.step, row.tag) == g] for g in groups}
    assert rows_of(rollouts_to_table(rows), by=["step"]) == [
        {
            "step": step,
            "tag": tag,
            "n_rollouts": len(of),
            "n_graded": sum(row.correct is not None for row in of),
            "n_correct": sum(row.correct is True for row in of),
            "n_well_formed": sum(row.well_formed for row in of),
        }
        for (step, tag), of in of_group.items()
    ]


@given(st.lists(ROWS, max_size=5), st.integers(0, 6))
def test_it_is_all_one_how_rollouts_are_divided(parts: list[list[Rollout]], merged: int) -> None:
    whole = rollouts_to_table([row for part in parts for row in part])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts_module, "_FEWEST_MERGED", merged)
        divided = rows_of((rollouts_to_table(part) for part in parts), by=["step"])
    assert divided == rows_of(whole, by=["step"])


def test_without_a_grouping_tags_are_counted() -> None:
    table = rollouts_to_table(probe_rollouts({"p": "Aab", "q": "b"}))
    tags = [(row["tag"], row["n_rollouts"], row["n_correct"]) for row in rows_of(table, by=[])]
    assert tags == [("a", 2, 1), ("b", 2, 0)]


def test_only_what_is_there_is_counted() -> None:
    table = rollouts_to_table([rollout()]).select(["step", "tag"])
    assert counts(table, by=["step"]).column_names == ["step", "tag", "n_rollouts"]


def test_nothing_is_counted_where_nothing_comes() -> None:
    assert counts([], by=["epoch", "prompt_id"]).num_rows == 0
    assert shares([], by=["step"]).num_rows == 0
    assert tally([]).prompt_ids == ()


def test_groups_may_be_of_a_dictionary_that_is_another_in_every_table() -> None:
    tables = [rollouts_to_table([rollout(split=split)]) for split in ("train", "probe", "train")]
    found = shares(tables, by=["split"])
    assert found.select(["split", "rollouts"]).to_pylist() == [
        {"split": "probe", "rollouts": 1},
        {"split": "train", "rollouts": 2},
    ]


def test_counts_by_prompt_and_tag() -> None:
    counts = tally(rollouts_to_table(probe_rollouts({"q": "aAb", "p": "Bcc"})))
    assert counts.prompt_ids == ("p", "q")
    assert counts.tags == ("a", "b", "c")
    assert counts.rollouts.tolist() == [[0, 1, 2], [2, 1, 0]]
    assert counts.correct.tolist() == [[0, 1, 0], [1, 0, 0]]
    assert counts.samples_per_prompt == 3


def test_unequal_samples_have_no_common_number() -> None:
    counts = tally(rollouts_to_table(probe_rollouts({"p": "aa", "q": "a"})))
    assert counts.samples_per_prompt is None


def test_rollouts_without_a_known_answer_are_counted_but_not_graded() -> None:
    rows = [rollout(correct=value) for value in (True, False, None, None)]
    counts = tally(rollouts_to_table(rows))
    assert (counts.rollouts.sum(), counts.graded.sum(), counts.correct.sum()) == (4, 2, 1)


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
