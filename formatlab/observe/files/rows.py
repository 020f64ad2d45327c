"""Rows: chunks of rows as they stand in a file, and how CSV, JSONL and JSON are cut into chunks.

Cutting is cheap: a row of JSON stays text and a row of CSV stays fields of text. `Chunk.rows`
parses them, in the process that tags the chunk.
"""

import ast
import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import pyarrow as pa

from formatlab.errors import InputError

CHUNK_ROWS = 256
"""Most rows of a chunk. Tagging them takes some ten milliseconds; sending them takes far less."""

CHUNK_BYTES = 1 << 20
"""Bytes of text at which a chunk ends."""

_PLACE = re.compile(r"-?\d{1,9}")

Row = Mapping[str, Any]
"""A row: column -> value."""


def value_at(row: Row, path: str) -> Any:
    """The value of a column, or of a dotted path into one; None where there is none.

    A number in the path is the place of an item in a list, from 0; -1 is the last one.
    """
    if path in row:
        return row[path]
    value: Any = row
    for name in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and _PLACE.fullmatch(name):
            value = value[int(name)] if -len(value) <= int(name) < len(value) else None
        else:
            return None
    return value


@dataclass(frozen=True, kw_only=True, slots=True)
class BadRow:
    """A row that cannot be tagged, and why."""

    file: str
    row: int
    """From 1: the line in JSONL or CSV, the item of a JSON list, the row in parquet."""
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.row}: {self.reason}"


_DETAILS = re.compile(r"""'[^']*+'?|"[^"]*+"?|\d++""")


def kind_of(reason: str) -> str:
    """What a reason says, without its quotes and numbers: one kind of problem."""
    return _DETAILS.sub("", reason)


@dataclass(slots=True)
class Problems:
    """Problems with rows, those of a kind counted: reasons that differ in quotes and numbers."""

    kinds: dict[str, tuple[int, BadRow]] = field(default_factory=dict)
    """Kind -> number of rows, and the first of them."""

    def add(self, row: BadRow, count: int = 1) -> None:
        """Count a row, or `count` rows of which it is the first."""
        kind = kind_of(row.reason)
        number, first = self.kinds.get(kind, (0, row))
        self.kinds[kind] = (number + count, first)

    def merge(self, other: "Problems") -> None:
        """Add the problems of other rows, which come after these."""
        for number, first in other.kinds.values():
            self.add(first, number)

    @property
    def first(self) -> list[BadRow]:
        """The first row of each kind."""
        return [row for _, row in self.kinds.values()]

    @property
    def total(self) -> int:
        """Number of rows."""
        return sum(number for number, _ in self.kinds.values())

    def lines(self, name: str) -> list[str]:
        """One line for each kind, the commonest first: `name`, the first row, and how many more."""
        found = sorted(self.kinds.values(), key=lambda kind: -kind[0])
        return [
            f"{name}: {row}" if number == 1 else f"{name}: {row} (and {number - 1:,} more like it)"
            for number, row in found
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """Rows as they stand in a file: as JSON texts, as fields of text or as an Arrow batch."""

    file: str
    numbers: tuple[int, ...]
    """Number of each row; see `BadRow.row`."""
    position: int
    """How far the file is read, in bytes on the disk."""
    texts: tuple[bytes, ...] = ()
    """Each row as JSON, not yet parsed."""
    names: tuple[str, ...] = ()
    """Names of `fields`."""
    fields: tuple[tuple[str, ...], ...] = ()
    """Each row as fields of text."""
    table: pa.RecordBatch | None = None
    bad: tuple[BadRow, ...] = ()
    """Parts of the file that are no rows."""

    @classmethod
    def broken(cls, file: str, row: int, reason: str, position: int) -> "Chunk":
        """A chunk without rows that says why the rest of a file cannot be read."""
        bad = BadRow(file=file, row=row, reason=f"the rest cannot be read: {reason}")
        return cls(file=file, numbers=(), position=position, bad=(bad,))

    def rows(self, columns: tuple[str, ...] | None = None) -> Iterator[tuple[int, Row | BadRow]]:
        """Parse the rows.

        Args:
            columns: those to read of an Arrow batch, as far as it has them; all if not given.
        """
        if self.table is not None:
            chosen = self.table.schema.names if columns is None else columns
            wanted = [name for name in chosen if name in self.table.schema.names]
            yield from zip(self.numbers, self.table.select(wanted).to_pylist(), strict=True)
        elif self.fields:
            for number, fields in zip(self.numbers, self.fields, strict=True):
                yield number, _with_lists(dict(zip(self.names, fields, strict=True)))
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


def _with_lists(row: dict[str, Any]) -> dict[str, Any]:
    """A row of CSV with several samples in a field, as pandas writes them, as lists.

    So are scores and truth values beside them, as many; other lists stay text, as a right answer
    may be an interval.
    """
    samples = {
        name: texts
        for name, field in row.items()
        if field.startswith(("['", '["'))
        and (texts := _listed(field))
        and len(texts) > 1
        and all(isinstance(text, str) for text in texts)
    }
    if not samples:
        return row
    numbers = {len(texts) for texts in samples.values()}
    beside = {
        name: values
        for name, field in row.items()
        if field.startswith("[")
        and name not in samples
        and (values := _listed(field))
        and len(values) in numbers
        and all(isinstance(value, float) or value in (None, 0, 1) for value in values)
    }
    return row | samples | beside


def _listed(field: str) -> list[Any] | None:
    for parse in (json.loads, ast.literal_eval):
        try:
            held = parse(field)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return held if isinstance(held, list) else None
    return None


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
        """Note a part of the file that is no row."""
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
        """Give the chunk, if there is anything in it, and begin another.

        Args:
            position: how far the file is read, in bytes on the disk.
            names: of the fields, if the rows are fields.
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


_LONGEST_FIELD = 1 << 26
_DELIMITERS = ",;\t"


def csv_chunks(file: str, stream: BinaryIO, position: Callable[[], int]) -> Iterator[Chunk]:
    """Cut a CSV file, whose first line names the columns and shows the delimiter.

    Args:
        file: its name.
        stream: its bytes.
        position: how far it has been read, in bytes on the disk.

    Raises:
        InputError: it has no header, or one that names a column twice.
    """
    # Bytes that are no UTF-8 become lone surrogates, by which `_undecodable` finds them.
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
    csv.field_size_limit(_LONGEST_FIELD)
    builder = ChunkBuilder(file)
    try:
        header = text.readline()
        if not header.strip():
            if not text.read(1):
                return
            raise InputError(f"{file}: the first line is empty; it should name the columns")
        delimiter = max(_DELIMITERS, key=header.count)
        (names,) = csv.reader([header], delimiter=delimiter)
    except (csv.Error, EOFError, OSError) as error:
        raise InputError(f"cannot read {file}: {error}") from error
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{file}, line 1: column {twice[0]!r} is named twice")
    columns = tuple(names)
    reader = csv.reader(text, delimiter=delimiter)
    while True:
        number = reader.line_num + 2  # the first line of the record; the header is line 1
        try:
            fields = next(reader)
        except StopIteration:
            break
        except (csv.Error, EOFError, OSError) as error:
            yield from builder.take(position(), columns)
            yield Chunk.broken(file, number, str(error), position())
            return
        if not fields:
            continue
        joined = "".join(fields)
        if len(fields) != len(columns):
            builder.reject(number, f"{len(fields)} fields, and the header names {len(columns)}")
        elif not joined.isascii() and _undecodable(joined):
            builder.reject(number, "not UTF-8 text")
        else:
            builder.add(number, tuple(fields), len(joined))
        if builder.full:
            yield from builder.take(position(), columns)
    yield from builder.take(position(), columns)


def _undecodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


LONGEST_LINE = 1 << 26
"""Bytes of a line, or characters of a list's item, above which it is no row; bounds memory."""

_TOTALS = {"accuracy", "acc", "score", "reward", "correct", "exact_match", "metrics", "metric"}
"""Fields beside the rows that say of them together what fields of a row say of it alone."""
_SMALL_OBJECT = 2_000
"""Characters of JSON up to which an object beside the rows is kept with each row."""

_READ = 1 << 20
_NUMBER_GOES_ON = 3  # characters, such as `e+` and a digit, that may continue a number
_BOM = b"\xef\xbb\xbf"
_SPACE = re.compile(r"[ \t\r\n]*")


def jsonl_chunks(file: str, stream: BinaryIO, position: Callable[[], int]) -> Iterator[Chunk]:
    """Cut a file of one JSON object a line; empty lines are left out.

    Args:
        file: its name.
        stream: its bytes.
        position: how far it has been read, in bytes on the disk.
    """
    builder = ChunkBuilder(file)
    number = 0
    try:
        while line := stream.readline(LONGEST_LINE):
            number += 1
            if number == 1:
                line = line.removeprefix(_BOM)
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                while (rest := stream.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                    pass
                builder.reject(number, f"a line of more than {LONGEST_LINE >> 20} MiB")
            elif line.strip():
                builder.add(number, line, len(line))
            if builder.full:
                yield from builder.take(position())
    except (EOFError, OSError, ValueError) as error:
        yield from builder.take(position())
        yield Chunk.broken(file, number + 1, str(error), position())
        return
    yield from builder.take(position())


def json_chunks(file: str, stream: BinaryIO, position: Callable[[], int]) -> Iterator[Chunk]:
    """Cut a JSON file: a list of rows, one object of columns or rows, or JSONL by this name.

    A list is read piece by piece, an object whole. The object `{"a": [...], "b": [...]}` is a table
    of columns, as are those of pandas, `{"a": {"0": ...}}` and `{"columns": [...], "data": [...]}`;
    `{"data": [{...}, ...]}` holds rows, which get its texts, numbers and small objects (such as
    `metadata`) too, and so do objects with the same fields by their keys, `{"q1": {...}, "q2":
    {...}}`; any other object is a row.

    Raises:
        InputError: it does not begin as JSON.
    """
    try:
        start = stream.read(_READ)
    except (EOFError, OSError, ValueError) as error:
        raise InputError(f"cannot read {file}: {error}") from error
    begins = start.removeprefix(_BOM).lstrip()[:1]
    joined = io.BufferedReader(_Joined(start.removeprefix(_BOM), stream), _READ)
    if begins == b"[":
        yield from _list_chunks(file, joined, position)
    elif begins == b"{" and not _is_jsonl(start):
        yield from _object_chunks(file, joined, position)
    elif begins == b"{" or not begins:
        yield from jsonl_chunks(file, joined, position)
    else:
        raise InputError(f"{file}: not JSON; it begins {start[:40].decode('utf-8', 'replace')!r}")


class _Joined(io.RawIOBase):
    """The bytes already read, followed by the rest of the stream."""

    def __init__(self, start: bytes, stream: BinaryIO) -> None:
        self._start = start
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._start[: len(buffer)]
        self._start = self._start[len(piece) :]
        piece = piece or self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _is_jsonl(start: bytes) -> bool:
    """Whether the first line is a whole object and more follows."""
    first, _, rest = start.removeprefix(_BOM).lstrip().partition(b"\n")
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return False
    return bool(rest.strip())


def _list_chunks(file: str, stream: BinaryIO, position: Callable[[], int]) -> Iterator[Chunk]:
    builder = ChunkBuilder(file)
    number = 0
    try:
        for item in _items(stream):
            number += 1
            builder.add(number, item.encode("utf-8", "surrogateescape"), len(item))
            if builder.full:
                yield from builder.take(position())
    except (EOFError, OSError, ValueError, RecursionError) as error:
        yield from builder.take(position())
        reason = (
            f"not JSON ({error.msg})" if isinstance(error, json.JSONDecodeError) else str(error)
        )
        yield Chunk.broken(file, number + 1, reason, position())
        return
    yield from builder.take(position())


def _items(stream: BinaryIO) -> Iterator[str]:
    """The text of each item of a JSON list; memory holds one item and a piece of the next."""
    text = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape")
    decoder = json.JSONDecoder()
    buffer, place, ended, wanted = "", 0, False, _READ
    expected = "["
    while True:
        place = _SPACE.match(buffer, place).end()  # pyright: ignore[reportOptionalMemberAccess]
        begun = buffer[place : place + 1]
        if expected in ("[", ",") and begun:
            if begun == "]" and expected == ",":
                if (buffer[place + 1 :] + text.read(_READ)).strip():
                    raise ValueError("text after the end of the list")
                return
            if begun != expected:
                raise ValueError(f"not JSON ({begun!r} where {expected!r} was expected)")
            place, expected = place + 1, "item"
            continue
        if begun == "]" and not buffer[:place].strip(" \t\r\n["):
            expected = ","  # an empty list
            continue
        if begun:
            try:
                end = decoder.raw_decode(buffer, place)[1]
            except json.JSONDecodeError:
                # The item may not be whole yet; but it must end at some point.
                if ended or len(buffer) - place > LONGEST_LINE:
                    raise
            else:
                # A number may continue beyond the buffer (`1` of `1.5e+3`), no other item.
                if ended or begun in '{["' or len(buffer) - end > _NUMBER_GOES_ON:
                    yield buffer[place:end]
                    place, expected, wanted = end, ",", _READ
                    continue
        if ended:
            raise ValueError("the list is not closed")
        more = text.read(wanted)
        ended = not more
        # Twice as much is read each time that an item turns out to be longer.
        buffer, place, wanted = buffer[place:] + more, 0, 2 * wanted


def _object_chunks(file: str, stream: BinaryIO, position: Callable[[], int]) -> Iterator[Chunk]:
    try:
        whole = json.loads(stream.read())
    except json.JSONDecodeError as error:
        raise InputError(
            f"{file}, line {error.lineno}: not JSON ({error.msg}); "
            "if the file holds one object a line, name it .jsonl"
        ) from None
    except (ValueError, RecursionError, EOFError, OSError) as error:
        raise InputError(f"cannot read {file}: {error}") from None
    builder = ChunkBuilder(file)
    for number, row in enumerate(_rows(whole), start=1):
        text = json.dumps(row).encode()
        builder.add(number, text, len(text))
        if builder.full:
            yield from builder.take(position())
    yield from builder.take(position())


def _rows(whole: Mapping[str, Any]) -> Iterator[Any]:
    values = list(whole.values())
    lists = [value for value in values if isinstance(value, list)]
    objects = [value for value in values if isinstance(value, dict)]
    of_rows = [value for value in lists if value and isinstance(value[0], dict)]
    if _is_row(whole):
        yield whole
    elif _is_split(whole):
        yield from (dict(zip(whole["columns"], row, strict=True)) for row in whole["data"])
    elif _is_of_columns(objects, values):
        columns = [list(value.values()) for value in objects]
        yield from (dict(zip(whole, row, strict=True)) for row in zip(*columns, strict=True))
    elif len(objects) == len(values) > 1 and len({tuple(v) for v in objects}) == 1:
        yield from ({"key": key, **row} for key, row in whole.items())
    elif len(of_rows) == len(values) > 1 and _same_fields(of_rows):
        for key, rows in whole.items():
            yield from ({"key": key, **row} if isinstance(row, dict) else row for row in rows)
    elif (
        len(lists) == len(values) > 0
        and len({len(value) for value in lists}) == 1
        and (len(lists) > 1 or not of_rows)
    ):
        yield from (dict(zip(whole, row, strict=True)) for row in zip(*lists, strict=True))
    elif len(of_rows) == 1:
        said = {
            name: value
            for name, value in whole.items()
            if _of_each_row(value) and name not in _TOTALS
        }
        yield from (said | row if isinstance(row, dict) else row for row in of_rows[0])
    elif len(objects) == 1 and not lists and (rows := list(_rows(objects[0]))) != objects:
        said = {
            name: value
            for name, value in whole.items()
            if isinstance(value, str | int | float) and name not in _TOTALS
        }
        yield from (said | row if isinstance(row, dict) else row for row in rows)
    else:
        yield whole


def _is_of_columns(objects: Sequence[Mapping[str, Any]], values: Sequence[Any]) -> bool:
    """Whether all values are columns as pandas writes them, each row under its number."""
    return (
        len(objects) == len(values) > 0
        and len({tuple(value) for value in objects}) == 1
        and all(key.isdigit() for key in objects[0])
    )


def _same_fields(groups: Sequence[Sequence[Mapping[str, Any]]]) -> bool:
    """Whether the rows of several lists have the same fields, so that none is a column."""
    fields = [set(rows[0]) for rows in groups]
    return len(fields[0]) > 1 and all(names == fields[0] for names in fields)


def _of_each_row(value: object) -> bool:
    """Whether a value beside the rows is kept with each of them: text, a number, a small object."""
    if isinstance(value, Mapping):
        return len(json.dumps(value)) <= _SMALL_OBJECT
    return isinstance(value, str | int | float)


def _is_split(whole: Mapping[str, Any]) -> bool:
    """Whether an object is a table of W&B, or one that pandas wrote with `orient="split"`."""
    names, rows = whole.get("columns"), whole.get("data")
    return (
        isinstance(names, list)
        and isinstance(rows, list)
        and all(isinstance(name, str) for name in names)
        and all(isinstance(row, list) and len(row) == len(names) for row in rows)
    )


def _is_row(whole: Mapping[str, Any]) -> bool:
    """Whether an object is one row: a chat or a trace."""
    return any(
        isinstance(value, list)
        and all(isinstance(v, dict) and v.keys() & {"role", "from", "message"} for v in value)
        and value
        for value in whole.values()
    )
