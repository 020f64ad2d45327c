"""Tagging: chunks of rows in, tagged chunks out, in this process or by a pool of workers.

A chunk goes to a worker as it stands in the file and comes back as Arrow's own bytes, so that
parsing, tagging, grading and building columns all happen in the workers.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import pyarrow as pa

from formatlab.errors import InputError, RunError
from formatlab.observe.files.completion import NoCompletionError
from formatlab.observe.files.layout import Layout
from formatlab.observe.files.rows import BadRow, Chunk, Problems, Row, value_at
from formatlab.observe.files.tag_counts import Group, TagCounts, cluster_of
from formatlab.observe.files.tagged_file import TAG_SCHEMA, as_text, input_columns
from formatlab.observe.files.verdict_counts import Compared
from formatlab.observe.grader import grade_or_raise
from formatlab.observe.own_formats import own_formats
from formatlab.observe.sandbox import Sandbox
from formatlab.observe.tagger import tag_or_raise
from formatlab.observe.writing import writing
from formatlab.world.formats import Format


@dataclass(frozen=True, kw_only=True, slots=True)
class TagJob:
    """What is done to every row."""

    formats: Path | None = None
    """File of the user's own formats."""
    grading: bool = True
    """Whether rows that have a gold are graded."""
    keeping: bool = True
    """Whether the tagged rows are given back, and not their counts alone."""
    plain: bool = False
    """Whether they are given back as `prompt_id` and `completion`, without the file's columns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaggedChunk:
    """The rows of a chunk, tagged."""

    file: str
    position: int
    """How far the file is read, in bytes on the disk."""
    rows: int
    """Rows tagged."""
    table: bytes
    """They as one Arrow batch in a stream; empty where there are none, or none are kept."""
    counts: TagCounts
    bad: Problems
    """Rows that could not be tagged."""
    notes: Problems
    """Rows that were tagged, and of which something else could not be read."""

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
    bad, notes = Problems(), Problems()
    for row in chunk.bad:
        bad.add(row)
    kept: list[Row] = []
    places: list[int] = []
    cells: list[tuple[Any, ...]] = []
    tagged = 0
    lists = layout.nesting.lists
    # A table whose rows are one rollout each stays as it is; of others all columns are parsed.
    for place, (number, parsed) in enumerate(chunk.rows(None if lists else layout.columns)):
        if isinstance(parsed, BadRow):
            bad.add(parsed)
            continue
        rollouts = list(layout.nesting.rollouts(parsed))
        if not rollouts:
            reason = f"no rollout in {' > '.join(map(repr, lists))}: an empty list"
            bad.add(BadRow(file=chunk.file, row=number, reason=reason))
        for index, (row, item) in enumerate(rollouts):
            rollout = _Rollout(
                row=row,
                item=item,
                place=index + 1,
                layout=layout,
                file=chunk.file,
                number=index + 1 if layout.whole_file else number,
                notes=notes,
            )
            try:
                seen = _tagged(rollout, formats, counts, job)
            except NoCompletionError as error:
                reason = f"column {layout.text!r}: {error}"
            except RunError:
                raise  # what is wrong is the sandbox or the like, not the text
            except Exception as error:
                # One text on which the tagger or a format of the user's own fails must not cost the
                # others; it is named like a line that cannot be parsed.
                reason = f"tagging failed: {type(error).__name__}: {error}"
            else:
                tagged += 1
                if job.keeping:
                    kept.append(rollout.plain() if job.plain else row)
                    places.append(place)
                    cells.append(seen)
                continue
            bad.add(BadRow(file=chunk.file, row=rollout.number, reason=reason))
    return TaggedChunk(
        file=chunk.file,
        position=chunk.position,
        rows=tagged,
        table=_table(None if lists or job.plain else chunk.table, kept, places, cells)
        if kept
        else b"",
        counts=counts,
        bad=bad,
        notes=notes,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rollout:
    """A row that is one rollout, with what its layout says of it."""

    row: Row
    item: int
    """Its place in the list that it was taken out of."""
    place: int
    """Its place among all of its row, from 1."""
    layout: Layout
    file: str
    number: int
    """Number of the row in the file; of the rollout, where the file is one row."""
    notes: Problems

    @property
    def where(self) -> str:
        """The file, the row, and which of its rollouts it is."""
        which = f" rollout {self.place}" if self.layout.nesting.lists else ""
        return f"{self.file}:{self.number}{'' if self.layout.whole_file else which}"

    @property
    def prompt(self) -> object:
        """Its prompt; without one each row counts for itself."""
        prompt = self.layout.prompt_of(self.row)
        return f"{self.file}:{self.number}" if prompt in (None, "") else prompt

    @property
    def cluster(self) -> int:
        """The cluster of its prompt."""
        return cluster_of(self.prompt)

    def plain(self) -> Row:
        """Its prompt and completion, by the names that measures use."""
        prompt = as_text(self.prompt)
        return {"prompt_id": prompt, "completion": self.layout.completion_of(self.row)}

    def gold(self) -> str | None:
        """The gold; None, with a note, where it cannot be read."""
        try:
            return self.layout.gold_of(self.row)
        except InputError as error:
            self._note(f"not graded: column {self.layout.gold!r}: {error}")
            return None

    def step(self) -> float | None:
        """The step; None, with a note, where it is no number."""
        try:
            return self.layout.step_of(self.row)
        except InputError as error:
            self._note(f"without a step: column {self.layout.step!r}: {error}")
            return None

    def _note(self, reason: str) -> None:
        self.notes.add(BadRow(file=self.file, row=self.number, reason=reason))


def _tagged(
    rollout: _Rollout, formats: tuple[Format, ...], counts: TagCounts, job: TagJob
) -> tuple[Any, ...]:
    """Count a rollout, and give its values for the columns of `TAG_SCHEMA`."""
    row, layout = rollout.row, rollout.layout
    text = layout.completion_of(row)
    gold = rollout.gold() if job.grading else None
    cut = layout.truncated_of(row)
    answer = flexible_answer = None
    correct = flexible = reason = None
    if gold is None:
        seen = tag_or_raise(text, formats=formats)
    else:
        verdict = grade_or_raise(text, gold, formats=formats, sandbox=_sandbox(), truncated=cut)
        seen, correct, reason = verdict.tag, verdict.correct, verdict.reason
        flexible = verdict.flexible_correct
        answer, flexible_answer = (
            None if said is None else as_text(said)
            for said in (verdict.answer, verdict.flexible_answer)
        )
        if not correct:
            counts.reasons[reason] += 1
    theirs, reward = layout.verdict_of(row), layout.reward_of(row)
    truncated = seen.truncated if cut is None else cut
    if theirs is not None:
        compared = Compared(tag=seen.format, theirs=theirs, ours=correct, reason=reason or "")
        counts.verdicts.add(compared, text, rollout.where, flexible=flexible)
    if reward is not None:
        counts.verdicts.add_reward(correct, reward)
    if cut is not None:
        counts.verdicts.cut[cut, seen.truncated] += 1
    written = writing(text)
    counts.writings[written.script, written.mixed] += 1
    held = (seen.format, seen.well_formed, seen.mixed, seen.mixed_formats, truncated)
    held = (*held, written.script, written.mixed)
    step, sample = rollout.step(), layout.sample_of(row, rollout.item)
    said = (theirs, reward, cut, step, sample, rollout.file, rollout.number)
    values = (*held, answer, correct, reason, flexible_answer, flexible, *said)
    counts.add(
        step,
        rollout.cluster,
        seen.format,
        well_formed=seen.well_formed,
        mixed=seen.mixed,
        truncated=truncated,
        correct=correct,
        flexible=bool(flexible),
        theirs=theirs,
        group=_group(layout, row, values) if layout.by else None,
    )
    return values


def _group(layout: Layout, row: Row, values: tuple[Any, ...]) -> Group:
    """The value of the column to compare by."""
    assert layout.by is not None
    if layout.by_tagging:
        value = values[TAG_SCHEMA.get_field_index(layout.by)]
    else:
        value = value_at(row, layout.by)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None or value in ("", []) or value != value:  # nan
        return None
    return value if isinstance(value, bool | int | float) else as_text(value)[:_LONGEST_GROUP]


def _table(
    table: pa.RecordBatch | None, rows: list[Row], places: list[int], cells: list[tuple[Any, ...]]
) -> bytes:
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
    """One sandbox a process. A worker runs `Finalize` when it ends, but not `atexit`."""
    sandbox = Sandbox()
    Finalize(None, sandbox.close, exitpriority=1)
    return sandbox


_LONGEST_GROUP = 200
"""Characters of a value to compare by; values that differ only further on are one."""

_AHEAD = 3
"""Most chunks per worker that are being tagged or wait for an earlier one; bounds memory."""

_SECONDS_TO_END = 5.0


def tag_chunks(
    chunks: Iterator[tuple[Chunk, Layout]], job: TagJob, *, workers: int
) -> Iterator[TaggedChunk]:
    """Tag chunks, and give them back in their order.

    Args:
        chunks: read no further ahead than the workers need.
        job: what to do with each.
        workers: number of processes; 1 is this one.

    Raises:
        RunError: a worker died.
    """
    if workers == 1:
        for chunk, layout in chunks:
            yield tag_chunk(chunk, layout, job)
        return
    with _WorkerPool(job, workers=workers) as pool:
        yield from pool.tagged(chunks)


class _WorkerPool:
    """Processes that each tag one chunk at a time; a context manager.

    Every worker has a pipe of its own. A worker that is killed in the middle of a message closes
    its pipe and disturbs no other, as it would if all wrote to one queue.
    """

    def __init__(self, job: TagJob, *, workers: int) -> None:
        """Start the workers.

        Args:
            job: what to do with each chunk.
            workers: number of processes.
        """
        context = get_context("spawn")
        self._processes: dict[Connection, BaseProcess] = {}
        with _interrupts_blocked():
            for _ in range(workers):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(theirs, job), daemon=True)
                process.start()
                theirs.close()  # so that the end of the process is the end of the pipe
                self._processes[ours] = process

    def __enter__(self) -> "_WorkerPool":
        """The workers run already."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the workers: at once after an error, else when they find their pipes closed."""
        if error[0] is not None:
            for process in self._processes.values():
                process.terminate()
        for connection in self._processes:
            connection.close()
        for process in self._processes.values():
            process.join(_SECONDS_TO_END)
            if process.is_alive():
                process.kill()
                process.join()

    def tagged(self, chunks: Iterator[tuple[Chunk, Layout]]) -> Iterator[TaggedChunk]:
        """Tag chunks, each worker one at a time, and give them back in their order."""
        idle = list(self._processes)
        busy: dict[Connection, tuple[int, Chunk]] = {}
        done: dict[int, TaggedChunk] = {}
        sent, given = 0, 0
        following = next(chunks, None)
        while following is not None or busy:
            while idle and following is not None and sent - given < _AHEAD * len(self._processes):
                connection = idle.pop()
                busy[connection] = (sent, following[0])
                with _explained_death(following[0]):
                    connection.send(following)
                sent += 1
                following = next(chunks, None)
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                number, chunk = busy.pop(connection)
                with _explained_death(chunk):
                    result = connection.recv()
                if isinstance(result, Exception):
                    raise result
                done[number] = result
                idle.append(connection)
            while given in done:
                yield done.pop(given)
                given += 1


@contextmanager
def _explained_death(chunk: Chunk) -> Iterator[None]:
    """Turn the closed pipe of a worker that died over a chunk into a message for people."""
    try:
        yield
    except (EOFError, OSError) as error:
        rows = f", rows {chunk.numbers[0]} to {chunk.numbers[-1]}" if chunk.numbers else ""
        raise RunError(
            f"a worker process died, at about {chunk.file}{rows}; it may have been out of memory. "
            "Nothing was written. Try fewer --jobs; with --jobs 1 all is done in one process"
        ) from error


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block Ctrl-C in the processes that are started meanwhile, for as long as they live.

    A terminal sends it to all of its processes; the one that reads the files ends the workers.
    """
    # Starting a first process also starts Python's resource tracker, which unblocks Ctrl-C again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, job: TagJob) -> None:
    """Tag chunks, in a worker, until there are no more."""
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
        try:
            connection.send(result)
        except OSError:  # nobody waits for it any more
            return


def _end_with_parent() -> None:
    """Have this worker end when the process that feeds it is killed."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
