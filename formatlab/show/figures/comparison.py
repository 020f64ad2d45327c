"""Figure: what differs between sets of rollouts: shares, the gain and its parts, and diversity."""

from collections.abc import Mapping, Sequence, Set
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from formatlab.show.figures.layout import QUIET, STYLE, figure_layout, number_range
from formatlab.show.palette import format_order
from formatlab.show.tables.comparison import Compared, short_names
from formatlab.show.wording import name_text

_MOST_NAMED = 8
"""Comparisons that have a colour of their own; more share one, in the order of the table."""
_FURTHEST = 200.0
"""Percent at which the panel of diversity ends: an entropy near 0 may be many times another."""
_SERIES = (
    *(("#000000", "o"), ("#7B2CBF", "s"), ("#00A3A3", "^"), ("#8B5A2B", "D")),
    *(("#C2185B", "v"), ("#5C6BC0", "P"), ("#7CB342", "X"), ("#FB8C00", "<")),
)
_GAIN = (
    ("gain", "accuracy"),
    ("gain_format", "format"),
    ("gain_routing", "routing"),
    ("gain_skill_within", "skill"),
)
_DIVERSITY = (
    ("format_entropy_corrected", "all", "H(F)"),
    ("format_entropy_given_prompt_corrected", "all", "H(F|X)"),
    ("answer_distinct@k", "all", "answers"),
    ("text_distinct@k", "all", "texts"),
    ("text_distinct@k", "right", "right texts"),
    ("chrf_clusters", "all", "chrF clusters"),
    ("chrf_distance", "all", "chrF distance"),
    ("chrf_distance", "right", "of right ones"),
    ("semantic_distance", "all", "semantic distance"),
    ("token_entropy", "all", "token entropy"),
)
"""Rows of the panel of diversity: measure, subset and label; drawn where there is one."""

_GAINED, _DIVERSE = "gain in accuracy", "diversity"
_RELATIVE = "percent of a"

_Rows = Mapping[tuple[str, str], Mapping[str, Any]]


def comparison_figure(compared: Sequence[Compared]) -> Figure:
    """Draw the differences of one comparison or several, b less a.

    Args:
        compared: at least one.
    """
    found: list[_Rows] = [
        {(row["measure"], row["subset"]): row for row in one.found.differences.to_pylist()}
        for one in compared
    ]
    tags = format_order({subset for of in found for measure, subset in of if measure == "share"})
    panels = [
        (
            "share of rollouts",
            "percentage points",
            [("share", tag, name_text(tag, 11)) for tag in tags],
        ),
        (_GAINED, "percentage points", [(name, "all", label) for name, label in _GAIN]),
        (_DIVERSE, _RELATIVE, _DIVERSITY),
    ]
    drawn = [
        (title, unit, [row for row in rows if any(_drawn(of.get(row[:2]), unit) for of in found)])
        for title, unit, rows in panels
    ]
    drawn = [panel for panel in drawn if panel[2]]
    legend = []
    names = short_names([name for one in compared for name in (one.a, one.b)])
    if 1 < len(compared) <= _MOST_NAMED:
        legend = [
            (Line2D([], [], color=colour, marker=marker, ls="none", ms=6), _pair_text(one, names))
            for one, (colour, marker) in zip(compared, _SERIES, strict=False)
        ]
    most = max(len(rows) for _, _, rows in drawn)
    with matplotlib.rc_context(STYLE):
        figure, axes = figure_layout(
            title="What differs"
            if len(compared) > 1
            else f"What differs: {_pair_text(compared[0], names)}",
            caption=_caption(compared, {title for title, _, _ in drawn}),
            panels=len(drawn),
            columns=3,
            panel_size=(2.5, 0.5 + 0.27 * most),
            gap=1.25,
            legend=legend,
            legend_entry=max((0.5 + 0.075 * len(label) for _, label in legend), default=1.15),
        )
        for panel, (title, unit, rows) in zip(axes, drawn, strict=True):
            _draw(panel, found, rows, unit)
            panel.set_title(title)
            panel.set_xlabel(f"b less a, {unit}")
    return figure


def _draw(
    panel: Axes,
    found: Sequence[_Rows],
    rows: Sequence[tuple[str, str, str]],
    unit: str,
) -> None:
    """A row for each measure, from the top, with a point for each comparison."""
    for number, of in enumerate(found):
        beside = 0.7 * ((number + 0.5) / len(found) - 0.5)
        colour, marker = _SERIES[number] if len(found) <= _MOST_NAMED else ("#444444", "o")
        for place, (measure, subset, _) in enumerate(rows):
            row = of.get((measure, subset))
            if row is None or not _drawn(row, unit):
                continue
            times = 100 / row["a"] if unit == _RELATIVE else 100
            middle = times * row["difference"]
            low, high = (
                middle if row[end] is None else times * row[end] for end in ("low", "high")
            )
            panel.errorbar(
                [middle],
                [place + beside],
                xerr=[[max(0.0, middle - low)], [max(0.0, high - middle)]],
                fmt=marker,
                color=colour,
                ms=5.5 if len(found) <= _MOST_NAMED else 3,
                mec="white",
                mew=0.6,
                elinewidth=1.2,
                zorder=3,
            )
    panel.axvline(0, color=QUIET, lw=0.9, zorder=1)
    panel.grid(visible=True, axis="x")
    panel.grid(visible=False, axis="y")
    panel.set_yticks(range(len(rows)), [label for _, _, label in rows])
    panel.set_ylim(len(rows) - 0.5, -0.5)
    left, right = panel.get_xlim()
    panel.set_xlim(max(left, -_FURTHEST), min(right, _FURTHEST))
    panel.xaxis.set_major_locator(MaxNLocator(nbins=5))


def _drawn(row: Mapping[str, Any] | None, unit: str) -> bool:
    """Whether there is a difference, and something that it could be a percentage of."""
    return row is not None and row["difference"] is not None and (unit != _RELATIVE or row["a"] > 0)


def _pair_text(one: Compared, names: Mapping[str, str]) -> str:
    return f"{name_text(names[one.a], 34)} to {name_text(names[one.b], 34)}"


def _caption(compared: Sequence[Compared], panels: Set[str]) -> str:
    found = [one.found for one in compared]
    prompts = number_range([min(of.n_prompts) for of in found])
    samples = number_range([of.samples for of in found])
    paired = all(of.paired for of in found)
    words = [
        f"Differences, b less a, with 95% bootstrap intervals over {prompts} prompts"
        f"{', paired' if paired else ' of each side'}; no bar below 10 prompts."
    ]
    if _GAINED in panels:
        words.append("Format, routing and skill add up to the gain in accuracy.")
    if _DIVERSE in panels:
        words.append(
            f"Diversity at {samples} rollout{'' if samples == '1' else 's'} of each prompt, as a "
            "percentage of a's; H(F) and H(F|X): entropy of formats and that given the prompt."
        )
    if len(compared) > _MOST_NAMED:
        words.append(f"{len(compared)} comparisons, one point each, in their order.")
    return " ".join(words)
