"""Figure: the accuracy of each format against scale, at the base and at the end."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from formatlab.show.arm import Arm
from formatlab.show.figures.layout import (
    QUIET,
    SPREAD_WORDS,
    STYLE,
    Measured,
    Spread,
    StudyFigure,
    draw_spreads,
    exact_percent,
    figure_layout,
    format_handle,
    number_range,
    spread,
    titled,
)
from formatlab.show.palette import format_style
from formatlab.show.run_result import RunResult
from formatlab.show.study import Study
from formatlab.show.tables.grader import grader_sentence
from formatlab.show.tables.table import run_columns
from formatlab.show.wording import name_text, wrapped_text

_TITLE = "Accuracy of each format by scale"

_FEWEST_ROLLOUTS = 20
_HEADING_WIDTH = 48
_NARROW_HEADING_WIDTH = 34
_MOST_WIDE = 6
_DODGE = 0.022
_TOPS = (0.05, 0.1, 0.2, 0.4, 1.0)

Moment = tuple[str, Callable[[RunResult], Mapping[str, Any] | None]]
_MOMENTS: tuple[Moment, ...] = (
    ("at the base", lambda run: run.base),
    ("at the last epoch", lambda run: run.final),
)


def accuracy_rows(study: Study) -> list[dict[str, Any]]:
    """Return the numbers: one row a run, moment and tag, also those of too few rollouts to draw."""
    return [
        {
            **run_columns(study, arm, run),
            "undertrained": run.undertrained,
            "moment": moment,
            "epoch": row["epoch"],
            **{
                name: of[name]
                for name in ("tag", "rollouts", "accuracy", "accuracy_low", "accuracy_high")
            },
        }
        for arm in study.arms
        for run in arm.runs
        for moment, row_of in _MOMENTS
        if (row := row_of(run)) is not None
        for of in row["formats"]
    ]


def accuracy_by_scale(study: Study) -> Figure:
    """Draw the figure: two panels for each setting, or one if all settings start alike."""
    tags = _drawn_tags(study)
    drawn = _drawn(study)
    wide = len(drawn) > _MOST_WIDE
    headings = [_heading(setting, words, narrow=wide) for setting, words, _, _ in drawn]
    columns = 2 if len(drawn) <= 2 else 4 if wide else 3 if len(drawn) % 2 else 2
    with matplotlib.rc_context(STYLE):
        figure, panels = figure_layout(
            title=titled(_TITLE, study.rewards),
            caption=_caption(study),
            panels=len(drawn),
            columns=columns,
            panel_size=(2.7, 2.1) if wide else (3.6, 2.5),
            heading=0.35 + 0.15 * max(heading.count("\n") for heading in headings),
            legend=[(format_handle(tag, width=1.2, size=6), name_text(tag, 16)) for tag in tags],
        )
        top = _top(study, tags)
        for place, (panel, (_, _, arms, row_of)) in enumerate(zip(panels, drawn, strict=True)):
            panel.set_title(headings[place])
            _draw_panel(panel, arms, tags, row_of)
            panel.set_ylim(-0.03 * top, 1.03 * top)
            if place % columns == 0:
                panel.set_ylabel("accuracy")
            else:
                panel.tick_params(labelleft=False)
    return figure


def _drawn(study: Study) -> list[tuple[str, str, Sequence[Arm], Callable]]:
    """Return for each panel its setting, its moment, its arms and which probe it shows."""
    (_, of_start), (at_end, of_end) = _MOMENTS
    by_setting = {
        setting: [arm for arm in study.arms if arm.setting == setting] for setting in study.settings
    }
    shared = _shared_start(study)
    panels: list[tuple[str, str, Sequence[Arm], Callable]] = []
    if shared:
        panels.append(("", _at_start(shared[0]), shared, of_start))
    for setting, arms in by_setting.items():
        if not shared:
            panels.append((setting, _at_start(arms[0]), arms, of_start))
        panels.append((setting, at_end, arms, of_end))
    return panels


def _at_start(arm: Arm) -> str:
    return f"at the {arm.start_name}"


def _shared_start(study: Study) -> list[Arm]:
    """Return an arm a scale with the runs of all settings, each seed once, if all start alike.

    Several settings start alike if no two runs of one scale and seed differ at the start.
    """
    if len(study.settings) < 2:
        return []
    found: dict[tuple[int, str], dict[int, RunResult]] = {}
    firsts: dict[tuple[int, str], Arm] = {}
    for arm in study.arms:
        key = (arm.parameters, arm.scale)
        firsts.setdefault(key, arm)
        of_scale = found.setdefault(key, {})
        for run in arm.runs:
            other = of_scale.setdefault(run.seed, run)
            if (run.base or {}).get("formats") != (other.base or {}).get("formats"):
                return []
    return [
        replace(firsts[key], runs=[found[key][seed] for seed in sorted(found[key])])
        for key in sorted(found)
    ]


def _heading(setting: str, moment: str, *, narrow: bool) -> str:
    heading = f"{setting}: {moment}" if setting else moment
    # The name of an algorithm keeps its small first letter.
    if not setting or setting.startswith("mixture "):
        heading = heading[0].upper() + heading[1:]
    return wrapped_text(heading, _NARROW_HEADING_WIDTH if narrow else _HEADING_WIDTH)


def _draw_panel(panel: Axes, arms: Sequence[Arm], tags: Sequence[str], row_of: Callable) -> None:
    places = [math.log10(arm.parameters) for arm in arms]
    width = max(max(places) - min(places), 0.5)
    panel.set_xlim(min(places) - 0.17 * width, max(places) + 0.17 * width)
    panel.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    panel.yaxis.set_major_formatter(FuncFormatter(exact_percent))
    panel.set_xticks(*_ticks(places, arms, width))
    panel.set_xlabel("parameters (logarithmic)" if len(arms) > 1 else "parameters")
    any_point = False
    for index, tag in enumerate(tags):
        shift = (index - (len(tags) - 1) / 2) * _DODGE * width
        points = [_accuracy(arm, tag, row_of) for arm in arms]
        any_point |= any(points)
        _draw_format(panel, tag, [place + shift for place in places], points)
    if not any_point:
        panel.text(0.5, 0.5, "nothing yet", transform=panel.transAxes, ha="center", color=QUIET)


def _draw_format(
    panel: Axes, tag: str, places: Sequence[float], points: Sequence[Spread | None]
) -> None:
    style = format_style(tag)
    # A scale without the format breaks the line.
    line = [math.nan if point is None else point.middle for point in points]
    panel.plot(places, line, color=style.colour, lw=1.2, alpha=0.8, zorder=2)
    at = [place for place, point in zip(places, points, strict=True) if point]
    draw_spreads(panel, tag, at, [point for point in points if point], size=6, order=3)


def _accuracy(arm: Arm, tag: str, row_of: Callable) -> Spread | None:
    found = [
        Measured(value=of["accuracy"], low=of["accuracy_low"], high=of["accuracy_high"])
        for run in arm.counted
        if (row := row_of(run)) is not None
        for of in row["formats"]
        if of["tag"] == tag and of["rollouts"] >= _FEWEST_ROLLOUTS and of["accuracy"] is not None
    ]
    return spread(found) if found else None


def _top(study: Study, tags: Sequence[str]) -> float:
    """Return the smallest end of the axis above all bars; real models may solve 2% only."""
    points = [
        point.high
        for arm in study.arms
        for tag in tags
        for _, row_of in _MOMENTS
        if (point := _accuracy(arm, tag, row_of)) is not None
    ]
    highest = max(points, default=1.0)
    return next(top for top in _TOPS if top >= min(highest, 1.0))


def _drawn_tags(study: Study) -> list[str]:
    drawn = {
        tag
        for arm in study.arms
        for tag in study.tags
        for _, row_of in _MOMENTS
        if _accuracy(arm, tag, row_of) is not None
    }
    return [tag for tag in study.tags if tag in drawn]


def _ticks(
    places: Sequence[float], arms: Sequence[Arm], width: float
) -> tuple[list[float], list[str]]:
    """Label each scale whose label does not overlap that of its neighbour."""
    labels, last = [], -math.inf
    for place, arm in zip(places, arms, strict=True):
        free = place - last > 0.16 * width
        labels.append(arm.size if free else "")
        last = place if free else last
    return list(places), labels


def _caption(study: Study) -> str:
    seeds = number_range([len(arm.counted) for arm in study.arms])
    words = [
        f"Correct rollouts among those of the format, in the probe of {study.probe_text}; seeds a "
        f"scale: {seeds}; {SPREAD_WORDS}. Formats stand side by side at each scale. Left "
        f"out: runs in which the format has fewer than {_FEWEST_ROLLOUTS} rollouts."
    ]
    if any(run.undertrained for run in study.runs):
        words.append("Runs of an undertrained base are left out where the scale has others.")
    alone = [arm.label for arm in study.arms if all(run.undertrained for run in arm.runs)]
    if alone:
        words.append(f"Only undertrained bases: {', '.join(alone)}.")
    if grader := grader_sentence(_drawn_tags(study)):
        words.append(grader)
    return " ".join(words) + study.mixtures_text


ACCURACY_BY_SCALE = StudyFigure(
    name="accuracy_by_scale", title=_TITLE, draw=accuracy_by_scale, rows=accuracy_rows
)
