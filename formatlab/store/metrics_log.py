"""The metrics log: one JSON line a step, which survives a writer that is killed in mid-line."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from formatlab.errors import RunError
from formatlab.store.atomic_file import explained_os_errors, write_text_atomically

_BLOCK = 1 << 15
"""Bytes that `metrics_tail` reads at a time."""


class MetricsLog:
    """Reads and writes one `metrics.jsonl`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, *rows: Mapping[str, Any]) -> None:
        """Add a line a row and flush them to the disk; numbers that are not finite become null.

        Raises:
            InputError: no permission.
            RunError: no space left, or another failure of the file system.
        """
        lines = "".join(json.dumps(_finite(row), ensure_ascii=False) + "\n" for row in rows)
        with explained_os_errors(self.path):
            self._cut_unfinished_line()
            with self.path.open("ab") as file:
                file.write(lines.encode("utf-8", "replace"))
                file.flush()
                os.fsync(file.fileno())

    def rows(self) -> list[dict[str, Any]]:
        """Return the lines in order, without a last line that was not finished.

        Raises:
            RunError: a finished line is not a JSON object.
        """
        rows, wrong = self._read()
        if wrong is not None:
            raise RunError(
                f"{self.path.parent / wrong}; the same `formatlab run` makes such a run again, and "
                "one that a FormatRecorder writes goes on without the line"
            )
        return rows

    def damaged_line(self) -> str | None:
        """Say which finished line is no JSON object; None if all are."""
        return self._read()[1]

    def drop_from(self, step: int) -> None:
        """Remove the lines whose step is `step` or later."""
        rows = self.rows()
        kept = [row for row in rows if row["step"] < step]
        if len(kept) < len(rows):
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
            write_text_atomically(self.path, text)

    def _read(self) -> tuple[list[dict[str, Any]], str | None]:
        """The finished lines, up to one that is damaged, and what is wrong with that."""
        rows: list[dict[str, Any]] = []
        lines = self.path.read_bytes().split(b"\n")[:-1] if self.path.exists() else []
        for number, line in enumerate(lines, start=1):
            where = f"{self.path.name}, line {number}"
            try:
                row = json.loads(line)
            except ValueError:
                return rows, f"{where} is not JSON"
            if not isinstance(row, dict):
                return rows, f"{where} is not a JSON object"
            rows.append(row)
        return rows, None

    def _cut_unfinished_line(self) -> None:
        if not self.path.exists():
            return
        with self.path.open("rb+") as file:
            length = file.seek(0, os.SEEK_END)
            if length == 0:
                return
            file.seek(length - 1)
            if file.read(1) != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)


def metrics_tail(path: Path, rows: int) -> list[dict[str, Any]]:
    """Return the last lines of a `metrics.jsonl`, at most `rows`, in order.

    The rest of the file is not read. A line that is just being written is left out, as are lines
    that are no JSON objects: whoever only looks on does not complain.
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
    # Unless all of the file was read, it was cut inside its first line.
    lines = read.split(b"\n")[(1 if start > 0 else 0) : -1]
    return [row for line in lines[-rows:] if isinstance(row := _parsed(line), dict)]


def _finite(value: Any) -> Any:
    """Return the value with nan and infinities, which JSON does not have, as None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
