"""The chunk: some rows of a file on their way to a worker, as they stand in the file."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

CHUNK_ROWS = 256
"""Rows of a chunk at most. Tagging them takes some ten milliseconds, handing them over far less."""

CHUNK_BYTES = 1 << 20
"""Bytes of text after which a chunk ends."""

Row = Mapping[str, Any]
"""A row by its columns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BadRow:
    """A row that cannot be tagged, and why."""

    file: str
    row: int
    """From 1: the line in JSONL or CSV, the item of a JSON list, the row in parquet."""
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.row}: {self.reason}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """Rows as they stand in a file: as JSON, as fields or as an Arrow batch."""

    file: str
    numbers: tuple[int, ...]
    """Where each row is; see `BadRow.row`."""
    position: int
    """Bytes of the file, as it is on the disk, that lie behind."""
    texts: tuple[bytes, ...] = ()
    """Each row as JSON, not yet parsed."""
    names: tuple[str, ...] = ()
    """Names of `fields`."""
    fields: tuple[tuple[str, ...], ...] = ()
    """Each row as fields of text."""
    table: pa.RecordBatch | None = None
    bad: tuple[BadRow, ...] = ()
    """What was found to be no row when the file was cut."""

    @classmethod
    def broken(cls, file: str, row: int, reason: str, position: int) -> "Chunk":
        """A chunk without rows that says why a file cannot be read on."""
        bad = BadRow(file=file, row=row, reason=f"the rest cannot be read: {reason}")
        return cls(file=file, numbers=(), position=position, bad=(bad,))

    def rows(self, columns: tuple[str, ...] | None = None) -> Iterator[tuple[int, Row | BadRow]]:
        """Parse the rows.

        Args:
            columns: of an Arrow batch only these, where it has them; all if not given.
        """
        if self.table is not None:
            chosen = self.table.schema.names if columns is None else columns
            wanted = [name for name in chosen if name in self.table.schema.names]
            yield from zip(self.numbers, self.table.select(wanted).to_pylist(), strict=True)
        elif self.fields:
            for number, fields in zip(self.numbers, self.fields, strict=True):
                yield number, dict(zip(self.names, fields, strict=True))
        else:
            for number, text in zip(self.numbers, self.texts, strict=True):
                yield number, self._parsed(number, text)

    def _parsed(self, number: int, text: bytes) -> Row | BadRow:
        try:
            row = json.loads(text.decode())
        except UnicodeDecodeError as error:
            reason = f"not UTF-8 text ({error.reason} at byte {error.start})"
        except RecursionError:
            reason = "JSON that is nested too deeply"
        except ValueError as error:
            reason = f"not JSON ({error}): {_beginning(text)}"
        else:
            if isinstance(row, dict):
                return row
            reason = f"not a JSON object: {_beginning(text)}"
        return BadRow(file=self.file, row=number, reason=reason)


class ChunkBuilder:
    """Collects rows until they make a chunk."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._numbers: list[int] = []
        self._rows: list[Any] = []
        self._bad: list[BadRow] = []
        self._bytes = 0

    def add(self, number: int, row: bytes | tuple[str, ...], size: int) -> None:
        """Add a row of about `size` bytes."""
        self._numbers.append(number)
        self._rows.append(row)
        self._bytes += size

    def reject(self, number: int, reason: str) -> None:
        """Note what is no row."""
        self._bad.append(BadRow(file=self._file, row=number, reason=reason))

    @property
    def full(self) -> bool:
        """Whether it is time for `take`."""
        return (
            len(self._rows) >= CHUNK_ROWS
            or self._bytes >= CHUNK_BYTES
            or len(self._bad) >= CHUNK_ROWS
        )

    def take(self, position: int, names: tuple[str, ...] = ()) -> Iterator[Chunk]:
        """Give what was collected, if anything, and begin anew.

        Args:
            position: bytes of the file that lie behind.
            names: of the fields, where the rows are fields.
        """
        if self._rows or self._bad:
            rows = tuple(self._rows)
            yield Chunk(
                file=self._file,
                numbers=tuple(self._numbers),
                position=position,
                texts=() if names else rows,
                names=names,
                fields=rows if names else (),
                bad=tuple(self._bad),
            )
        self._numbers, self._rows, self._bad, self._bytes = [], [], [], 0


def _beginning(text: bytes) -> str:
    shown = text[:60].decode("utf-8", "replace").strip()
    return repr(shown if len(text) <= 60 else f"{shown}...")
