"""JSONL and JSON: rows as JSON texts, cut into chunks; parsing them is left to the workers."""

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from formatlab.errors import InputError
from formatlab.observe.files.chunk import Chunk, ChunkBuilder

LONGEST_LINE = 1 << 26
"""Bytes of a line, or characters of a list's item, beyond which it is no row; bounds memory."""

_READ = 1 << 20
_NUMBER_GOES_ON = 3  # characters such as `e+1` that are not of a number until a digit follows
_BOM = b"\xef\xbb\xbf"
_SPACE = re.compile(r"[ \t\r\n]*")


def jsonl_chunks(file: str, stream: BinaryIO, position: Callable[[], int]) -> Iterator[Chunk]:
    """Cut a file of one JSON object a line; empty lines are passed over.

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

    A list is read piece by piece. Of one object, `{"a": [...], "b": [...]}` is a table of
    columns, also with pandas' `{"a": {"0": ...}}`; `{"data": [{...}, ...]}` holds rows; any other
    is a row itself. An object is read whole.

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
    """The bytes already read, then those of the stream."""

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
    """Whether the first line is a whole object and something comes after it."""
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
    """The text of each item of a JSON list, of which no more than one and a piece is in memory."""
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
                # It may only not be whole yet, but then it has to end at some time.
                if ended or len(buffer) - place > LONGEST_LINE:
                    raise
            else:
                # A number may go on beyond the buffer (`1` of `1.5e+3`); all else shows its end.
                if ended or begun in '{["' or len(buffer) - end > _NUMBER_GOES_ON:
                    yield buffer[place:end]
                    place, expected, wanted = end, ",", _READ
                    continue
        if ended:
            raise ValueError("the list is not closed")
        more = text.read(wanted)
        ended = not more
        # Each time that an item is found to be longer, twice as much is read.
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
    columns = {
        name: list(values.values()) if isinstance(values, dict) else values
        for name, values in whole.items()
    }
    lists = [values for values in columns.values() if isinstance(values, list)]
    equal = bool(lists) and len(lists) == len(columns) and len({len(v) for v in lists}) == 1
    of_rows = [v for v in whole.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
    if equal and (len(lists) > 1 or not of_rows) and not _is_row(whole):
        yield from (dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True))
    elif len(of_rows) == 1 and not _is_row(whole):
        yield from of_rows[0]
    else:
        yield whole


def _is_row(whole: Mapping[str, Any]) -> bool:
    """Whether an object is one row: a chat, or the trace of one."""
    return any(
        isinstance(value, list)
        and all(isinstance(v, dict) and v.keys() & {"role", "from", "message"} for v in value)
        and value
        for value in whole.values()
    )
