"""The tables and figures of tagged rollouts say what the counts hold."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from formatlab.show.figures.layout import save_figure
from formatlab.show.figures.tag_shares import share_bars, share_over_steps
from formatlab.show.tables.tags import (
    FormatRow,
    StepRow,
    format_table,
    step_spans,
    step_table,
)


def format_row(tag: str, share: float, accuracy: float | None = None) -> FormatRow:
    return FormatRow(
        tag=tag,
        rows=round(1_234_567 * share),
        share=share,
        share_interval=(max(0.0, share - 0.1), min(1.0, share + 0.1)),
        well_formed=1.0,
        mixed=0.001,
        truncated=0.0,
        accuracy=accuracy,
        accuracy_interval=None if accuracy is None else (accuracy / 2, 1.0),
    )


def step_rows(n: int, **shares: float) -> list[StepRow]:
    return [
        StepRow(step=step, rows=10, shares=shares, graded=10, correct=step % 10)
        for step in range(1, n + 1)
    ]


def printed(table: object, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_formats_fit_a_terminal_of_80_columns():
    rows = [format_row("code_fenced", 0.9, 1.0), format_row("a_format_of_my_own", 0.1, 0.5)]
    whole = replace(format_row("all", 1.0, 0.95), share_interval=None)
    text = printed(format_table(rows, whole))
    assert len(text.splitlines()) == 2 + 3  # a heading of two lines, and nothing wrapped
    assert "a_forma…_my_own" in text
    assert "90.0 [80.0, 100]" in text
    assert "1,234,567" in text
    assert "95.0 [47.5, 100]" in text


def test_without_a_gold_there_is_no_accuracy():
    text = printed(format_table([format_row("prose", 1.0)], format_row("all", 1.0)))
    assert "accuracy" not in text


@pytest.mark.parametrize(("n", "spans"), [(1, 1), (5, 5), (12, 12), (13, 12), (3000, 12)])
def test_steps_are_put_into_few_spans_and_none_is_lost(n: int, spans: int):
    rows = step_rows(n, prose=1.0)
    found = step_spans(rows, 12)
    assert len(found) == spans
    assert [row for span in found for row in span.members] == rows
    assert max(len(s.members) for s in found) - min(len(s.members) for s in found) <= 1


def test_a_span_weighs_its_steps_by_their_rows():
    rows = [
        StepRow(step=1, rows=10, shares={"prose": 1.0}, graded=0, correct=0),
        StepRow(step=2, rows=30, shares={"json": 1.0}, graded=4, correct=3),
    ]
    (span,) = step_spans(rows, 1)
    assert (span.name, span.rows, span.share("prose"), span.accuracy) == ("1-2", 40, 0.25, 0.75)


def test_what_is_not_quite_none_or_all_is_not_rounded_to_it():
    rows = [format_row("a", 0.99999, 0.00001), format_row("b", 0.00001, 1.0)]
    text = printed(format_table(rows, format_row("all", 1.0, 0.5)))
    assert "99.9 [90.0, 100]" in text
    assert "0.1 [0, 10.0]" in text


def test_many_formats_share_a_column():
    shares = {f"f{n}": 0.125 for n in range(8)}
    text = printed(step_table(step_rows(40, **shares), list(shares)))
    assert "other" in text
    assert "38%" in text
    assert "f5" not in text
    assert "38-40" in text


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_figures_are_written(suffix: str, tmp_path: Path):
    rows = step_rows(300, prose=0.7, json=0.295, haiku=0.005)
    figure = share_over_steps(rows, caption="what")
    (panel,) = figure.axes
    assert len(panel.lines) == 2
    assert all(np.shape(line.get_xydata()) == (120, 2) for line in panel.lines)
    save_figure(figure, tmp_path / f"a.{suffix}")
    assert (tmp_path / f"a.{suffix}").stat().st_size > 1000


def test_bars_without_steps():
    tags = [f"f{n}" for n in range(9)]
    figure = share_bars([format_row(tag, 1 / 9) for tag in tags], caption="what")
    (panel,) = figure.axes
    assert [label.get_text() for label in panel.get_xticklabels()] == tags
