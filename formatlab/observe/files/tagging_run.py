"""The tagging run: all files to one tagged file, with its progress shown and its rows counted."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from formatlab.errors import InputError
from formatlab.observe.files.rows import Problems
from formatlab.observe.files.source import RolloutReader
from formatlab.observe.files.tag_counts import TagCounts
from formatlab.observe.files.tagged_file import TaggedFile
from formatlab.observe.files.tagging import TagJob, tag_chunks
from formatlab.store.atomic_file import write_atomically

if TYPE_CHECKING:
    from rich.console import Console

_LINE_INTERVAL = 10.0
"""Least seconds between two lines of progress where there is no terminal."""

_MOST_NAMED = 20
"""Kinds of bad rows, and files, that are named; all are counted."""


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
    bad: Problems = field(default_factory=Problems)
    """Rows that could not be tagged."""
    notes: Problems = field(default_factory=Problems)
    """Rows that were tagged, and of which something else could not be read."""
    seconds: float = 0.0

    def write(self, output: Path) -> None:
        """Tag all files and write the output, whole or not at all.

        Raises:
            InputError: there is no row that can be tagged.
            RunError: a worker died, or the output cannot be written.
        """
        write_atomically(output, self._fill)

    def _fill(self, temporary: Path) -> None:
        began = time.monotonic()
        read: dict[str, int] = {}  # bytes of each file
        done = 0
        total = sum(source.size for source in self.reader.sources)
        with TaggedFile(temporary) as tagged, _progress(self.console, total) as show:
            for chunk in tag_chunks(self.reader.chunks(), self.job, workers=self.workers):
                if (batch := chunk.batch()) is not None:
                    tagged.append(batch)
                    self.rows += batch.num_rows
                self.counts.merge(chunk.counts)
                self.bad.merge(chunk.bad)
                self.notes.merge(chunk.notes)
                done += chunk.position - read.get(chunk.file, 0)
                read[chunk.file] = chunk.position
                show(done, self.rows)
            if not self.rows:
                raise InputError(self._nothing())
            tagged.finish()
        self.seconds = time.monotonic() - began

    def _nothing(self) -> str:
        reasons = [*self.reader.skipped.values(), *map(str, self.bad.first)][:_MOST_NAMED]
        more = len(self.reader.skipped) + self.bad.total - len(reasons)
        rest = f"; and {more:,} more" if more > 0 else ""
        return f"nothing could be tagged: {'; '.join(reasons)}{rest}"

    @property
    def layout_lines(self) -> list[str]:
        """The layouts found, with the number of files of each."""
        files_of: dict[str, list[str]] = {}
        for layout, files in self.reader.layouts.items():
            files_of.setdefault(str(layout), []).extend(files)
        return [
            f"{said} ({files[0] if len(files) == 1 else f'{len(files):,} files'})"
            for said, files in files_of.items()
        ]

    @property
    def failure_lines(self) -> list[str]:
        """The files and rows that could not be read: a line for each kind, and their number."""
        skipped = list(self.reader.skipped.values())
        lines = [f"skipped: {message}" for message in skipped[:_MOST_NAMED]]
        if len(skipped) > _MOST_NAMED:
            lines.append(f"skipped: {len(skipped):,} files in all")
        lines += self.notes.lines("note")[:_MOST_NAMED]
        lines += self.bad.lines("bad row")[:_MOST_NAMED]
        if self.bad.total:
            lines.append(f"bad rows: {self.bad.total:,} in all, not in the output")
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
    began = shown = time.monotonic()

    def line(done: int, rows: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= _LINE_INTERVAL:
            shown = now
            pace = rows / (now - began)
            console.print(
                f"tagging: {done / max(total, 1):.0%}, {rows:,} rows, {pace:,.0f} a second",
                highlight=False,
            )

    yield line
