"""Figures of tagged rollout files: format shares over steps, or as bars without steps."""

from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from formatlab.show.figures.layout import STYLE, figure_layout, format_handle, number_range
from formatlab.show.palette import format_order, format_style
from formatlab.show.tables.tags import FormatRow, StepRow, StepSpan, step_spans
from formatlab.show.wording import name_text

_MOST_POINTS = 120
_MOST_LINES = 10
_RARE = 0.01


def tag_shares(
    rows: Sequence[FormatRow], steps: Sequence[StepRow], *, files: int, interval: str
) -> Figure:
    """Draw the shares over the steps, or as bars where there are no two steps.

    Args:
        rows: each tag, most frequent first, and last all rows.
        steps: every step, ascending.
        files: how many the rows come from.
        interval: what the intervals of the bars are.
    """
    *formats, whole = rows
    what = f"{whole.rows:,} completions of {files:,} file{'s' if files > 1 else ''}."
    if len(steps) > 1:
        return share_over_steps(steps, caption=what)
    return share_bars(formats, caption=f"{what} Whiskers: {interval}.")


def share_over_steps(rows: Sequence[StepRow], *, caption: str) -> Figure:
    """Draw a line for each tag; neighbouring steps are pooled where there are very many.

    Args:
        rows: every step, ascending.
        caption: what the rows are.
    """
    spans = step_spans(rows, _MOST_POINTS)
    middles = [span.middle for span in spans]
    tags = format_order({tag for row in rows for tag in row.shares})
    parts = {tag: [span.share(tag) for span in spans] for tag in tags}
    highest = sorted(parts, key=lambda tag: -max(parts[tag]))
    drawn = {tag for tag in highest[:_MOST_LINES] if max(parts[tag]) >= _RARE}
    words = [caption, f"Each point is {_points(spans)}."]
    if left := [tag for tag in parts if tag not in drawn]:
        words.append(f"Not drawn, as too rare: {', '.join(name_text(tag, 16) for tag in left)}.")
    with matplotlib.rc_context(STYLE):
        figure, (panel,) = figure_layout(
            title="Format share over steps",
            caption=" ".join(words),
            panels=1,
            columns=1,
            panel_size=(6.6, 3.0),
            heading=0.15,
            legend=[
                (format_handle(tag, width=1.8, size=5.5), name_text(tag, 16))
                for tag in parts
                if tag in drawn
            ],
        )
        for tag in parts:
            if tag in drawn:
                style = format_style(tag)
                panel.plot(
                    middles,
                    parts[tag],
                    color=style.colour,
                    marker=style.marker,
                    markevery=max(1, len(middles) // 20),
                    lw=1.8,
                    ms=5,
                    mec="white",
                    mew=0.6,
                    clip_on=False,
                    zorder=3,
                )
        panel.set_xlabel("step")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
        _share_axis(panel)
    return figure


def share_bars(rows: Sequence[FormatRow], *, caption: str) -> Figure:
    """Draw the share of each tag with its interval, for rows without steps.

    Args:
        rows: the tags, in the order of the bars.
        caption: what the rows and the intervals are.
    """
    with matplotlib.rc_context(STYLE):
        figure, (panel,) = figure_layout(
            title="Format share",
            caption=caption,
            panels=1,
            columns=1,
            panel_size=(6.6, 3.0),
            heading=0.15,
        )
        places = range(len(rows))
        shares = [row.share for row in rows]
        bounds = [row.share_interval or (row.share, row.share) for row in rows]
        panel.bar(places, shares, width=0.7, color=[format_style(row.tag).colour for row in rows])
        panel.errorbar(
            places,
            shares,
            yerr=[
                [share - low for share, (low, _) in zip(shares, bounds, strict=True)],
                [high - share for share, (_, high) in zip(shares, bounds, strict=True)],
            ],
            fmt="none",
            ecolor="#222222",
            elinewidth=1.1,
            capsize=3,
        )
        turned = len(rows) > 7
        panel.set_xticks(
            places,
            [name_text(row.tag, 16) for row in rows],
            rotation=25 if turned else 0,
            ha="right" if turned else "center",
        )
        _share_axis(panel)
    return figure


def _share_axis(panel: Axes) -> None:
    panel.set_ylabel("share of rows")
    panel.set_ylim(0, 1.02)
    panel.set_yticks([0, 0.25, 0.5, 0.75, 1])
    panel.yaxis.set_major_formatter(PercentFormatter(1))


def _points(spans: Sequence[StepSpan]) -> str:
    """The numbers of rows and steps in a point, in words."""
    sizes = [span.rows for span in spans]
    steps = max(len(span.members) for span in spans)
    return f"{number_range(sizes)} row{'' if max(sizes) == 1 else 's'} of " + (
        "one step" if steps == 1 else f"up to {steps} neighbouring steps"
    )
