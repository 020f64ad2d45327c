"""Figure: the gain in accuracy since the base, and its parts, over training."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from formatlab.show.arm import Arm
from formatlab.show.figures.layout import (
    QUIET,
    SPREAD_WORDS,
    STYLE,
    Measured,
    Spread,
    StudyFigure,
    figure_layout,
    number_range,
    spread,
    titled,
)
from formatlab.show.study import Study
from formatlab.show.tables.table import run_columns
from formatlab.show.wording import wrapped_text

_TITLE = "Where the gain in accuracy comes from"
_HEADING_WIDTH = 40
_DODGE = 0.012


class _Part(NamedTuple):
    column: str
    label: str
    colour: str  # formats have other ones, so that nobody takes a part for a format
    marker: str


_PARTS = (
    _Part("gain", "gain", "#000000", "o"),
    _Part("gain_format", "format", "#7B2CBF", "s"),
    _Part("gain_routing", "routing", "#00A3A3", "^"),
    _Part("gain_skill_within", "skill", "#8B5A2B", "D"),
)


def gain_over_training_rows(study: Study) -> list[dict[str, Any]]:
    """Return the numbers: one row a run and probe after the base."""
    bounds = ("", "_low", "_high")
    return [
        {
            **run_columns(study, arm, run),
            "undertrained": run.undertrained,
            "epoch": row["epoch"],
            "step": row["step"],
            **{
                f"{part.column}{bound}": row[f"{part.column}{bound}"]
                for part in _PARTS
                for bound in bounds
            },
        }
        for arm in study.arms
        for run in arm.runs
        for row in run.winners
        if row["gain"] is not None
    ]


def gain_over_training(study: Study) -> Figure:
    """Draw the figure, with a panel for each arm that has a probe after the base."""
    arms = [arm for arm in study.arms if _epochs(arm)]
    headings = [wrapped_text(arm.label, _HEADING_WIDTH) for arm in arms]
    with matplotlib.rc_context(STYLE):
        figure, panels = figure_layout(
            title=titled(_TITLE, study.rewards),
            caption=_caption(study, arms),
            panels=max(1, len(arms)),
            columns=2 if len(arms) in (2, 4) else 3,
            panel_size=(3.1, 2.1),
            gap=0.6,
            heading=0.35 + 0.15 * max((text.count("\n") for text in headings), default=0),
            legend=[
                (
                    Line2D([], [], color=of.colour, marker=of.marker, ms=5, mec="white", lw=1.3),
                    of.label,
                )
                for of in _PARTS
            ],
        )
        if not arms:
            (panel,) = panels
            panel.text(0.5, 0.5, "nothing yet", ha="center", color=QUIET)
            panel.set_axis_off()
        for panel, arm, heading in zip(panels, arms, headings, strict=False):
            panel.set_title(heading)
            _draw_panel(panel, arm)
    return figure


def _draw_panel(panel: Axes, arm: Arm) -> None:
    epochs = _epochs(arm)
    panel.axhline(0, color=QUIET, lw=0.8)
    for index, part in enumerate(_PARTS):
        points = [_spread(arm, epoch, part.column) for epoch in epochs]
        shift = (index - (len(_PARTS) - 1) / 2) * _DODGE * max(epochs)
        panel.errorbar(
            [epoch + shift for epoch in epochs],
            [100 * point.middle for point in points],
            yerr=[
                [100 * (point.middle - point.low) for point in points],
                [100 * (point.high - point.middle) for point in points],
            ],
            fmt=part.marker,
            ls="-",
            color=part.colour,
            lw=1.3,
            markersize=5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            elinewidth=1.0,
            capsize=2,
            zorder=4 - index / 10,
        )
    panel.set_xlim(left=0)
    panel.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    panel.yaxis.set_major_locator(MaxNLocator(6))
    panel.set_xlabel("epoch")
    panel.set_ylabel("points of accuracy")


def _epochs(arm: Arm) -> list[float]:
    """Return the probes after the base that all of the arm's counted runs have."""
    by_run = [{row["epoch"] for row in of} for run in arm.counted if (of := _gains(run.winners))]
    return sorted(set.intersection(*by_run)) if by_run else []


def _gains(winners: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in winners if row["gain"] is not None]


def _spread(arm: Arm, epoch: float, column: str) -> Spread:
    return spread(
        [
            Measured(value=row[column], low=row[f"{column}_low"], high=row[f"{column}_high"])
            for run in arm.counted
            for row in _gains(run.winners)
            if row["epoch"] == epoch
        ]
    )


def _caption(study: Study, arms: Sequence[Arm]) -> str:
    seeds = number_range([len(arm.counted) for arm in arms] or [0])
    words = [
        f"Accuracy in the probe of {study.probe_text} less that of the {study.start_name}, and its "
        "parts, which add up to it. Format: by writing other formats. Routing: by matching "
        "formats to prompts. Skill: within formats and prompts. Where share and accuracy both "
        f"change, each has half of what they do together. Seeds an arm: {seeds}; {SPREAD_WORDS}."
    ]
    if any(run.undertrained for arm in arms for run in arm.runs):
        words.append("Runs of an undertrained base are left out where the arm has others.")
    return " ".join(words) + study.mixtures_text


GAIN_OVER_TRAINING = StudyFigure(
    name="gain_over_training",
    title=_TITLE,
    draw=gain_over_training,
    rows=gain_over_training_rows,
)
"""The figure of gains and its numbers."""
