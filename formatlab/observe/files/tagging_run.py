"""The tagging run: all files to one tagged file, with its progress shown and its rows counted."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from formatlab.errors import InputError
from formatlab.observe.files.rows import Problems, kind_of
from formatlab.observe.files.source import RolloutReader, RolloutSource
from formatlab.observe.files.tag_counts import TagCounts
from formatlab.observe.files.tagged_file import TaggedFile
from formatlab.observe.files.tagging import TagJob, tag_chunks
from formatlab.store.atomic_file import write_atomically
from formatlab.world.cores import available_cores

if TYPE_CHECKING:
    from rich.console import Console

_FIRST_LINE, _LINE_INTERVAL = 2.0, 10.0
"""Seconds to the first line of progress, and at least between two, where there is no terminal."""

_SMALL = 1 << 21
"""Bytes of input below which starting processes takes longer than the work."""

_MOST_NAMED = 20
"""Kinds of problems that are named; all are counted."""

_MOST_GROUPS = 2_000
"""Values of the column to compare by; more of them are no groups, and would fill the memory."""


def worker_count(sources: Sequence[RolloutSource]) -> int:
    """One process for each core, or one where starting more takes longer than the work."""
    return 1 if sum(source.size for source in sources) < _SMALL else available_cores()


@dataclass(slots=True)
class TaggingRun:
    """Files to tag, how, and afterwards what came of it."""

    reader: RolloutReader
    job: TagJob
    workers: int
    console: "Console"
    """Where the progress is shown."""
    counts: TagCounts = field(default_factory=TagCounts)
    rows: int = 0
    """Rows tagged."""
    rows_of: Counter[str] = field(default_factory=Counter)
    """Rows tagged of each file."""
    bad: Problems = field(default_factory=Problems)
    """Rows that could not be tagged."""
    notes: Problems = field(default_factory=Problems)
    """Rows that were tagged, and of which something else could not be read."""
    seconds: float = 0.0

    def write(self, output: Path | None) -> None:
        """Tag all files and write the output, whole or not at all; None only counts.

        Raises:
            InputError: there is no row that can be tagged, or the column to compare by has a value
                for almost every row.
            RunError: a worker died, or the output cannot be written.
        """
        began = time.monotonic()
        if output is None:
            self._count(None)
        else:
            write_atomically(output, self._fill)
        self.seconds = time.monotonic() - began

    def table(self) -> pa.Table:
        """Tag all files of a job that is `plain`, and return the rows; for errors see `write`."""
        batches: list[pa.RecordBatch] = []
        self._count(batches.append)
        return pa.Table.from_batches(batches)

    def _fill(self, temporary: Path) -> None:
        with TaggedFile(temporary) as tagged:
            self._count(tagged.append)
            tagged.finish()

    def _count(self, keep: Callable[[pa.RecordBatch], None] | None) -> None:
        read: dict[str, int] = {}  # bytes of each file
        done = 0
        total = sum(source.size for source in self.reader.sources)
        with _progress(self.console, total) as show:
            for chunk in tag_chunks(self.reader.chunks(), self.job, workers=self.workers):
                if keep is not None and (batch := chunk.batch()) is not None:
                    keep(batch)
                self.rows += chunk.rows
                self.rows_of[chunk.file] += chunk.rows
                self.counts.merge(chunk.counts)
                if len(self.counts.by_group) > _MOST_GROUPS:
                    raise InputError(self._too_many_groups())
                self.bad.merge(chunk.bad)
                self.notes.merge(chunk.notes)
                done += chunk.position - read.get(chunk.file, 0)
                read[chunk.file] = chunk.position
                show(done, self.rows)
        if not self.rows:
            raise InputError(self._nothing())

    def _too_many_groups(self) -> str:
        return (
            f"--by {self.reader.columns.by}: more than {_MOST_GROUPS:,} different values in the "
            f"first {self.rows:,} rows; choose a column that many rows share"
        )

    def _nothing(self) -> str:
        reasons = [*self._skipped_lines(), *map(str, self.bad.first)]
        more = f"; and {len(reasons) - _MOST_NAMED:,} more" if len(reasons) > _MOST_NAMED else ""
        return f"nothing could be tagged: {'; '.join(reasons[:_MOST_NAMED])}{more}"

    def _skipped_lines(self) -> list[str]:
        """A line for each kind of files that could not be read."""
        kinds: dict[str, list[str]] = {}
        for file, message in self.reader.skipped.items():
            kinds.setdefault(kind_of(message.replace(file, "")), []).append(message)
        return [
            f"{first} (and {len(more):,} more like it)" if more else first
            for first, *more in kinds.values()
        ]

    @property
    def files(self) -> int:
        """How many files rows were read from."""
        return sum(map(len, self.reader.layouts.values()))

    @property
    def layout_lines(self) -> list[str]:
        """What was read: a line for each layout, with its files and rows."""
        files_of: dict[str, list[str]] = {}
        for layout, files in self.reader.layouts.items():
            files_of.setdefault(str(layout), []).extend(files)
        lines = []
        for said, files in files_of.items():
            rows = sum(self.rows_of[file] for file in files)
            of = files[0] if len(files) == 1 else f"{len(files):,} files, the first {files[0]}"
            lines.append(f"{said} ({rows:,} row{'' if rows == 1 else 's'} of {of})")
        if len(lines) == 1:
            return lines
        return [
            f"{len(lines)} layouts, counted together (--by source_file tells files apart):",
            *(f"{number}  {line}" for number, line in enumerate(lines, start=1)),
        ]

    @property
    def failure_lines(self) -> list[str]:
        """The files and rows that could not be read: a line for each kind, and their number."""
        lines = [f"skipped: {line}" for line in self._skipped_lines()[:_MOST_NAMED]]
        if len(self.reader.skipped) > 1:
            lines.append(f"skipped: {len(self.reader.skipped):,} files in all")
        lines += self.notes.lines("note")[:_MOST_NAMED]
        lines += self.bad.lines("bad row")[:_MOST_NAMED]
        if self.bad.total:
            lines.append(f"bad rows: {self.bad.total:,} in all, left out")
        return lines

    @property
    def interval(self) -> str:
        """What the intervals of the counts are, in words."""
        prompts = {layout.prompt for layout in self.reader.layouts}
        over = "rows, as no column tells prompts apart" if prompts == {None} else "prompts"
        return f"95% interval of a cluster bootstrap over {over}"


@contextmanager
def _progress(console: "Console", total: int) -> Iterator[Callable[[int, int], None]]:
    """Show how many bytes of the files are read, and how many rows are tagged.

    On a terminal a bar; elsewhere a line now and then.
    """
    if console.is_terminal:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        with Progress(
            TextColumn("tagging"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[rows]:,} rows"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        ) as bar:
            task = bar.add_task("tagging", total=max(total, 1), rows=0)
            yield lambda done, rows: bar.update(task, completed=done, rows=rows)
        return
    began = time.monotonic()
    due = began + _FIRST_LINE

    def line(done: int, rows: int) -> None:
        nonlocal due
        now = time.monotonic()
        part = done / max(total, 1)
        if now < due or part >= 1:
            return
        due = now + _LINE_INTERVAL
        left = f", about {(now - began) * (1 - part) / part:,.0f} s left" if part > 0 else ""
        pace = rows / (now - began)
        console.print(
            f"tagging: {part:.0%}, {rows:,} rows, {pace:,.0f} a second{left}", highlight=False
        )

    yield line
