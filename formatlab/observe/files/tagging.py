"""Tagging: chunks of rows to tagged rows.

What is handed to a worker is what stands in the file, and what comes back is Arrow's own bytes:
parsing, tagging, grading and building columns all happen in the workers.
"""

from dataclasses import dataclass
from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import pyarrow as pa

from formatlab.observe.files.chunk import BadRow, Chunk, Row
from formatlab.observe.files.completion import NoCompletionError
from formatlab.observe.files.layout import Layout, expanded
from formatlab.observe.files.tag_counts import TagCounts, cluster_of
from formatlab.observe.files.tagged_rows import TAG_SCHEMA, as_text, input_columns
from formatlab.observe.grader import grade
from formatlab.observe.own_formats import own_formats
from formatlab.observe.sandbox import Sandbox
from formatlab.observe.tagger import tag
from formatlab.world.formats import Format

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
