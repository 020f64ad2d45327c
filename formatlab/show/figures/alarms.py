"""Figure: how well signals warn of a collapse, how early, and how often in vain."""

from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from formatlab.measure.alarms import Alarms, SignalAlarms, Warnings
from formatlab.show.figures.layout import QUIET, STYLE, exact_percent, figure_layout
from formatlab.show.palette import SERIES
from formatlab.show.tables.alarms import WORDS

_FEWEST_LEADS = 3
"""Warned collapses below which a median lead is not drawn."""


def alarms_figure(found: Alarms, steps: int) -> Figure:
    """Draw the curves of all signals, their leads and their areas.

    Args:
        found: how well signals warn.
        steps: the first steps that were read.
    """
    best = found.signals[0]
    legend = [
        (Line2D([], [], color=colour, marker=marker, ls="-", ms=5), WORDS[of.signal])
        for of, (colour, marker) in zip(found.signals, SERIES, strict=False)
    ]
    with matplotlib.rc_context(STYLE):
        figure, (curves, leads, areas) = figure_layout(
            title=f"Warning of a collapse from the first {steps} steps",
            caption=_caption(found, best.fitted, steps),
            panels=3,
            columns=3,
            panel_size=(2.7, 2.5),
            gap=1.2,
            legend=legend,
            legend_entry=1.3,
        )
        _draw_curves(curves, found.signals)
        _draw_leads(leads, found.signals)
        _draw_areas(areas, found.signals)
    return figure


def _draw_curves(axis: Axes, signals: Sequence[SignalAlarms]) -> None:
    """Share of collapses warned of against that of false alarms."""
    for place, (of, (colour, marker)) in enumerate(zip(signals, SERIES, strict=False)):
        points = [warnings for _, warnings in of.curve]
        axis.plot(
            [*(point.false_alarms.value for point in points), 1.0],
            [*(point.detected.value for point in points), 1.0],
            color=colour,
            lw=2.0 if place == 0 else 0.9,
            alpha=1.0 if place == 0 else 0.75,
            zorder=4 if place == 0 else 2,
        )
        if of.held_out is not None:
            _draw_held_out(axis, of.held_out, colour, marker, whole=place == 0)
    axis.plot([0, 1], [0, 1], color=QUIET, lw=0.8, ls=":", zorder=1)
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(-0.02, 1.02)
    for along in (axis.xaxis, axis.yaxis):
        along.set_major_formatter(FuncFormatter(exact_percent))
    axis.set_title("collapses warned of")
    axis.set_xlabel("false alarms, of other runs")


def _draw_held_out(
    axis: Axes, warnings: Warnings, colour: str, marker: str, *, whole: bool
) -> None:
    """The point of thresholds that other seeds chose; of the best signal with its intervals."""
    x, y = warnings.false_alarms, warnings.detected
    if whole and x.low is not None and x.high is not None:
        axis.plot([x.low, x.high], [y.value] * 2, color=colour, lw=1.1, zorder=5)
    if whole and y.low is not None and y.high is not None:
        axis.plot([x.value] * 2, [y.low, y.high], color=colour, lw=1.1, zorder=5)
    axis.plot([x.value], [y.value], marker, color=colour, ms=6, mec="white", mew=0.7, zorder=6)


def _draw_leads(axis: Axes, signals: Sequence[SignalAlarms]) -> None:
    """Median lead against false alarms, along the thresholds."""
    for place, (of, (colour, _)) in enumerate(zip(signals, SERIES, strict=False)):
        points = [point for _, point in of.curve if point.n_detected >= _FEWEST_LEADS]
        axis.plot(
            [point.false_alarms.value for point in points],
            [point.lead.value for point in points],
            color=colour,
            lw=2.0 if place == 0 else 0.9,
            alpha=1.0 if place == 0 else 0.75,
            zorder=4 if place == 0 else 2,
        )
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(0, None)
    axis.xaxis.set_major_formatter(FuncFormatter(exact_percent))
    axis.set_title("median lead, steps")
    axis.set_xlabel("false alarms, of other runs")


def _draw_areas(axis: Axes, signals: Sequence[SignalAlarms]) -> None:
    for place, (of, (colour, marker)) in enumerate(zip(signals, SERIES, strict=False)):
        auc = of.auc
        if auc.low is not None and auc.high is not None:
            axis.plot([auc.low, auc.high], [place, place], color=colour, lw=1.3, zorder=2)
        axis.plot([auc.value], [place], marker, color=colour, ms=6, mec="white", mew=0.7, zorder=3)
    axis.axvline(0.5, color=QUIET, lw=0.9, zorder=1)
    axis.grid(visible=True, axis="x")
    axis.grid(visible=False, axis="y")
    axis.set_xlim(min(0.3, *(_low(of) for of in signals)) - 0.02, 1.02)
    axis.set_yticks(range(len(signals)), [WORDS[of.signal] for of in signals])
    axis.set_ylim(len(signals) - 0.5, -0.5)
    axis.set_title("area under the curve")
    axis.set_xlabel(".5 says nothing, 1 is perfect")


def _low(of: SignalAlarms) -> float:
    return of.auc.value if of.auc.low is None else of.auc.low


def _caption(found: Alarms, fitted: Warnings, steps: int) -> str:
    return (
        f"{fitted.n_collapsed} runs that collapse and {fitted.n_others} that do not, "
        f"{fitted.n_null} of these under a random, no or inverted reward; from {found.n_bases} "
        f"bases. An alarm goes off at the first of the first {steps} steps at which the signal "
        "passes a threshold, and has to come before the collapse. Lines: all thresholds, on all "
        "runs. Points: each seed at the threshold that the other seeds choose, of the best signal "
        "with 95% intervals; bars of the area likewise, of a bootstrap over bases (none below ten "
        "bases)."
    )
