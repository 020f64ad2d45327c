"""Figure: the response of formats to the first update beside what came, by optimiser."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from formatlab.measure.statistic import Estimate
from formatlab.show.figures.layout import QUIET, STYLE, figure_layout, format_handle
from formatlab.show.palette import format_order, format_style
from formatlab.show.tables.responses import OPTIMISERS, estimate_text

Row = Mapping[str, Any]


def response_figure(
    rows: Sequence[Row],
    agreement: Mapping[tuple[str, str], tuple[Estimate, int]],
    *,
    fewest: int,
) -> Figure:
    """Draw a point a run and format: a row of panels for each optimiser that trained runs.

    Args:
        rows: see `formatlab.analysis.responses.Responses`.
        agreement: likewise.
        fewest: rollouts of a format below which it is not drawn.
    """
    drawn = [row for row in rows if row["n_rollouts"] >= fewest]
    tags = format_order({row["tag"] for row in drawn})
    bases = len({row["base"] for row in drawn})
    with matplotlib.rc_context(STYLE):
        figure, panels = figure_layout(
            title="What the first update says of where RL goes, by how the optimiser scales it",
            caption=(
                "A point is a format of a run. Right: change of the logarithm of its share in the "
                "first update, from the gradient at the base, as AdamW scales it and as gradient "
                "descent leaves it. Up: what came in the first quarter epoch. Either relative to "
                f"its mean size in the run. Formats with {fewest} rollouts in the probe or more; "
                f"{bases} pretrainings. Correlations have 95% intervals of a bootstrap over "
                "those, none below ten."
            ),
            panels=len(agreement),
            columns=2,
            panel_size=(3.2, 2.7),
            gap=0.8,
            legend=[(format_handle(tag, width=0, size=6), tag) for tag in tags],
        )
        for panel, ((trained_by, name), (found, count)) in zip(
            panels, agreement.items(), strict=False
        ):
            of_panel = [row for row in drawn if row["optimiser"] == trained_by]
            _draw(panel, of_panel, name)
            panel.set_title(f"{count} runs by {OPTIMISERS[trained_by]}\nr = {estimate_text(found)}")
            panel.set_xlabel(f"response, {OPTIMISERS[name]}")
            panel.set_ylabel("came, 1/4 epoch")
    return figure


def _draw(panel: Axes, rows: Sequence[Row], name: str) -> None:
    panel.axline((0, 0), slope=1, color=QUIET, lw=0.8, ls="--", zorder=1)
    for run in dict.fromkeys(row["run"] for row in rows):
        of_run = [row for row in rows if row["run"] == run]
        x, y = (np.array([row[key] for row in of_run]) for key in (name, "change"))
        if not (np.abs(x).sum() and np.abs(y).sum()):
            continue
        for right, up, row in zip(x / np.abs(x).mean(), y / np.abs(y).mean(), of_run, strict=True):
            style = format_style(row["tag"])
            panel.plot(right, up, color=style.colour, marker=style.marker, ms=3.5, alpha=0.7)
    panel.grid(visible=True)
