"""Counts of rollouts that come a few at a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_runs import probe_rollouts, rollout

from formatlab.measure import counts as counts_module
from formatlab.measure.counts import counts, shares, tally
from formatlab.store import Rollout
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
