"""Tables of a study: for people, as Markdown, and as CSV with every number."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from formatlab.show.arm import Arm
from formatlab.show.run_result import RunResult
from formatlab.show.study import Study
from formatlab.store.atomic_file import write_atomically, write_text_atomically

if TYPE_CHECKING:
    from rich.console import Console

_ANY_WIDTH = 10_000
"""Columns of what is no terminal: a file gets whole rows."""
_MARKS = "\\|*_<`[~#"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table for people; the CSV of its name has the numbers."""

    name: str
    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str
    """The meaning of the columns."""


def run_columns(study: Study, arm: Arm, run: RunResult) -> dict[str, Any]:
    """Return the first columns of a CSV with a row for each run, or for parts of one.

    The reward has a column if the study has another one than correctness.
    """
    return {
        "arm": arm.label,
        **({} if study.only_correctness else {"reward": arm.reward.name}),
        "parameters": arm.parameters,
        "seed": run.seed,
        "run": run.name,
    }


def interval_columns(
    name: str, values: tuple[float, float | None, float | None] | None
) -> dict[str, float | None]:
    """Return a number with the bounds of its interval as three columns of a CSV."""
    middle, low, high = values or (None, None, None)
    return {name: middle, f"{name}_low": low, f"{name}_high": high}


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows of equal keys as CSV; an absent number is an empty cell."""
    buffer = io.StringIO()
    if rows:
        writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return buffer.getvalue()


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose cells are Markdown already."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """Return text in which Markdown's marks have no effect."""
    return "".join(f"\\{character}" if character in _MARKS else character for character in text)


def wide_console() -> "Console":
    """A console that writes whole rows where there is no terminal."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _ANY_WIDTH
    return console


TABLE_FILES = (".csv", ".json", ".parquet")
"""Kinds of files that `write_rows` writes."""


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of equal keys to a .csv, .json or .parquet file.

    Raises:
        RunError: the file cannot be written.
    """
    kind = path.suffix.lower()
    if kind == ".parquet":
        write_atomically(path, lambda place: pq.write_table(pa.Table.from_pylist([*rows]), place))
    elif kind == ".json":
        write_text_atomically(path, json.dumps([*rows], indent=1, ensure_ascii=False) + "\n")
    else:
        write_text_atomically(path, csv_text(rows))
