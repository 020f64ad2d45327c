"""The rollout reader: chunks of all files in turn, each with the layout of its file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from formatlab.errors import InputError
from formatlab.observe.files.chunk import BadRow, Chunk, Row
from formatlab.observe.files.completion import load_tokenizer
from formatlab.observe.files.known_layouts import SAMPLE_ROWS, Columns, find_layout
from formatlab.observe.files.layout import Layout, expanded
from formatlab.observe.files.source import RolloutSource
from formatlab.observe.files.tagged_rows import TAG_SCHEMA

_MOST_TRIED = 16
"""Chunks in which a first row that can be read is looked for."""


@dataclass(slots=True)
class RolloutReader:
    """Reads files, and says what became of each."""

    sources: Sequence[RolloutSource]
    columns: Columns
    tokenizer: str | None = None
    layouts: dict[Layout, list[str]] = field(default_factory=dict)
    """The layouts found, with their files."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Files of which nothing was read, and why."""

    def chunks(self) -> Iterator[tuple[Chunk, Layout]]:
        """Read the files in turn. One that cannot be read is noted in `skipped`."""
        for source in self.sources:
            try:
                yield from self._file_chunks(source)
            except InputError as error:
                self.skipped[str(source.path)] = str(error)

    def _file_chunks(self, source: RolloutSource) -> Iterator[tuple[Chunk, Layout]]:
        chunks = source.chunks()
        begun: list[Chunk] = []
        rows: list[Row] = []
        while not rows and len(begun) < _MOST_TRIED and (chunk := next(chunks, None)):
            begun.append(chunk)
            rows += _sample(chunk)
        if not rows:
            raise InputError(f"{source.path}: {_no_rows(begun)}")
        if len(self.sources) > 1 and set(TAG_SCHEMA.names) <= set(rows[0]):
            raise InputError(
                f"{source.path}: written by `formatlab tag`; to tag it again, name it alone"
            )
        layout = find_layout(source.path, rows, self.columns, self.tokenizer)
        if layout.form == "tokens":
            if layout.tokenizer is None:
                raise InputError(
                    f"{source.path}: {layout.name} keeps token ids; name the model's folder or hub "
                    "id, or its tokenizer.json, with --tokenizer"
                )
            load_tokenizer(layout.tokenizer)
        # Files of one run differ in the step alone.
        self.layouts.setdefault(layout.of_any_file, []).append(str(source.path))
        for chunk in begun:
            yield chunk, layout
        for chunk in chunks:
            yield chunk, layout


def _sample(chunk: Chunk) -> list[Row]:
    rows: list[Row] = []
    for _, row in chunk.rows():
        if not isinstance(row, BadRow):
            rows += (row,) if chunk.table is not None else expanded(row)
        if len(rows) >= SAMPLE_ROWS:
            break
    return rows


def _no_rows(chunks: Sequence[Chunk]) -> str:
    bad = [row for chunk in chunks for row in chunk.bad]
    bad += [row for chunk in chunks for _, row in chunk.rows() if isinstance(row, BadRow)]
    if not bad:
        return "holds no rows"
    first = min(bad, key=lambda row: row.row)
    return f"none of its first {len(bad):,} rows can be read; row {first.row}: {first.reason}"
