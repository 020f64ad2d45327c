"""Tag counts: what is counted of tagged rows, small enough to be kept however many there are.

Tagging: chunks of rows to tagged rows.

What is handed to a worker is what stands in the file, and what comes back is Arrow's own bytes:
parsing, tagging, grading and building columns all happen in the workers.

The crew: worker processes that each tag one chunk at a time.

Every worker has a pipe of its own. One that ends in the middle of a message, killed or interrupted,
closes its pipe and nothing else: nobody waits for the rest of what it said, as the readers of a
queue that processes share would.

The tagging run: all files to one tagged file, with the progress shown and the counts kept.
"""

import os
import signal
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from formatlab.errors import InputError, RunError
from formatlab.observe.files.completion import NoCompletionError
from formatlab.observe.files.layouts import Layout, expanded
from formatlab.observe.files.rows import BadRow, Chunk, Row
from formatlab.observe.files.source import RolloutReader
from formatlab.observe.files.tagged_file import TAG_SCHEMA, TaggedFile, as_text, input_columns
from formatlab.observe.grader import grade
from formatlab.observe.own_formats import own_formats
from formatlab.observe.sandbox import Sandbox
from formatlab.observe.tagger import tag
from formatlab.store.atomic_file import write_atomically
from formatlab.world.formats import Format

if TYPE_CHECKING:
    from rich.console import Console

_CLUSTERS = 1024

COUNTED = ("rows", "well_formed", "mixed", "truncated", "graded", "correct")
"""What is counted of each tag."""


def cluster_of(prompt: object) -> int:
    """The group that a prompt belongs to in the intervals, of 1,024.

    Rollouts of a prompt stay together, and prompts are in a group at random, so groups are
    independent as prompts are.
    """
    key = prompt if isinstance(prompt, str) else repr(prompt)
    return zlib.crc32(key.encode("utf-8", "replace")) % _CLUSTERS


_Key = tuple[float | None, str, bool, bool, bool, bool | None]


@dataclass(slots=True)
class TagCounts:
    """Rows by step or cluster of prompts, tag, well formed, mixed, truncated and correct."""

    by_step: Counter[_Key] = field(default_factory=Counter)
    by_cluster: Counter[_Key] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    """Why graded rows are not correct."""

    def add(
        self,
        step: float | None,
        cluster: int,
        tag: str,
        *,
        well_formed: bool,
        mixed: bool,
        truncated: bool,
        correct: bool | None,
    ) -> None:
        """Count a row; `correct` is None where it was not graded."""
        self.by_step[step, tag, well_formed, mixed, truncated, correct] += 1
        self.by_cluster[cluster, tag, well_formed, mixed, truncated, correct] += 1

    def merge(self, other: "TagCounts") -> None:
        """Add the counts of other rows."""
        self.by_step.update(other.by_step)
        self.by_cluster.update(other.by_cluster)
        self.reasons.update(other.reasons)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that occur, most frequent first."""
        totals = Counter[str]()
        for (_, name, *_), number in self.by_step.items():
            totals[name] += number
        by_count = sorted(totals.items(), key=lambda item: (-item[1], item[0]))
        return tuple(name for name, _ in by_count)

    @property
    def steps(self) -> tuple[float, ...]:
        """The steps that occur, in their order."""
        return tuple(sorted({key[0] for key in self.by_step if key[0] is not None}))

    def cluster_array(self) -> np.ndarray:
        """The counts by cluster; (6, P, F) as `COUNTED` and `tags` go."""
        return self._array(self.by_cluster, sorted({key[0] or 0 for key in self.by_cluster}))

    def step_array(self) -> np.ndarray:
        """The counts by step, rows without one left out; (6, S, F) as `steps` and `tags` go."""
        return self._array(self.by_step, self.steps)

    def _array(self, counts: Counter[_Key], places: Sequence[float]) -> np.ndarray:
        place_of: dict[float | None, int] = {place: i for i, place in enumerate(places)}
        tag_of = {tag: i for i, tag in enumerate(self.tags)}
        cells = np.zeros((len(COUNTED), len(place_of), len(tag_of)))
        for (place, name, well_formed, mixed, truncated, correct), number in counts.items():
            if place in place_of:
                held = (True, well_formed, mixed, truncated, correct is not None, bool(correct))
                cells[held, place_of[place], tag_of[name]] += number
        return cells


_MOST_BAD = 20
"""Bad rows of a chunk that are named; all are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TagJob:
    """What is done to every row."""

    formats: Path | None = None
    """File of the user's own formats."""
    grading: bool = True
    """Whether rows that have a gold are graded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaggedChunk:
    """The rows of a chunk, tagged."""

    file: str
    position: int
    """Bytes of the file that lie behind."""
    table: bytes
    """The rows as one Arrow batch in a stream; empty where no row could be tagged."""
    counts: TagCounts
    bad: tuple[BadRow, ...]
    """The first of the rows that could not be."""
    n_bad: int
    """All of them."""

    def batch(self) -> pa.RecordBatch | None:
        """The rows, if there are any."""
        if not self.table:
            return None
        with pa.ipc.open_stream(self.table) as reader:
            return reader.read_next_batch()


def tag_chunk(chunk: Chunk, layout: Layout, job: TagJob) -> TaggedChunk:
    """Tag the rows of a chunk, and grade those that have a gold."""
    formats = _formats(job.formats)
    counts = TagCounts()
    bad = list(chunk.bad)
    kept: list[Row] = []
    places: list[int] = []
    cells: list[tuple[Any, ...]] = []
    for place, (number, parsed) in enumerate(chunk.rows(layout.columns)):
        if isinstance(parsed, BadRow):
            bad.append(parsed)
            continue
        # What Arrow holds stays as it is; only episodes of JSON hold several rows.
        rows = (parsed,) if chunk.table is not None else expanded(parsed)
        if not rows:
            bad.append(BadRow(file=chunk.file, row=number, reason="an episode without a trace"))
        for row in rows:
            try:
                seen = _tagged(row, layout, formats, counts, f"{chunk.file}:{number}", job)
            except NoCompletionError as error:
                reason = f"column {layout.text!r}: {error}"
            except Exception as error:
                # One text over which the tagger or a format of the user's own stumbles must not
                # cost the others; it is named like a line that cannot be parsed.
                reason = f"tagging failed: {type(error).__name__}: {error}"
            else:
                kept.append(row)
                places.append(place)
                cells.append((*seen, chunk.file, number, layout.file_step))
                continue
            bad.append(BadRow(file=chunk.file, row=number, reason=reason))
    return TaggedChunk(
        file=chunk.file,
        position=chunk.position,
        table=_table(chunk, kept, places, cells) if kept else b"",
        counts=counts,
        bad=tuple(bad[:_MOST_BAD]),
        n_bad=len(bad),
    )


def _tagged(
    row: Row,
    layout: Layout,
    formats: tuple[Format, ...],
    counts: TagCounts,
    where: str,
    job: TagJob,
) -> tuple[Any, ...]:
    """The first columns of `TAG_SCHEMA` for a row, which is counted."""
    text = layout.completion_of(row)
    gold = layout.gold_of(row) if job.grading else None
    if gold is None:
        seen, answer, correct, reason = tag(text, formats=formats), None, None, None
    else:
        verdict = grade(text, gold, formats=formats, sandbox=_sandbox())
        seen, correct, reason = verdict.tag, verdict.correct, verdict.reason
        answer = None if verdict.answer is None else as_text(verdict.answer)
        if not correct:
            counts.reasons[reason] += 1
    known = layout.truncated_of(row)
    truncated = seen.truncated if known is None else known
    prompt = layout.prompt_of(row)
    counts.add(
        layout.step_of(row),
        # Without a prompt each row counts for itself.
        cluster_of(where if prompt in (None, "") else prompt),
        seen.format,
        well_formed=seen.well_formed,
        mixed=seen.mixed,
        truncated=truncated,
        correct=correct,
    )
    held = (seen.format, seen.well_formed, seen.mixed, seen.mixed_formats, truncated)
    return *held, answer, correct, reason


def _table(chunk: Chunk, rows: list[Row], places: list[int], cells: list[tuple[Any, ...]]) -> bytes:
    table = chunk.table
    if table is not None and len(places) < table.num_rows:
        table = table.take(pa.array(places, pa.int64()))
    arrays = input_columns(rows, table)
    fields = [pa.field(name, array.type) for name, array in arrays.items()]
    columns = zip(*cells, strict=True)
    own = [pa.array(column, field.type) for field, column in zip(TAG_SCHEMA, columns, strict=True)]
    batch = pa.RecordBatch.from_arrays(
        [*arrays.values(), *own], schema=pa.schema([*fields, *TAG_SCHEMA])
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


@cache
def _formats(path: Path | None) -> tuple[Format, ...]:
    return own_formats(path) if path else ()


@cache
def _sandbox() -> Sandbox:
    """One a process; `atexit` is not run in a worker, `Finalize` is."""
    sandbox = Sandbox()
    Finalize(None, sandbox.close, exitpriority=1)
    return sandbox


_AHEAD = 3
"""Chunks for each worker that are on their way or wait for an earlier one; bounds memory."""

_SECONDS_TO_END = 5.0


def tag_chunks(
    chunks: Iterator[tuple[Chunk, Layout]], job: TagJob, *, workers: int
) -> Iterator[TaggedChunk]:
    """Tag chunks, and give them back in their order.

    Args:
        chunks: read no further ahead than the workers need.
        job: what to do with each.
        workers: processes; with 1 it is done in this one.

    Raises:
        RunError: a worker died.
    """
    if workers == 1:
        for chunk, layout in chunks:
            yield tag_chunk(chunk, layout, job)
        return
    with _Crew(job, workers=workers) as crew:
        yield from crew.tagged(chunks)


class _Crew:
    """Tags chunks side by side, and gives them back in their order; a context manager."""

    def __init__(self, job: TagJob, *, workers: int) -> None:
        """Start the workers.

        Args:
            job: what to do with each chunk.
            workers: number of processes.
        """
        context = get_context("spawn")
        self._processes: dict[Connection, BaseProcess] = {}
        with _interrupts_held():
            for _ in range(workers):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(theirs, job), daemon=True)
                process.start()
                theirs.close()  # so that the end of the process is the end of the pipe
                self._processes[ours] = process

    def __enter__(self) -> "_Crew":
        """The workers run already."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the workers, whatever they are at."""
        for connection, process in self._processes.items():
            connection.close()
            if error[0] is not None:
                process.terminate()
        for process in self._processes.values():
            process.join(_SECONDS_TO_END)
            if process.is_alive():
                process.kill()
                process.join()

    def tagged(self, chunks: Iterator[tuple[Chunk, Layout]]) -> Iterator[TaggedChunk]:
        """Tag chunks; one worker has one at a time, so that no pipe ever fills."""
        idle = list(self._processes)
        busy: dict[Connection, tuple[int, Chunk]] = {}
        done: dict[int, TaggedChunk] = {}
        sent, given = 0, 0
        following = next(chunks, None)
        while following is not None or busy:
            while idle and following is not None and sent - given < _AHEAD * len(self._processes):
                connection = idle.pop()
                busy[connection] = (sent, following[0])
                _exchange(connection.send, following, chunk=following[0])
                sent += 1
                following = next(chunks, None)
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                number, chunk = busy.pop(connection)
                result = _exchange(connection.recv, chunk=chunk)
                if isinstance(result, Exception):
                    raise result
                done[number] = result
                idle.append(connection)
            while given in done:
                yield done.pop(given)
                given += 1


def _exchange(call: Any, *values: object, chunk: Chunk) -> Any:
    """Send or receive.

    Raises:
        RunError: there is nobody at the other end.
    """
    try:
        return call(*values)
    except (EOFError, OSError) as error:
        rows = f", rows {chunk.numbers[0]} to {chunk.numbers[-1]}" if chunk.numbers else ""
        raise RunError(
            f"a worker process died, at about {chunk.file}{rows}; it may have been out of memory. "
            "Nothing was written. Try fewer --jobs; with --jobs 1 all is done in one process"
        ) from error


def _work(connection: Connection, job: TagJob) -> None:
    """Tag chunks until there are no more."""
    _end_with_parent()
    while True:
        try:
            chunk, layout = connection.recv()
        except (EOFError, OSError):
            return
        try:
            result: TaggedChunk | Exception = tag_chunk(chunk, layout, job)
        except Exception as error:
            result = error
        connection.send(result)


def _end_with_parent() -> None:
    """Have this worker end when the process that feeds it is killed."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Put Ctrl-C off while processes start, which then never see it.

    It reaches every process of the terminal, and the one that reads the files ends the others.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_LINE_INTERVAL = 10.0
"""Least seconds between two lines of progress where there is no terminal."""

MOST_NAMED = 20
"""Bad rows and files that are named; all are counted."""


@dataclass(slots=True)
class TaggingRun:
    """What is to be done, and what has come of it."""

    reader: RolloutReader
    job: TagJob
    workers: int
    console: "Console"
    """Where the progress is shown."""
    counts: TagCounts = field(default_factory=TagCounts)
    rows: int = 0
    """Rows tagged."""
    n_bad: int = 0
    """Rows that could not be."""
    bad: list[BadRow] = field(default_factory=list)
    """The first of them."""
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
        behind: dict[str, int] = {}
        done = 0
        total = sum(source.size for source in self.reader.sources)
        with TaggedFile(temporary) as tagged, _progress(self.console, total) as show:
            for chunk in tag_chunks(self.reader.chunks(), self.job, workers=self.workers):
                if (batch := chunk.batch()) is not None:
                    tagged.append(batch)
                    self.rows += batch.num_rows
                self.counts.merge(chunk.counts)
                self.n_bad += chunk.n_bad
                self.bad += chunk.bad[: max(0, MOST_NAMED - len(self.bad))]
                done += chunk.position - behind.get(chunk.file, 0)
                behind[chunk.file] = chunk.position
                show(done, self.rows)
            if not self.rows:
                raise InputError(self._nothing())
            tagged.finish()
        self.seconds = time.monotonic() - began

    def _nothing(self) -> str:
        reasons = [*self.reader.skipped.values(), *map(str, self.bad)][:MOST_NAMED]
        more = len(self.reader.skipped) + self.n_bad - len(reasons)
        rest = f"; and {more:,} more" if more > 0 else ""
        return f"nothing could be tagged: {'; '.join(reasons)}{rest}"


@contextmanager
def _progress(console: "Console", total: int) -> Iterator[Callable[[int, int], None]]:
    """Show how many bytes of the files lie behind, and how many rows have been tagged.

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
