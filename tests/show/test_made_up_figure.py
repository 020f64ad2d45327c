"""A made-up figure reaches the report by an entry in `FIGURES` alone."""

import csv
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from matplotlib.figure import Figure

from formatlab.show.figures.layout import STYLE, StudyFigure, figure_layout
from formatlab.show.report import report
from formatlab.show.study import Study
from formatlab.show.tables.table import run_columns


def entropy_rows(study: Study) -> list[dict[str, Any]]:
    return [
        {
            **run_columns(study, arm, run),
            "epoch": row["epoch"],
            "format_entropy": row["format_entropy"],
        }
        for arm in study.arms
        for run in arm.runs
        for row in run.winners
    ]


def entropy_over_epochs(study: Study) -> Figure:
    with matplotlib.rc_context(STYLE):
        figure, (panel,) = figure_layout(
            title="Entropy of the formats",
            caption=f"H(F) in nats of the probe of {study.probe_text}, a line a run.",
            panels=1,
            columns=1,
            panel_size=(6.0, 2.5),
        )
        for run in study.runs:
            panel.plot(
                [row["epoch"] for row in run.winners],
                [row["format_entropy"] for row in run.winners],
            )
    return figure


MADE_UP = StudyFigure(
    name="entropy_over_epochs",
    title="Entropy of the formats",
    draw=entropy_over_epochs,
    rows=entropy_rows,
)


def test_a_made_up_figure_is_in_the_report(
    grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "FIGURES", [*report.FIGURES, MADE_UP])
    page = report.write_report(tmp_path / "study", grid)
    folder = page.parent
    assert (folder / "figures/entropy_over_epochs.png").exists()
    assert (folder / "figures/entropy_over_epochs.svg").exists()
    assert 'alt="Entropy of the formats. The numbers are in' in page.read_text()
    with (folder / "tables/entropy_over_epochs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 4
    assert list(rows[0]) == ["arm", "parameters", "seed", "run", "epoch", "format_entropy"]
