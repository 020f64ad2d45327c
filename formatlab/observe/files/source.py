"""Rollout sources: anyone's rollout files, found and opened; and a reader that goes through them.

A file is JSONL, JSON, CSV or parquet; all but parquet may be compressed by gzip or zstd. Memory
holds one chunk of rows at a time (and what Arrow buffers of a row group of parquet). Only a JSON
file that is one object is read whole.
"""

import glob
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from formatlab.errors import InputError
from formatlab.observe.files.completion import load_tokenizer
from formatlab.observe.files.layout import Layout
from formatlab.observe.files.layouts import SAMPLE_ROWS, Columns, find_layout
from formatlab.observe.files.rows import (
    CHUNK_ROWS,
    BadRow,
    Chunk,
    Row,
    csv_chunks,
    json_chunks,
    jsonl_chunks,
)
from formatlab.observe.files.tagged_file import WRITTEN_BY_TAG
from formatlab.store.atomic_file import TEMPORARY_PREFIX

KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
"""Suffix of a file, without that of a compression -> its kind."""

_COMPRESSED = (".gz", ".zst", ".zstd")
_GZIP, _ZSTD, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
_DIGITS = re.compile(r"(\d+)")
# Files that open-instruct, prime-rl and verifiers write beside rollouts, and that hold none.
_COMPANIONS = re.compile(r"_metadata\.jsonl|\.index\.jsonl|^(?:metadata|eval_plan)\.json$")
_COMPANION_FOLDERS = {"annotations", "live"}


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutSource:
    """One file."""

    path: Path
    size: int
    """Bytes on the disk."""

    def chunks(self) -> Iterator[Chunk]:
        """Read the file from its beginning.

        Raises:
            InputError: it cannot be opened or is of no known kind. A later error, such as the end
                of a cut-off file, becomes a bad row of the last chunk.
        """
        with _explained_errors(self.path):
            raw = self.path.open("rb")
        with raw:
            with _explained_errors(self.path):
                start = raw.read(4)
                raw.seek(0)
                kind = self._kind(start)
            if kind == "parquet":
                yield from self._parquet_chunks()
                return
            with _explained_errors(self.path):
                stream = _decompressed(raw, start)
            read = {"jsonl": jsonl_chunks, "json": json_chunks, "csv": csv_chunks}[kind]
            yield from read(str(self.path), stream, raw.tell)

    def _kind(self, start: bytes) -> str:
        if start == _PARQUET:
            return "parquet"
        plain = self.path
        while plain.suffix.lower() in _COMPRESSED:
            plain = plain.with_suffix("")
        kind = KINDS.get(plain.suffix.lower())
        if kind is None:
            raise InputError(
                f"{self.path}: not one of the kinds that can be read ({', '.join(KINDS)}, and "
                "these compressed as .gz or .zst); rename it if it is one of them"
            )
        if kind == "parquet":
            raise InputError(
                f"{self.path}: not a parquet file"
                + (
                    "; unpack it first, since parquet is not read compressed as a whole"
                    if start.startswith((_GZIP, _ZSTD))
                    else ""
                )
            )
        return kind

    def _parquet_chunks(self) -> Iterator[Chunk]:
        import pyarrow.parquet as pq

        with _explained_errors(self.path):
            # Without buffering ahead, a row group larger than memory is read page by page.
            file = pq.ParquetFile(self.path, pre_buffer=False, buffer_size=1 << 20)
            names = file.schema_arrow.names
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise InputError(f"{self.path}: column {twice[0]!r} is there twice")
        total = max(file.metadata.num_rows, 1)
        done = 0
        with file:
            batches = file.iter_batches(batch_size=CHUNK_ROWS)
            while True:
                try:
                    batch = next(batches)
                except StopIteration:
                    return
                except (pa.ArrowException, OSError) as error:
                    yield Chunk.broken(str(self.path), done + 1, _one_line(error), self.size)
                    return
                numbers = range(done + 1, done + 1 + batch.num_rows)
                done += batch.num_rows
                yield Chunk(
                    file=str(self.path),
                    numbers=tuple(numbers),
                    table=batch,
                    position=self.size * done // total,
                )


def find_sources(patterns: Sequence[str]) -> list[RolloutSource]:
    """Find the files that names, globs and folders stand for, in the order given.

    A folder stands for all files of a known kind in it and below. Numbers in names count as
    numbers, so that `9.jsonl` comes before `10.jsonl`.

    Raises:
        InputError: a name stands for nothing, or for what cannot be read.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        paths = _paths(pattern)
        if not paths:
            raise InputError(f"{_missing(pattern)}; give files, globs in quotes, or folders")
        found.update(dict.fromkeys(paths))
    sources = []
    for path in found:
        with _explained_errors(path):
            sources.append(RolloutSource(path=path, size=path.stat().st_size))
    return sources


def _paths(pattern: str) -> list[Path]:
    path = Path(pattern).expanduser()
    if path.is_dir():
        return _files_below(path)
    if path.exists():
        return [path]
    matches = sorted(map(Path, glob.glob(str(path), recursive=True)), key=_natural)
    return [
        file for match in matches for file in (_files_below(match) if match.is_dir() else [match])
    ]


def _files_below(folder: Path) -> list[Path]:
    """The files of known kinds in a folder and below.

    Raises:
        InputError: a folder cannot be read; without it, what is found would look like all.
    """
    found: list[Path] = []
    with _explained_errors(folder):
        for place, folders, names in os.walk(folder, onerror=_raise):
            folders[:] = [name for name in folders if name not in _COMPANION_FOLDERS]
            found += [
                file
                for file in map(Path(place).joinpath, names)
                if set(file.suffixes[-2:]) & set(KINDS)
                and not file.name.startswith((".", TEMPORARY_PREFIX))
                and not _COMPANIONS.search(file.name)
                and file.is_file()
            ]
    return sorted(found, key=_natural)


def _raise(error: OSError) -> None:
    raise error


def _missing(pattern: str) -> str:
    path = Path(pattern).expanduser()
    if path.is_dir():
        return f"folder {path} holds no {', '.join(KINDS)} file"
    if glob.has_magic(pattern):
        return f"no file matches {pattern!r}"
    return f"there is no file {path}"


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = _DIGITS.split(str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _decompressed(raw: BinaryIO, start: bytes) -> BinaryIO:
    """The bytes of a file, unpacked where they begin as gzip or zstd does, whatever its name."""
    if start.startswith(_GZIP):
        import gzip

        return gzip.open(raw)  # pyright: ignore[reportReturnType]  # reads as a BinaryIO does
    if start == _ZSTD:
        import io

        # Arrow reads several frames in a row and skips seek tables, as `zstd` and `pyzstd` do.
        unpacked: Any = pa.CompressedInputStream(pa.PythonFile(raw), "zstd")
        return io.BufferedReader(unpacked, 1 << 16)  # pyright: ignore[reportReturnType]
    return raw


def _one_line(error: BaseException) -> str:
    """The message of an error on one line of at most 200 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:197]}..."


@contextmanager
def _explained_errors(path: Path) -> Iterator[None]:
    """Turn an error in opening a file into a message for people."""
    try:
        yield
    except (OSError, EOFError, pa.ArrowException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else None
        # A folder may hold the one that cannot be read.
        where = error.filename if isinstance(error, OSError) and error.filename else path
        raise InputError(f"cannot read {where}: {reason or _one_line(error)}") from error


_MOST_TRIED = 16
"""Chunks in which a first readable row is looked for."""


@dataclass(slots=True)
class RolloutReader:
    """Reads files in turn; afterwards it has the layouts found and the files that were skipped."""

    sources: Sequence[RolloutSource]
    columns: Columns
    tokenizer: str | None = None
    layouts: dict[Layout, list[str]] = field(default_factory=dict)
    """The layouts found, with their files."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Files that could not be read, and why."""

    def chunks(self) -> Iterator[tuple[Chunk, Layout]]:
        """Give the chunks of all files, each with its layout."""
        for source in self.sources:
            try:
                yield from self._file_chunks(source)
            except InputError as error:
                self.skipped[str(source.path)] = str(error)

    def _file_chunks(self, source: RolloutSource) -> Iterator[tuple[Chunk, Layout]]:
        chunks = source.chunks()
        begun: list[Chunk] = []
        rows: list[Row] = []
        # A second row tells whether the first is all that the file holds.
        while len(rows) < 2 and len(begun) < _MOST_TRIED and (chunk := next(chunks, None)):
            begun.append(chunk)
            rows += _sample(chunk)
        if not rows:
            raise InputError(f"{source.path}: {_no_rows(begun)}")
        if len(self.sources) > 1 and set(rows[0]) >= WRITTEN_BY_TAG:
            raise InputError(
                f"{source.path}: written by `formatlab tag`; to tag it again, name it alone"
            )
        layout = find_layout(source.path, rows, self.columns, self.tokenizer)
        if layout.form == "tokens":
            if layout.tokenizer is None:
                raise InputError(
                    f"{source.path}: {layout.name} keeps token ids; name the model's folder or hub "
                    "id, or its tokenizer.json, with --tokenizer"
                )
            load_tokenizer(layout.tokenizer)
        # Files of one run differ in the step alone.
        self.layouts.setdefault(layout.of_any_file, []).append(str(source.path))
        for chunk in begun:
            yield chunk, layout
        for chunk in chunks:
            yield chunk, layout


def first_rollout(path: Path) -> tuple[Row, Layout] | None:
    """The first row of a file and its layout; None for a file that holds no rollouts."""
    try:
        reader = RolloutReader(sources=find_sources([str(path)]), columns=Columns())
        chunk, layout = next(reader.chunks(), (None, None))
    except InputError:
        return None
    row = None if chunk is None else next(iter(_sample(chunk)), None)
    return None if row is None or layout is None else (row, layout)


def _sample(chunk: Chunk) -> list[Row]:
    rows: list[Row] = []
    for _, row in chunk.rows():
        if not isinstance(row, BadRow):
            rows.append(row)
        if len(rows) >= SAMPLE_ROWS:
            break
    return rows


def _no_rows(chunks: Sequence[Chunk]) -> str:
    bad = [row for chunk in chunks for row in chunk.bad]
    bad += [row for chunk in chunks for _, row in chunk.rows() if isinstance(row, BadRow)]
    if not bad:
        return "holds no rows"
    first = min(bad, key=lambda row: row.row)
    return f"none of its first {len(bad):,} rows can be read; row {first.row}: {first.reason}"
