"""Rollout rows and their schema."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_runs import rollout

from formatlab.store.rollout import (
    ROLLOUT_SCHEMA,
    Rollout,
    rollouts_from_table,
    rollouts_to_table,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
rollouts = st.builds(
    Rollout,
    run_id=texts,
    split=st.sampled_from(["train", "probe"]),
    step=st.integers(0, 2**40),
    epoch=st.floats(0, 100),
    prompt_id=texts,
    family=texts,
    sample=st.integers(0, 2**31 - 1),
    prompt=texts,
    completion=texts,
    tokens=st.integers(0, 2**31 - 1),
    tag=texts,
    well_formed=st.booleans(),
    mixed=st.booleans(),
    mixed_formats=st.lists(texts, max_size=3).map(tuple),
    truncated=st.booleans(),
    gold=st.none() | texts,
    answer=st.none() | texts,
    correct=st.none() | st.booleans(),
    reason=texts,
    reward=st.none() | st.floats(-1, 1),
    advantage=st.none() | st.floats(-1e3, 1e3),
    logprob=st.none() | st.floats(-1e6, 0),
    entropy=st.none() | st.floats(0, 20),
)


@given(st.lists(rollouts, max_size=5))
def test_rows_survive_the_table(rows: list[Rollout]) -> None:
    table = rollouts_to_table(rows)
    assert table.schema.equals(ROLLOUT_SCHEMA, check_metadata=True)
    assert rollouts_from_table(table) == rows


def test_every_field_is_described() -> None:
    assert all(field.metadata[b"description"] for field in ROLLOUT_SCHEMA)


def test_the_columns_are_those_of_the_row_and_the_version() -> None:
    assert ROLLOUT_SCHEMA.names == ["schema_version", *Rollout.__dataclass_fields__]


def test_a_lone_surrogate_costs_one_character() -> None:
    (row,) = rollouts_from_table(rollouts_to_table([rollout(prompt="4 \ud800 apples é")]))
    assert row.prompt == "4 ? apples é"


def test_only_what_may_be_unknown_may_be_null() -> None:
    assert [f.name for f in ROLLOUT_SCHEMA if f.nullable] == [
        "gold",
        "answer",
        "correct",
        "flexible_answer",
        "flexible_correct",
        "reward",
        "advantage",
        "logprob",
        "entropy",
    ]


def test_a_value_of_the_wrong_type_is_refused() -> None:
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        rollouts_to_table([rollout(step="first")])
