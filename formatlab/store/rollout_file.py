"""Rollout files: one parquet file a split and epoch, its name, its writing and its reading."""

import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from formatlab.errors import RunError
from formatlab.store.atomic_file import write_atomically
from formatlab.store.rollout import ROLLOUT_SCHEMA, SCHEMA_VERSION

_NAME = re.compile(r"epoch=(\d{3,}(?:\.\d+)?)\.parquet")


def rollout_file_name(epoch: float) -> str:
    """Return `epoch=000.parquet` for 0.0, `epoch=000.125.parquet` for 0.125.

    The digits are exactly those of the float, so the name gives the epoch back.
    """
    whole, _, fraction = format(Decimal(repr(float(epoch))), "f").partition(".")
    fraction = fraction.rstrip("0")
    return f"epoch={whole:0>3}{'.' + fraction if fraction else ''}.parquet"


def rollout_file_epochs(folder: Path) -> dict[float, Path]:
    """Return epoch -> file for the rollout files in a folder, in the order of the epochs."""
    if not folder.is_dir():
        return {}
    found = {
        float(match[1]): path for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))
    }
    return dict(sorted(found.items()))


def write_rollout_file(path: Path, table: pa.Table) -> None:
    """Write a table with `ROLLOUT_SCHEMA` as a whole file."""
    write_atomically(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def read_rollout_file(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a rollout file, with all columns or those named, in the order named.

    Raises:
        RunError: not readable as parquet, or written by another version of the schema.
        KeyError: a column that rollouts do not have.
    """
    names = ROLLOUT_SCHEMA.names if columns is None else list(columns)
    schema = rollout_schema(names)
    try:
        # ParquetFile and not read_table: the latter adds partition columns from the path.
        with pq.ParquetFile(path) as file:
            metadata = file.schema_arrow.metadata or {}
            version = metadata.get(b"formatlab_schema_version", b"none").decode()
            table = file.read(columns=names) if version == str(SCHEMA_VERSION) else None
    except (pa.ArrowException, OSError) as error:
        raise RunError(
            f"cannot read the rollouts in {path} ({' '.join(str(error).split())}); remove the "
            "run's folder, and the same `formatlab run` makes it again"
        ) from error
    if table is None:
        raise RunError(
            f"{path} has rollouts of schema version {version}, and this formatlab reads version "
            f"{SCHEMA_VERSION}. Read it with the formatlab that wrote it."
        )
    return table.select(names).cast(schema)


def rollout_schema(columns: Sequence[str]) -> pa.Schema:
    """Return the part of `ROLLOUT_SCHEMA` with these columns."""
    return pa.schema(
        [ROLLOUT_SCHEMA.field(name) for name in columns], metadata=ROLLOUT_SCHEMA.metadata
    )
