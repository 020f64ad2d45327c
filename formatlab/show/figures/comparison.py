"""Figure: what differs between sets of rollouts: shares, the gain and its parts, and diversity."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from formatlab.show.figures.layout import QUIET, STYLE, figure_layout, number_range
from formatlab.show.palette import SERIES, format_order
from formatlab.show.tables.comparison import (
    KEYS,
    Compared,
    Rows,
    arm_rows,
    rows_by_key,
    short_names,
)
from formatlab.show.wording import name_text

_GAIN = ("gain", "gain_format", "gain_routing", "gain_skill_within")
_NOT_DIVERSITY = ("accuracy", "pass@k", "maj@k", "tokens", "truncated", "js_divergence", *_GAIN)
_MOST_PERCENT = 300.0
"""Where the panel of diversity ends: an entropy near 0 may be many times another."""


class _Series(NamedTuple):
    label: str
    rows: Rows


class _Panel(NamedTuple):
    title: str
    unit: str
    column: str
    """The column that is drawn; its bounds have the same prefix."""
    measures: Sequence[tuple[str, str, str]]
    """Measure, subset and label, from the top."""


def comparison_figure(compared: Sequence[Compared]) -> Figure:
    """Draw what differs, b from a: a series a comparison, or an arm of a study with several seeds.

    Args:
        compared: at least one.
    """
    of_arms = arm_rows(compared)
    series = _series(compared, of_arms)
    panels = _panels(series)
    legend = [
        (Line2D([], [], color=colour, marker=marker, ls="none", ms=6), name_text(label, 70))
        for (label, _), (colour, marker) in zip(series, SERIES, strict=False)
    ]
    alone = len(series) == 1 and not of_arms
    most = max(len(panel.measures) for panel in panels)
    with matplotlib.rc_context(STYLE):
        figure, axes = figure_layout(
            title=f"What differs: {name_text(series[0].label, 70)}" if alone else "What differs",
            caption=_caption(compared, of_arms, panels),
            panels=len(panels),
            columns=3,
            panel_size=(2.5, 0.5 + 0.27 * most),
            gap=1.25,
            legend=legend if not alone and len(series) <= len(SERIES) else (),
            legend_entry=max(0.5 + 0.075 * len(label) for _, label in legend),
        )
        for axis, panel in zip(axes, panels, strict=True):
            _draw(axis, panel, series)
    return figure


def _series(compared: Sequence[Compared], of_arms: Sequence[Mapping[str, Any]]) -> list[_Series]:
    if of_arms:
        arms = dict.fromkeys(row["arm"] for row in of_arms)
        return [
            _Series(arm, rows_by_key([row for row in of_arms if row["arm"] == arm])) for arm in arms
        ]
    names = short_names([name for one in compared for name in (one.a, one.b)])
    return [
        _Series(
            f"{name_text(names[one.a], 34)} to {name_text(names[one.b], 34)}",
            rows_by_key(one.found.differences.to_pylist()),
        )
        for one in compared
    ]


def _panels(series: Sequence[_Series]) -> list[_Panel]:
    """The panels that have something to draw."""
    tags = format_order(
        {subset for _, rows in series for measure, subset in rows if measure == "share"}
    )
    panels = (
        _Panel(
            "share of rollouts",
            "b less a, percentage points",
            "difference",
            [("share", tag, name_text(tag, 11)) for tag in tags],
        ),
        _Panel(
            "gain in accuracy",
            "b less a, percentage points",
            "difference",
            [key[:3] for key in KEYS if key.measure in _GAIN],
        ),
        _Panel(
            "diversity retained",
            "b, percent of a",
            "retained",
            [key[:3] for key in KEYS if key.measure not in _NOT_DIVERSITY],
        ),
    )
    kept = [
        panel._replace(
            measures=[
                measure
                for measure in panel.measures
                if any(_value(rows, measure, panel.column) is not None for _, rows in series)
            ]
        )
        for panel in panels
    ]
    return [panel for panel in kept if panel.measures]


def _value(rows: Rows, measure: tuple[str, str, str], column: str) -> float | None:
    row = rows.get(measure[:2])
    return None if row is None else row[column]


def _draw(axis: Axes, panel: _Panel, series: Sequence[_Series]) -> None:
    """A row for each measure, from the top, with a point for each series."""
    prefix = "retained_" if panel.column == "retained" else ""
    for number, (_, rows) in enumerate(series):
        beside = 0.7 * ((number + 0.5) / len(series) - 0.5)
        many = len(series) > len(SERIES)
        colour, marker = ("#444444", "o") if many else SERIES[number]
        for place, measure in enumerate(panel.measures):
            value = _value(rows, measure, panel.column)
            if value is None:
                continue
            bounds = [rows[measure[:2]][f"{prefix}{end}"] for end in ("low", "high")]
            low, high = (value if bound is None else bound for bound in bounds)
            axis.errorbar(
                [100 * value],
                [place + beside],
                xerr=[[100 * max(0.0, value - low)], [100 * max(0.0, high - value)]],
                fmt=marker,
                color=colour,
                ms=3 if many else 5.5,
                mec="white",
                mew=0.6,
                elinewidth=1.2,
                zorder=3,
            )
    axis.axvline(100 if prefix else 0, color=QUIET, lw=0.9, zorder=1)
    axis.grid(visible=True, axis="x")
    axis.grid(visible=False, axis="y")
    axis.set_yticks(range(len(panel.measures)), [label for _, _, label in panel.measures])
    axis.set_ylim(len(panel.measures) - 0.5, -0.5)
    if prefix:
        axis.set_xlim(min(0.0, axis.get_xlim()[0]), min(axis.get_xlim()[1], _MOST_PERCENT))
    axis.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axis.set_title(panel.title)
    axis.set_xlabel(panel.unit)


def _caption(
    compared: Sequence[Compared], of_arms: Sequence[Mapping[str, Any]], panels: Sequence[_Panel]
) -> str:
    found = [one.found for one in compared]
    prompts = number_range([min(comparison.n_prompts) for comparison in found])
    paired = all(comparison.paired for comparison in found)
    titles = [panel.title for panel in panels]
    words = [
        f"From a to b, with 95% bootstrap intervals over {prompts} prompts"
        f"{', paired' if paired else ' of each side'}; no bar below 10 prompts."
    ]
    if of_arms:
        seeds = number_range([row["n_seeds"] for row in of_arms if row["measure"] == "share"])
        words = [
            f"From the first to the last probe of each run: means over {seeds} seeds with "
            f"Student's 95% intervals; probes of {prompts} prompts."
        ]
    elif len(compared) > len(SERIES):
        words.append(f"{len(compared)} comparisons, in the order of the table.")
    if "gain in accuracy" in titles:
        words.append("Format, routing and skill add up to the gain.")
    if "diversity retained" in titles:
        k = number_range([comparison.k for comparison in found])
        words.append(
            f"Diversity at {k} rollout{'' if k == '1' else 's'} of each prompt; H(F) and H(F|X): "
            "entropy of formats, and that given the prompt."
        )
    return " ".join(words)
