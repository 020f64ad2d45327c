"""The tagged file: the columns of the input and those that tagging adds, as parquet.

It is written batch by batch, before all its columns are known: a later row may bring a new one.
"""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from formatlab.observe.files.rows import Row
from formatlab.store.rollout import encodable


def _field(name: str, kind: pa.DataType, meaning: str) -> pa.Field:
    return pa.field(name, kind, metadata={"description": meaning})


TAG_SCHEMA = pa.schema(
    [
        _field("tag", pa.string(), "format, or 'none' where no format was recognised"),
        _field("well_formed", pa.bool_(), "the reader of its format finds an answer in it"),
        _field("mixed", pa.bool_(), "two formats or more carry an answer"),
        _field("mixed_formats", pa.list_(pa.string()), "the formats that do, the tag first"),
        _field("truncated", pa.bool_(), "cut off, as the file says or else as its structure does"),
        _field("writing", pa.string(), "script of most words, such as latin or cjk; empty: none"),
        _field("mixed_writing", pa.bool_(), "a second script has a tenth of the words or more"),
        _field("answer", pa.string(), "the answer read or executed; null without a gold"),
        _field("correct", pa.bool_(), "the answer equals the gold; null without a gold"),
        _field("reason", pa.string(), "why not correct; empty where it is; null without a gold"),
        _field(
            "flexible_answer",
            pa.string(),
            "the answer, or else the last number that sentences commit to; null without a gold",
        ),
        _field("flexible_correct", pa.bool_(), "it equals the gold; null without a gold"),
        _field("file_correct", pa.bool_(), "the file's own verdict; null where it has none"),
        _field("file_reward", pa.float64(), "the reward in the file; null where it has none"),
        _field("file_truncated", pa.bool_(), "cut off, as the file knows; null where it does not"),
        _field("step", pa.float64(), "training step, of a column or the file's path; else null"),
        _field("sample", pa.int64(), "number among the rollouts of its prompt, from 0; else null"),
        _field("source_file", pa.string(), "file that the row comes from"),
        _field("source_row", pa.int64(), "its line, list item or parquet row there, from 1"),
    ]
)
"""Columns that tagging adds after those of the input; each has a `description`."""

WRITTEN_BY_TAG = frozenset({"tag", "well_formed", "mixed_formats", "source_file", "source_row"})
"""Columns by which a file that `formatlab tag` wrote is known, whatever its version."""

_TAKEN = re.compile(rf"(?:{'|'.join(TAG_SCHEMA.names)})(?:_input)*")


def kept_name(name: str) -> str:
    """Name under which a column of the input is kept.

    A name that tagging uses too gets the suffix `_input`: `answer` becomes `answer_input`.
    """
    return f"{name}_input" if _TAKEN.fullmatch(name) else name


def input_columns(rows: Sequence[Row], table: pa.RecordBatch | None) -> dict[str, pa.Array]:
    """The columns of some rows of the input, by the names under which they are kept.

    Args:
        rows: as parsed; used if there is no table.
        table: the same rows in Arrow; their types stay.
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
    # One file may hold text as a dictionary while another of the same run does not.
    if isinstance(column, pa.DictionaryArray):
        return column.dictionary_decode()
    return column


_GROUP_ROWS = 1 << 14
_GROUP_BYTES = 1 << 26


class TaggedFile:
    """Writes tagged rows to a parquet file; a context manager, complete once `finish` returns.

    A row may bring a new column, or a value of another type. The rows before it then stay in a part
    of their own, and `finish` joins the parts.
    """

    def __init__(self, path: Path) -> None:
        """Prepare to write `path`, with its parts beside it."""
        self._path = path
        self._parts: list[Path] = []
        self._writer: pq.ParquetWriter | None = None
        self._schema: pa.Schema | None = None
        self._pending: list[pa.RecordBatch] = []
        self._rows = 0
        self._bytes = 0

    def __enter__(self) -> "TaggedFile":
        """Nothing is opened before there are rows."""
        return self

    def __exit__(self, *error: object) -> None:
        """Leave no part behind."""
        if self._writer is not None:
            self._writer.close()
        for part in self._parts:
            part.unlink(missing_ok=True)

    def append(self, batch: pa.RecordBatch) -> None:
        """Add rows whose last columns are those of `TAG_SCHEMA`."""
        schema = batch.schema if self._schema is None else _wide(self._schema, batch.schema)
        if self._schema is not None and schema != self._schema:
            self._end_part()
        self._schema = schema
        self._pending.append(_fitted(batch, schema))
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def finish(self) -> None:
        """Complete the file; at least one batch was appended."""
        self._end_part()
        if len(self._parts) == 1:
            shutil.move(self._parts.pop(), self._path)
            return
        schema = self._schema
        with pq.ParquetWriter(self._path, schema, compression="zstd") as writer:
            for batch in self._written():
                writer.write_batch(_fitted(batch, schema), row_group_size=_GROUP_ROWS)

    def _written(self) -> Iterator[pa.RecordBatch]:
        for part in self._parts:
            with pq.ParquetFile(part, pre_buffer=False) as file:
                yield from file.iter_batches(batch_size=_GROUP_ROWS)

    def _flush(self) -> None:
        if not self._pending or self._schema is None:
            return
        if self._writer is None:
            self._parts.append(self._path.with_name(f"{self._path.name}.{len(self._parts)}"))
            self._writer = pq.ParquetWriter(self._parts[-1], self._schema, compression="zstd")
        self._writer.write_table(pa.Table.from_batches(self._pending, self._schema))
        self._pending, self._rows, self._bytes = [], 0, 0

    def _end_part(self) -> None:
        self._flush()
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _wide(schema: pa.Schema, other: pa.Schema) -> pa.Schema:
    """A schema that holds the rows of both: the columns of the input, then those of tagging."""
    fields = {field.name: field for field in schema}
    for field in other:
        known = fields.get(field.name)
        fields[field.name] = field if known is None else _wide_field(known, field)
    own = set(TAG_SCHEMA.names)
    return pa.schema(
        [field for name, field in fields.items() if name not in own]
        + [fields[name] for name in TAG_SCHEMA.names]
    )


def _wide_field(one: pa.Field, other: pa.Field) -> pa.Field:
    if one.type == other.type:
        return one
    try:
        both = [pa.schema([pa.field(one.name, kind)]) for kind in (one.type, other.type)]
        # int64 and float64 become float64; null and another type become that type.
        wide = pa.unify_schemas(both, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return pa.field(one.name, pa.string())
    return wide.field(0)


def _fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    if batch.schema == schema:
        return batch
    there = set(batch.schema.names)
    columns = [
        _converted(batch.column(field.name), field.type)
        if field.name in there
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _converted(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.type == kind:
        return column
    if pa.types.is_string(kind) and not pa.types.is_null(column.type):
        return text_array(column.to_pylist())
    # Whole numbers become floats where fractions turn up: above 2^53 the last digits are lost.
    return column.cast(kind, safe=False)
