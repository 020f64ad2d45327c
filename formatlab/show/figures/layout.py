"""The layout of all figures: title, equal panels, a legend outside the data and a caption.

A figure of studies is a `StudyFigure`; its module draws it with the helpers of this one.
"""

import io
import math
import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from formatlab.show.palette import format_style
from formatlab.show.run_facts import RunReward
from formatlab.show.study import Study
from formatlab.store.atomic_file import write_bytes_atomically

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "hatch.linewidth": 0.7,
    # Names of models and formats are not ours: a dollar sign in one is not mathematics.
    "text.parse_math": False,
    # Equal data give equal files.
    "svg.hashsalt": "formatlab",
    "svg.fonttype": "path",
}
"""Settings of every figure; draw and save inside `matplotlib.rc_context(STYLE)`."""

QUIET = "#555555"
"""Colour of text that is not data."""

_LEFT, _RIGHT = 0.75, 0.3
_TITLE = 0.4
_BELOW_PANEL = 0.55
_LINE = 0.165
_CAPTION_SIZE = 8
_CHARACTERS_AN_INCH = 17.0
_TITLE_CHARACTERS_AN_INCH = 10.0
_TITLE_LINE = 0.21
_LEGEND_ENTRY = 1.15


@dataclass(frozen=True, kw_only=True)
class StudyFigure:
    """A figure of a study, with the numbers that it draws."""

    name: str
    """Name of its image files and of its table."""
    title: str
    draw: Callable[[Study], Figure]
    rows: Callable[[Study], list[dict[str, Any]]]
    """The numbers, as rows of equal keys."""


def titled(title: str, rewards: Sequence[RunReward]) -> str:
    """Return a figure's title, with the reward if there is one alone and not correctness.

    Several rewards are named in the labels of the arms.
    """
    if len(rewards) == 1 and not rewards[0].is_correctness:
        return f"{title} ({rewards[0].text})"
    return title


def figure_layout(
    *,
    title: str,
    caption: str,
    panels: int,
    columns: int,
    panel_size: tuple[float, float],
    heading: float = 0.35,
    gap: float = 0.35,
    legend: Sequence[tuple[Artist, str]] = (),
    legend_entry: float = _LEGEND_ENTRY,
    left: float = _LEFT,
) -> tuple[Figure, list[Axes]]:
    """Lay out an empty figure.

    Args:
        title: wrapped.
        caption: says what is drawn, with n, seeds and intervals; wrapped.
        panels: number of panels.
        columns: panels in a row at most.
        panel_size: width and height of a panel in inches.
        heading: height above each panel for its title and labels, in inches.
        gap: between the panels of a row, in inches.
        legend: handle and label of each entry; a label may have several lines.
        legend_entry: width of the widest entry, in inches.
        left: of the first panel, for its labels, in inches.

    Returns:
        The figure and its panels, row by row.
    """
    columns = min(columns, panels)
    rows = math.ceil(panels / columns)
    width_each, height_each = panel_size
    width = max(left + columns * (width_each + gap) - gap + _RIGHT, 6.4)
    lines = textwrap.wrap(caption, int((width - 0.3) * _CHARACTERS_AN_INCH), break_on_hyphens=False)
    entries_a_row = max(1, int((width - 0.3) / legend_entry))
    entry_lines = max((label.count("\n") + 1 for _, label in legend), default=1)
    entry_height = 0.24 + _LINE * (entry_lines - 1)
    legend_height = entry_height * math.ceil(len(legend) / entries_a_row)
    row_height = heading + height_each + _BELOW_PANEL
    title_lines = textwrap.wrap(title, int((width - 0.3) * _TITLE_CHARACTERS_AN_INCH)) or [""]
    head = _TITLE + _TITLE_LINE * (len(title_lines) - 1)
    height = head + rows * row_height + legend_height + _LINE * len(lines) + 0.24

    figure = Figure(figsize=(width, height), facecolor="white")
    figure.text(
        0.15 / width,
        1 - 0.12 / height,
        "\n".join(title_lines),
        va="top",
        size=11.5,
        weight="bold",
    )
    figure.text(
        0.15 / width,
        0.12 / height,
        "\n".join(lines),
        va="bottom",
        size=_CAPTION_SIZE,
        color=QUIET,
        linespacing=1.3,
    )
    if legend:
        figure.legend(
            [handle for handle, _ in legend],
            [label for _, label in legend],
            loc="upper left",
            bbox_to_anchor=(0.1 / width, (height - head - rows * row_height) / height),
            borderaxespad=0,
            ncols=min(entries_a_row, len(legend)),
            frameon=False,
            handlelength=1.8,
            columnspacing=1.4,
        )
    axes = []
    for index in range(panels):
        row, column = divmod(index, columns)
        place = left + column * (width_each + gap)
        top = height - head - row * row_height - heading
        box = (
            place / width,
            (top - height_each) / height,
            width_each / width,
            height_each / height,
        )
        axes.append(figure.add_axes(box))
    return figure, axes


def format_handle(tag: str, *, width: float, size: float) -> Line2D:
    """Return the line and marker of a format, for a legend."""
    style = format_style(tag)
    return Line2D(
        [], [], color=style.colour, marker=style.marker, lw=width, ms=size, mec="white", mew=0.6
    )


def number_range(numbers: Sequence[int]) -> str:
    """Return the smallest and the largest number as `3 to 5`, or the one that all are."""
    return " to ".join(f"{n:,}" for n in dict.fromkeys((min(numbers), max(numbers))))


def exact_percent(share: float, _position: int | None = None) -> str:
    """Return a tick's label with as many decimals as the tick has."""
    return f"{round(100 * share, 6):g}%"


_METADATA = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""Left out, so that equal figures give equal files."""


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure to a .png, .svg or .pdf file."""
    kind = path.suffix.lower()[1:]
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # The font draws boxes for scripts that it lacks; the tables have such names in full.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")
        figure.savefig(buffer, format=kind, dpi=200, metadata=_METADATA[kind])
    write_bytes_atomically(path, buffer.getvalue())


SPREAD_WORDS = (
    "with one seed the bar is the 95% cluster-bootstrap interval over prompts; with several the "
    "point is their mean and the bar runs from the lowest seed to the highest"
)
"""The meaning of a bar, for captions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A share or accuracy of one run with its interval."""

    value: float
    low: float | None
    """None where the interval is not defined."""
    high: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """A point with a bar."""

    middle: float
    low: float
    high: float


def spread(seeds: Sequence[Measured]) -> Spread:
    """Return the point and bar for one number a seed; see `SPREAD_WORDS`.

    Args:
        seeds: at least one.
    """
    if len(seeds) == 1:
        (only,) = seeds
        low = only.value if only.low is None else only.low
        high = only.value if only.high is None else only.high
        return Spread(middle=only.value, low=low, high=high)
    values = [seed.value for seed in seeds]
    return Spread(middle=sum(values) / len(values), low=min(values), high=max(values))


def draw_spreads(
    panel: Axes, tag: str, at: Sequence[float], points: Sequence[Spread], *, size: float, order: int
) -> None:
    """Draw the points and bars of a format.

    Args:
        panel: where to draw.
        tag: the format.
        at: horizontal places of the points.
        points: their middles and bars.
        size: of the markers.
        order: z-order.
    """
    style = format_style(tag)
    panel.errorbar(
        at,
        [point.middle for point in points],
        yerr=[
            [point.middle - point.low for point in points],
            [point.high - point.middle for point in points],
        ],
        fmt=style.marker,
        color=style.colour,
        markersize=size,
        markeredgecolor="white",
        markeredgewidth=0.6,
        elinewidth=1.1,
        capsize=2,
        zorder=order,
        clip_on=False,
    )
