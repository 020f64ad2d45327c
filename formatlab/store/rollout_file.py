"""Rollout files: Parquet files of one split and epoch, their names, writing and reading.

A file that cannot be read is either damaged, or the machine gives out; the two are told apart.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from formatlab.errors import RunError
from formatlab.store.atomic_file import write_atomically, write_text_atomically
from formatlab.store.rollout import (
    READABLE_VERSIONS,
    ROLLOUT_SCHEMA,
    SCHEMA_VERSION,
    VERSION_KEY,
)

_NAME = re.compile(r"epoch=(\d{3,}(?:\.\d+)?)(?:-part=(\d{3,}))?\.parquet")

_BATCH_ROWS = 8_192
"""Rows read at a time by `rollout_file_batches`: 32 MB if each has 4,000 characters."""

_BUFFER = 1 << 18
"""Bytes of a column read at a time; without a buffer all of a column is read at once."""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class RolloutFile:
    """A rollout file of a folder. They sort by epoch, then by part."""

    epoch: float
    part: int
    path: Path


def rollout_file_name(epoch: float, part: int = 0) -> str:
    """Return `epoch=000.parquet` for 0.0, `epoch=000.125.parquet` for 0.125.

    The digits are exactly those of the float, so that the epoch can be read back from the name.
    Further parts of an epoch of many rollouts are `epoch=000-part=001.parquet` and so forth.
    """
    whole, _, fraction = format(Decimal(repr(float(epoch))), "f").partition(".")
    fraction = fraction.rstrip("0")
    number = f"{whole:0>3}{'.' + fraction if fraction else ''}"
    return f"epoch={number}{f'-part={part:03}' if part else ''}.parquet"


def rollout_files(folder: Path) -> list[RolloutFile]:
    """Return the rollout files in a folder, in the order of their rollouts."""
    if not folder.is_dir():
        return []
    return sorted(
        RolloutFile(epoch=float(match[1]), part=int(match[2] or 0), path=path)
        for path in folder.iterdir()
        if (match := _NAME.fullmatch(path.name))
    )


def write_rollout_file(path: Path, table: pa.Table) -> None:
    """Write a table with `ROLLOUT_SCHEMA` as a whole file.

    Where the name ends in .jsonl the file has an object a line, otherwise it is Parquet.
    """
    if path.suffix.lower() == ".jsonl":
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist()]
        write_text_atomically(path, "".join(lines))
        return
    write_atomically(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def read_rollout_file(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a rollout file, with all columns or those named, in the order named.

    A file of an older version comes in the schema of this version; columns that it lacks are empty.

    Raises:
        RunError: it cannot be read as Parquet, or is of an unknown version.
        KeyError: a column that rollouts do not have.
    """
    schema = rollout_schema(ROLLOUT_SCHEMA.names if columns is None else columns)
    with _opened(path) as file:
        table = file.read(columns=schema.names)
    return _upgraded(table, schema)


def rollout_file_batches(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Read a rollout file as `read_rollout_file` does, a few thousand rows at a time.

    Raises:
        RunError: it cannot be read as Parquet, or is of an unknown version.
        KeyError: a column that rollouts do not have.
    """
    schema = rollout_schema(ROLLOUT_SCHEMA.names if columns is None else columns)
    with _opened(path) as file:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=schema.names):
            yield _upgraded(pa.Table.from_batches([batch]), schema)


def is_rollout_file(path: Path) -> bool:
    """Whether a file is one of rollouts that the lab wrote, of any version."""
    if path.suffix.lower() not in (".parquet", ".pq"):
        return False
    try:
        return VERSION_KEY.encode() in (pq.read_schema(path).metadata or {})
    except (OSError, pa.ArrowInvalid):
        return False


def rollout_schema(columns: Sequence[str]) -> pa.Schema:
    """Return the part of `ROLLOUT_SCHEMA` with these columns."""
    return pa.schema(
        [ROLLOUT_SCHEMA.field(name) for name in columns], metadata=ROLLOUT_SCHEMA.metadata
    )


@contextmanager
def explained_damage(path: Path, what_to_do: str) -> Iterator[None]:
    """Turn an error of reading a Parquet file into a message for people.

    Args:
        path: the file.
        what_to_do: advice in case it is damaged.

    Raises:
        RunError: the file is damaged, or the machine cannot read it now.
    """
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if is_damage(error):
            raise RunError(f"cannot read {path} ({_words(error)}); {what_to_do}") from error
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> RunError:
    """The error for a file that the machine cannot read now, though it need not be damaged."""
    return RunError(f"cannot read {path} now: {_words(error)}; repeat the command")


def is_damage(error: Exception) -> bool:
    """Whether an error of reading a file is due to its content.

    It is not where memory, threads, permission or a network file system fail: pyarrow then raises a
    MemoryError, a plain ArrowException, or an OSError with an errno. An OSError about the content
    has none.
    """
    if isinstance(error, OSError):
        return error.errno is None
    machine = isinstance(error, MemoryError) or type(error) is pa.ArrowException
    return isinstance(error, pa.ArrowException) and not machine


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a rollout file and check its version."""
    what_to_do = "remove the run's folder, and the same `formatlab run` makes it again"
    with (
        explained_damage(path, what_to_do),
        # ParquetFile and not read_table: the latter adds partition columns from the path.
        pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file,
    ):
        _check_version(path, file.schema_arrow.metadata or {})
        yield file


def _check_version(path: Path, metadata: Mapping[bytes, bytes]) -> None:
    version = metadata.get(VERSION_KEY.encode(), b"none").decode()
    if version not in {str(number) for number in READABLE_VERSIONS}:
        raise RunError(
            f"{path} has rollouts of schema version {version}, and this formatlab reads versions "
            f"{', '.join(map(str, READABLE_VERSIONS))}. Read it with the formatlab that wrote it."
        )


def _upgraded(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Bring a table of any readable version into the schema of this one."""
    if "schema_version" in table.column_names:
        number = table.column_names.index("schema_version")
        versions = pa.array([SCHEMA_VERSION] * table.num_rows, pa.int32())
        table = table.set_column(number, "schema_version", versions)
    if "mixed_formats" in schema.names and "mixed_formats" not in table.column_names:
        kind = ROLLOUT_SCHEMA.field("mixed_formats").type
        table = table.append_column("mixed_formats", pa.array([[]] * table.num_rows, kind))
    for name in ("flexible_answer", "flexible_correct"):
        if name in schema.names and name not in table.column_names:
            kind = ROLLOUT_SCHEMA.field(name).type
            table = table.append_column(name, pa.nulls(table.num_rows, kind))
    return table.select(schema.names).cast(schema)


def _words(error: Exception) -> str:
    return " ".join(str(error).split())
