"""Figures of forecasts: one forecast over the epochs, and how good forecasts are."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from formatlab.forecast import EARLY_SLOPES
from formatlab.forecast.method import Forecast
from formatlab.forecast.scoring import CHOSEN, Score, Scored, calibration, score
from formatlab.show.figures.layout import QUIET, STYLE, figure_layout
from formatlab.show.palette import format_style
from formatlab.show.tables.forecasts import LOG_SCORE, ByAxis, method_words


def forecast_figure(by_axis: ByAxis) -> Figure:
    """Draw the log score of each method by what the fit left out, and the best one's calibration.

    Args:
        by_axis: what the fit left out -> method -> its forecasts.
    """
    axes_names = list(by_axis)
    first = by_axis[axes_names[0]]
    best = CHOSEN if CHOSEN in first else next(iter(first))
    some = next(iter(first.values()))
    runs, bases = len(some), len({of.case.base for of in some})
    with matplotlib.rc_context(STYLE):
        figure, axes = figure_layout(
            title="Forecasts of the format that leads after RL, made before it",
            caption=(
                "Log score: expected log-probability of the format that led at the last probe, "
                "nats, of runs that the fit left out (one group at a time); 0 is perfect. "
                f"Last panel: how often forecasts of {method_words(best)} came true, over all "
                "formats. "
                f"Bars are 95% intervals of a bootstrap over bases. {runs} runs from {bases} bases."
            ),
            panels=len(axes_names) + 1,
            columns=3,
            panel_size=(2.3, 3.4),
            gap=0.5,
        )
        for axis, panel in zip(axes_names, axes, strict=False):
            _draw_scores(panel, axis, by_axis[axis])
        _draw_calibration(axes[len(axes_names)], method_words(best), first[best])
    return figure


def _draw_scores(panel: Axes, axis: str, of_axis: Mapping[str, Sequence[Scored]]) -> None:
    names = list(of_axis)
    for place, name in enumerate(names):
        found = score(of_axis[name], LOG_SCORE)
        if found is not None:
            colour = QUIET if name in EARLY_SLOPES else "#0072B2"
            _bar(panel, found, found.value, place, colour, horizontal=True)
            panel.annotate(
                method_words(name),
                (0, place - 0.42),
                xycoords=("axes fraction", "data"),
                fontsize=7.5,
                color=QUIET,
                va="center",
            )
    panel.set_yticks([])
    panel.grid(visible=True, axis="x")
    panel.set_ylim(len(names) - 0.5, -0.9)
    panel.set_xlim(right=0)
    panel.set_title(f"left out: {axis}")
    panel.set_xlabel("log score, nats")


def _draw_calibration(panel: Axes, words: str, scored: Sequence[Scored]) -> None:
    panel.plot([0, 1], [0, 1], color=QUIET, lw=0.8, ls="--")
    for of in calibration(scored):
        _bar(panel, of.came, of.forecast, of.came.value, "#0072B2", horizontal=False)
    panel.set_xlim(-0.03, 1.03)
    panel.set_ylim(-0.03, 1.03)
    panel.set_title(f"calibration: {words}")
    panel.set_xlabel("forecast probability of leading")
    panel.set_ylabel("came true")
    panel.grid(visible=True, axis="both")


def _bar(panel: Axes, found: Score, x: float, y: float, colour: str, *, horizontal: bool) -> None:
    error = None
    if found.low is not None and found.high is not None:
        error = np.array([[found.value - found.low], [found.high - found.value]]).clip(0)
    across, along = (error, None) if horizontal else (None, error)
    panel.errorbar(x, y, xerr=across, yerr=along, fmt="o", color=colour, ms=4, lw=1)


def course_figure(forecast: Forecast, base: np.ndarray, *, title: str, words: str) -> Figure:
    """Draw the expected shares over the epochs with their bands, from the base on.

    Args:
        forecast: with shares.
        base: shares of the base; (F,).
        title: what is forecast.
        words: the method, and the sentence of the forecast.

    Raises:
        ValueError: the forecast has no shares.
    """
    if forecast.shares is None or forecast.low is None or forecast.high is None:
        raise ValueError("a forecast without shares has no course to draw")
    epochs = np.concatenate([[0.0], forecast.epochs])
    legend = [
        (Line2D([], [], color=format_style(form).colour, marker=format_style(form).marker), form)
        for form in forecast.formats
    ]
    with matplotlib.rc_context(STYLE):
        figure, (panel,) = figure_layout(
            title=title,
            caption=f"{words}. Bands: 95% over which prompts are asked; shares vary by more.",
            panels=1,
            columns=1,
            panel_size=(4.6, 2.8),
            legend=legend,
        )
        for at, form in enumerate(forecast.formats):
            style = format_style(form)
            middle = np.concatenate([[base[at]], forecast.shares[:, at]])
            low = np.concatenate([[base[at]], forecast.low[:, at]])
            high = np.concatenate([[base[at]], forecast.high[:, at]])
            panel.plot(epochs, middle, color=style.colour, marker=style.marker, ms=4)
            panel.fill_between(epochs, low, high, color=style.colour, alpha=0.15, lw=0)
        panel.set_ylim(-0.02, 1.02)
        panel.set_xlabel("epoch")
        panel.set_ylabel("expected share")
    return figure
