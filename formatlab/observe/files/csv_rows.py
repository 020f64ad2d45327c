"""CSV: rows of fields, cut into chunks; every field stays the text that it is."""

import csv
import io
from collections.abc import Callable, Iterator
from typing import BinaryIO

from formatlab.errors import InputError
from formatlab.observe.files.chunk import Chunk, ChunkBuilder

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
    # Bytes that are no UTF-8 become lone surrogates, which mark the row as bad below.
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
        number = reader.line_num + 2  # the line that the record begins on; the header is line 1
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
