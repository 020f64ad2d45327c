"""Tagged rows: the columns of the input, as Arrow holds them, and those that tagging adds."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from formatlab.observe.files.chunk import Row
from formatlab.store.rollout import encodable


def _field(name: str, kind: pa.DataType, meaning: str) -> pa.Field:
    return pa.field(name, kind, metadata={"description": meaning})


TAG_SCHEMA = pa.schema(
    [
        _field("tag", pa.string(), "format, or 'none' where no format was recognised"),
        _field("well_formed", pa.bool_(), "the reader of its format finds an answer in it"),
        _field("mixed", pa.bool_(), "two formats or more carry an answer"),
        _field("mixed_formats", pa.list_(pa.string()), "the formats that do, the tag first"),
        _field("truncated", pa.bool_(), "cut off, as the row says or else as its structure does"),
        _field("answer", pa.string(), "the answer read or executed; null without a gold"),
        _field("correct", pa.bool_(), "the answer equals the gold; null without a gold"),
        _field("reason", pa.string(), "why not correct; empty where it is; null without a gold"),
        _field("source_file", pa.string(), "file that the row comes from"),
        _field("source_row", pa.int64(), "its line, list item or parquet row there, from 1"),
        _field("source_step", pa.int64(), "step that the file's path names; else null"),
    ]
)
"""Columns that tagging adds, behind those of the input; each has a `description`."""

_TAKEN = re.compile(rf"(?:{'|'.join(TAG_SCHEMA.names)})(?:_input)*")


def kept_name(name: str) -> str:
    """Name under which a column of the input is kept.

    One that tagging adds too gets `_input` behind it: `answer` becomes `answer_input`.
    """
    return f"{name}_input" if _TAKEN.fullmatch(name) else name


def input_columns(rows: Sequence[Row], table: pa.RecordBatch | None) -> dict[str, pa.Array]:
    """The columns of some rows of the input, by the names under which they are kept.

    Args:
        rows: as parsed; used where there is no table.
        table: the same rows as Arrow holds them. Their types stay.
    """
    if table is not None:
        return {
            kept_name(name): _plain(column)
            for name, column in zip(table.schema.names, table.columns, strict=True)
        }
    names = dict.fromkeys(name for row in rows for name in row)
    return {kept_name(name): as_array([row.get(name) for row in rows]) for name in names}


def as_array(values: Sequence[Any]) -> pa.Array:
    """Values of JSON as one Arrow array.

    Text, whole numbers, numbers and truth values keep their type. Lists and objects, whose shape
    may change from row to row, become JSON text; so does all but text where the kinds differ.
    """
    kinds = set(map(type, values)) - {type(None)}
    try:
        if not kinds:
            return pa.nulls(len(values))
        if kinds == {str}:
            return pa.array(values, pa.string())
        if kinds == {bool}:
            return pa.array(values, pa.bool_())
        if kinds == {int}:
            return pa.array(values, pa.int64())
        if kinds <= {int, float}:
            return pa.array(values, pa.float64())
    except (UnicodeEncodeError, OverflowError, pa.ArrowInvalid):
        pass  # a lone surrogate, or a number beyond 64 bits
    return text_array(values)


def text_array(values: Sequence[Any]) -> pa.Array:
    """Values as text: text as it is, all else as JSON."""
    return pa.array([None if value is None else as_text(value) for value in values], pa.string())


def as_text(value: object) -> str:
    """A value as text that UTF-8 can hold."""
    return encodable(
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    )


def _plain(column: pa.Array) -> pa.Array:
    # A dictionary is how one file holds text, and another file of the same run may not.
    if isinstance(column, pa.DictionaryArray):
        return column.dictionary_decode()
    return column
