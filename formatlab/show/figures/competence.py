"""Figure: scale or competence: what bases are able to, how runs end, and what tells the end."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from formatlab.show.figures.layout import QUIET, STYLE, exact_percent, figure_layout

Row = Mapping[str, Any]

_MARKERS = "os^DvP<>"
_MODELS = {"scale": "one side alone", "competence": "one side alone", "both": "both sides"}
_LOOKS = {"one side alone": ("#8C8C8C", "o"), "both sides": ("#000000", "s")}
_KINDS = {
    ("different", "matched"): "other scale,\nsame accuracy",
    ("same", "matched"): "same scale,\nsame accuracy",
    ("same", "different"): "same scale,\nother accuracy",
    ("different", "different"): "other scale,\nother accuracy",
}


def competence_figure(
    runs: Sequence[Row], coefficients: Sequence[Row], pairs: Sequence[Row], *, tolerance: float
) -> Figure:
    """Draw the runs, the coefficients of both outcomes, and the pairs.

    Args:
        runs: rows of `formatlab.analysis.competence.Competence`, at least one.
        coefficients: likewise, of its models.
        pairs: likewise, of kinds of pairs.
        tolerance: largest difference of accuracies that are the same.
    """
    scales = dict(sorted({row["scale"]: row["parameters"] for row in runs}.items(), key=_second))
    colours = matplotlib.colormaps["viridis"]
    looks = {
        scale: (colours(0.9 * place / max(1, len(scales) - 1)), _MARKERS[place % len(_MARKERS)])
        for place, scale in enumerate(scales)
    }
    legend: list[tuple[Line2D, str]] = [
        (Line2D([], [], color=colour, marker=marker, ls="none", ms=6), scale)
        for scale, (colour, marker) in looks.items()
    ]
    legend += [
        (Line2D([], [], color=colour, marker=marker, ls="none", ms=6), words)
        for words, (colour, marker) in _LOOKS.items()
    ]
    with matplotlib.rc_context(STYLE):
        figure, panels = figure_layout(
            title="Which kind of format wins: scale or competence",
            caption=_caption(runs, tolerance),
            panels=4,
            columns=2,
            panel_size=(3.3, 2.5),
            gap=1.35,
            left=1.3,
            legend=legend,
            legend_entry=1.9,
        )
        _draw_runs(panels[0], runs, looks)
        _draw_pairs(panels[1], pairs)
        _draw_coefficients(panels[2], coefficients, "leader is worked", "log-odds")
        _draw_coefficients(panels[3], coefficients, "end share of worked", "share")
    return figure


def _second(item: tuple[str, int]) -> int:
    return item[1]


def _draw_runs(panel: Axes, runs: Sequence[Row], looks: Mapping[str, tuple[Any, str]]) -> None:
    for scale, (colour, marker) in looks.items():
        of_scale = [row for row in runs if row["scale"] == scale]
        panel.scatter(
            [100 * row["gap"] for row in of_scale],
            [row["end_share"] for row in of_scale],
            color=[colour],
            marker=marker,
            s=30,
            edgecolors="white",
            linewidths=0.6,
            zorder=3,
            clip_on=False,
        )
    panel.axvline(0, color=QUIET, lw=0.9, zorder=1)
    panel.set_ylim(-0.03, 1.03)
    panel.yaxis.set_major_formatter(FuncFormatter(exact_percent))
    panel.set_title("Base and end of each run")
    panel.set_xlabel("accuracy at the base, worked less executed (points)")
    panel.set_ylabel("share of worked formats at the end")


def _draw_pairs(panel: Axes, pairs: Sequence[Row]) -> None:
    rows = {(row["scale"], row["accuracy"]): row for row in pairs}
    for place, key in enumerate(_KINDS):
        if rows[key]["same_kind"] is not None:
            _draw_point(panel, rows[key], "same_kind", place, ("#000000", "s"))
    labels = [f"{words}\n({rows[key]['pairs']} pairs)" for key, words in _KINDS.items()]
    panel.set_yticks(range(len(_KINDS)), labels)
    panel.set_ylim(len(_KINDS) - 0.5, -0.5)
    panel.set_xlim(-0.03, 1.03)
    panel.xaxis.set_major_formatter(FuncFormatter(exact_percent))
    panel.set_title("Pairs of runs")
    panel.set_xlabel("pairs in which the same kind leads at the end")
    _grid(panel)


def _draw_coefficients(panel: Axes, coefficients: Sequence[Row], outcome: str, unit: str) -> None:
    rows = [row for row in coefficients if row["outcome"] == outcome and row["model"] in _MODELS]
    names = list(dict.fromkeys(row["predictor"] for row in rows))
    for row in rows:
        if row["coefficient"] is not None:
            words = _MODELS[row["model"]]
            place = names.index(row["predictor"]) + 0.15 * (1 if row["model"] == "both" else -1)
            _draw_point(panel, row, "coefficient", place, _LOOKS[words])
    panel.axvline(0, color=QUIET, lw=0.9, zorder=1)
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_title(outcome.capitalize())
    panel.set_xlabel(f"{unit} for one standard deviation")
    _grid(panel)


def _draw_point(panel: Axes, row: Row, name: str, place: float, look: tuple[str, str]) -> None:
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    low, high = (value if bound is None else bound for bound in (low, high))
    panel.errorbar(
        [value],
        [place],
        xerr=[[max(0.0, value - low)], [max(0.0, high - value)]],
        fmt=look[1],
        color=look[0],
        ms=5.5,
        mec="white",
        mew=0.6,
        elinewidth=1.2,
        capsize=2,
        zorder=3,
        clip_on=False,
    )


def _grid(panel: Axes) -> None:
    panel.grid(visible=True, axis="x")
    panel.grid(visible=False, axis="y")


def _caption(runs: Sequence[Row], tolerance: float) -> str:
    pretrainings = len({row["pretraining"] for row in runs})
    return (
        f"{len(runs)} runs from {pretrainings} pretrainings, a point each. In worked formats the "
        "model does the arithmetic itself, in executed ones an interpreter does it. Accuracies are "
        f"the same if they differ by at most {100 * tolerance:g} points in every format. Accuracy "
        "gap (worked less executed) and worked share are the base's: they are one side of the "
        "regressions, log parameters are the other. Bars: 95% intervals of a cluster bootstrap "
        "over pretrainings, none below ten."
    )
