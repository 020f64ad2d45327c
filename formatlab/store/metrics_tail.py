"""The end of a metrics log, read without the rest of it."""

import json
import os
from pathlib import Path
from typing import Any

_BLOCK = 1 << 15


def metrics_tail(path: Path, rows: int) -> list[dict[str, Any]]:
    """Return the last lines of a `metrics.jsonl`, at most `rows`, in order.

    A line that is just being written is left out, as are lines that are no JSON objects: what
    looks on from outside is not the one to complain.
    """
    try:
        with path.open("rb") as file:
            start = file.seek(0, os.SEEK_END)
            read = b""
            while start > 0 and read.count(b"\n") <= rows:
                begin = max(0, start - _BLOCK)
                file.seek(begin)
                read = file.read(start - begin) + read
                start = begin
    except FileNotFoundError:
        return []
    # What stands before the first line break is whole only at the beginning of the file.
    lines = read.split(b"\n")[(1 if start > 0 else 0) : -1]
    return [row for line in lines[-rows:] if isinstance(row := _parsed(line), dict)]


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
