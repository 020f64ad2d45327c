"""The figure of tagged rollout files by a column: format shares, and how many answers are right."""

from collections.abc import Callable, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from formatlab.show.figures.layout import STYLE, figure_layout, format_handle, number_range
from formatlab.show.palette import format_order, format_style
from formatlab.show.tables.tag_groups import Estimate, GroupRow, readings_differ
from formatlab.show.wording import name_text

MOST_VALUES = 40
"""Groups that numbers are divided into at most."""
MOST_NAMES = 12
"""Groups of other values at most."""

_MOST_FORMATS = 8
_RARE = 0.01
_APART = 0.7
"""Width of the points of one name, of the distance between two names."""

_OURS = ("right: our grader", "#000000", "o")
_FLEXIBLE = ("right: flexible reading", "#4C72B0", "D")
_THEIRS = ("right: the file", "#7F7F7F", "s")


def shares_by_column(column: str, rows: Sequence[GroupRow], *, files: int, interval: str) -> Figure:
    """Draw lines over the values of a column of numbers, or points over its names.

    Args:
        column: its name.
        rows: its groups, in their order.
        files: how many the rows come from.
        interval: what the intervals are.
    """
    tags = format_order(set(rows[0].shares))
    highest = {tag: max(row.shares[tag].value for row in rows) for tag in tags}
    largest = sorted(tags, key=lambda tag: -highest[tag])[:_MOST_FORMATS]
    drawn = [tag for tag in tags if tag in largest and highest[tag] >= _RARE]
    verdicts = [
        (look, estimates)
        for look, estimates in (
            (_OURS, [row.accuracy for row in rows]),
            (_FLEXIBLE, [row.flexible if readings_differ(rows) else None for row in rows]),
            (_THEIRS, [row.called_right for row in rows]),
        )
        if any(estimates)
    ]
    total = sum(row.rows for row in rows)
    sizes = number_range([row.rows for row in rows])
    words = [
        f"{total:,} completions of {files:,} file{'s' if files > 1 else ''}, {sizes} a value.",
        f"Bars: {interval}; with fewer than ten of them there is none.",
    ]
    if left := [tag for tag in tags if tag not in drawn]:
        words.append(f"Not drawn, as too rare: {', '.join(name_text(tag, 16) for tag in left)}.")
    legend = [(format_handle(tag, width=1.8, size=5.5), name_text(tag, 16)) for tag in drawn]
    legend += [
        (Line2D([], [], color=colour, marker=marker, lw=1.4, ms=5), name)
        for (name, colour, marker), _ in verdicts
    ]
    with matplotlib.rc_context(STYLE):
        figure, panels = figure_layout(
            title=f"Format share by {name_text(column, 40)}",
            caption=" ".join(words),
            panels=2 if verdicts else 1,
            columns=1,
            panel_size=(6.6, 2.5),
            heading=0.15,
            legend=legend,
            legend_entry=1.4 if verdicts else 1.15,
        )
        draw = _drawing(panels[0], rows, len(drawn))
        for place, tag in enumerate(drawn):
            style = format_style(tag)
            draw([row.shares[tag] for row in rows], place, style.colour, style.marker)
        _axes(panels[0], "share of rows", column, rows)
        if verdicts:
            draw = _drawing(panels[1], rows, len(verdicts))
            for place, ((_, colour, marker), estimates) in enumerate(verdicts):
                draw(estimates, place, colour, marker)
            _axes(panels[1], "right", column, rows)
    return figure


def _drawing(
    panel: Axes, rows: Sequence[GroupRow], series: int
) -> Callable[[Sequence[Estimate | None], int, str, str], None]:
    """How one of several series of a panel is drawn: its estimates, place, colour and marker."""
    middles = [row.values.middle for row in rows]
    numbers = _of_numbers(rows)

    def draw(estimates: Sequence[Estimate | None], place: int, colour: str, marker: str) -> None:
        beside = _APART * ((place + 0.5) / series - 0.5)
        points = [
            (middle if numbers and middle is not None else number + beside, estimate)
            for number, (middle, estimate) in enumerate(zip(middles, estimates, strict=True))
            if estimate is not None and not (numbers and middle is None)
        ]
        at, found = [x for x, _ in points], [estimate for _, estimate in points]
        bounds = [estimate.interval or (estimate.value, estimate.value) for estimate in found]
        panel.errorbar(
            at,
            [estimate.value for estimate in found],
            yerr=[
                [e.value - low for e, (low, _) in zip(found, bounds, strict=True)],
                [high - e.value for e, (_, high) in zip(found, bounds, strict=True)],
            ],
            fmt=marker,
            ls="-" if numbers else "none",
            color=colour,
            lw=1.4,
            elinewidth=1.0,
            ms=5,
            mec="white",
            mew=0.6,
            clip_on=False,
            zorder=3,
        )

    return draw


def _of_numbers(rows: Sequence[GroupRow]) -> bool:
    """Whether the column holds numbers, of which there are two at least to draw a line over."""
    return sum(row.values.middle is not None for row in rows) > 1


def _axes(panel: Axes, what: str, column: str, rows: Sequence[GroupRow]) -> None:
    panel.set_ylabel(what)
    panel.set_ylim(0, 1.02)
    panel.set_yticks([0, 0.25, 0.5, 0.75, 1])
    panel.yaxis.set_major_formatter(PercentFormatter(1))
    if _of_numbers(rows):
        panel.set_xlabel(name_text(column, 40))
        panel.xaxis.set_major_locator(MaxNLocator(nbins=9))
        return
    turned = sum(len(row.values.name) for row in rows) > 70
    panel.set_xticks(
        range(len(rows)),
        [name_text(row.values.name, 16 if turned else 20) for row in rows],
        rotation=20 if turned else 0,
        ha="right" if turned else "center",
    )
    panel.set_xlim(-0.6, len(rows) - 0.4)
