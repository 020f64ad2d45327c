"""Whatever the columns and kinds of the rows, the file holds all of them."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formatlab.observe.files.tagged_file import (
    TAG_SCHEMA,
    TaggedFile,
    as_array,
    input_columns,
    kept_name,
)


def batch(rows: list[dict[str, Any]], table: pa.RecordBatch | None = None) -> pa.RecordBatch:
    arrays = input_columns(rows, table)
    own = [pa.nulls(len(rows), field.type) for field in TAG_SCHEMA]
    fields = [pa.field(name, array.type) for name, array in arrays.items()]
    return pa.RecordBatch.from_arrays(
        [*arrays.values(), *own], schema=pa.schema([*fields, *TAG_SCHEMA])
    )


def written(path: Path, batches: list[pa.RecordBatch]) -> pa.Table:
    with TaggedFile(path) as file:
        for rows in batches:
            file.append(rows)
        file.finish()
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    table = pq.read_table(path)
    assert table.schema.names[-len(TAG_SCHEMA) :] == TAG_SCHEMA.names
    return table


@pytest.mark.parametrize(
    ("values", "kind", "held"),
    [
        ([1, None], pa.int64(), [1, None]),
        ([1, 2.5], pa.float64(), [1.0, 2.5]),
        ([True, None], pa.bool_(), [True, None]),
        ([None, None], pa.null(), [None, None]),
        (["a", "\ud800"], pa.string(), ["a", "?"]),
        ([1, "a", None], pa.string(), ["1", "a", None]),
        ([1, True], pa.string(), ["1", "true"]),
        ([{"a": 1}, [1, "b"]], pa.string(), ['{"a": 1}', '[1, "b"]']),
        ([{}, {}], pa.string(), ["{}", "{}"]),
        ([2**70], pa.string(), [str(2**70)]),
        ([{"a": "\ud800"}], pa.string(), ['{"a": "?"}']),
    ],
)
def test_columns_of_json(values: list[Any], kind: pa.DataType, held: list[Any]):
    array = as_array(values)
    assert array.type == kind
    assert array.to_pylist() == held


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({"a": 1}, {"a": 2}, [{"a": 1}, {"a": 2}]),
        ({"a": 1}, {"a": 2.5}, [{"a": 1.0}, {"a": 2.5}]),
        ({"a": None}, {"a": "x"}, [{"a": None}, {"a": "x"}]),
        ({"a": 1}, {"a": "x"}, [{"a": "1"}, {"a": "x"}]),
        ({"a": True}, {"a": [1]}, [{"a": "true"}, {"a": "[1]"}]),
        ({"a": 1}, {"b": 2}, [{"a": 1, "b": None}, {"a": None, "b": 2}]),
    ],
)
def test_columns_widen(first: dict, second: dict, expected: list[dict], tmp_path: Path):
    table = written(tmp_path / "o.parquet", [batch([first]), batch([second])])
    columns = table.schema.names[: -len(TAG_SCHEMA)]
    assert table.select(columns).to_pylist() == expected


def test_nested_columns_of_parquet_keep_their_type_until_another_file_differs(tmp_path: Path):
    chats = pa.record_batch({"chat": [[{"role": "user", "content": "q"}]]})
    kept = written(tmp_path / "o.parquet", [batch([{}], chats)])
    assert kept.schema.field("chat").type == chats.schema.field("chat").type
    mixed = written(tmp_path / "o.parquet", [batch([{}], chats), batch([{"chat": "plain"}])])
    first, second = mixed["chat"].to_pylist()
    assert json.loads(first) == [{"role": "user", "content": "q"}]
    assert second == "plain"


def test_dictionaries_become_text(tmp_path: Path):
    table = pa.record_batch({"a": pa.array(["x", "y"]).dictionary_encode()})
    assert written(tmp_path / "o.parquet", [batch([{}, {}], table)])["a"].to_pylist() == ["x", "y"]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("answer", "answer_input"),
        ("answer_input", "answer_input_input"),
        ("answers", "answers"),
        ("source_row", "source_row_input"),
        ("input", "input"),
    ],
)
def test_names_that_tagging_uses_are_kept_beside(name: str, kept: str):
    assert kept_name(name) == kept


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just([1, {"a": 2}])
)
ROWS = st.lists(st.dictionaries(st.sampled_from("abc"), VALUES), min_size=1, max_size=4)


@settings(max_examples=60)
@given(st.lists(ROWS, min_size=1, max_size=4))
def test_no_rows_are_lost_whatever_they_hold(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[list[dict[str, Any]]]
):
    folder = tmp_path_factory.mktemp("tagged")
    table = written(folder / "o.parquet", [batch(rows) for rows in chunks])
    rows = [row for chunk in chunks for row in chunk]
    assert table.num_rows == len(rows)
    for name in {name for row in rows for name in row}:
        held = table[name].to_pylist()
        assert [v is None for v in held] == [row.get(name) is None for row in rows]


def test_whole_numbers_meet_fractions(tmp_path: Path):
    table = written(tmp_path / "o.parquet", [batch([{"n": 0.5}]), batch([{"n": 2**53 + 1}])])
    assert table["n"].to_pylist() == [0.5, float(2**53)]
