"""The sheet: a figure with a title, equal panels, a legend outside the data and a caption.

The spread: how one number a seed is drawn as a point with a bar.
"""

import io
import math
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
class Sheet:
    """A figure and its panels."""

    figure: Figure
    panels: Sequence[Axes]
    """Row by row; unused places are left out."""


def sheet(
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
) -> Sheet:
    """Lay out an empty sheet.

    Args:
        title: wrapped.
        caption: what is drawn, with n, seeds and intervals; wrapped.
        panels: number of panels.
        columns: panels in a row at most.
        panel_size: width and height of a panel in inches.
        heading: height above each panel for its title and labels, in inches.
        gap: between the panels of a row, in inches.
        legend: handle and label of each entry; a label may have several lines.
        legend_entry: width of the widest entry, in inches.
    """
    columns = min(columns, panels)
    rows = math.ceil(panels / columns)
    width_each, height_each = panel_size
    width = max(_LEFT + columns * (width_each + gap) - gap + _RIGHT, 6.4)
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
    places = []
    for index in range(panels):
        row, column = divmod(index, columns)
        left = _LEFT + column * (width_each + gap)
        top = height - head - row * row_height - heading
        box = (
            left / width,
            (top - height_each) / height,
            width_each / width,
            height_each / height,
        )
        places.append(figure.add_axes(box))
    return Sheet(figure=figure, panels=places)


def exact_percent(share: float, _position: int | None = None) -> str:
    """Return a tick's label with as many decimals as the tick has."""
    return f"{round(100 * share, 6):g}%"


def save_figure(figure: Figure, folder: Path, name: str) -> dict[str, Path]:
    """Write a figure as PNG and SVG, without anything that differs between equal figures.

    Returns:
        `png` and `svg` -> file.
    """
    files = {}
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        buffer = io.BytesIO()
        with matplotlib.rc_context(STYLE), warnings.catch_warnings():
            # A name in a script the font lacks is drawn as boxes; the tables have it in full.
            warnings.filterwarnings("ignore", r"Glyph .* missing from font")
            figure.savefig(buffer, format=kind, dpi=200, metadata=metadata)
        path = folder / f"{name}.{kind}"
        write_bytes_atomically(path, buffer.getvalue())
        files[kind] = path
    return files


SPREAD_WORDS = (
    "with one seed the bar is the 95% cluster-bootstrap interval over prompts; with several the "
    "point is their mean and the bar runs from the lowest seed to the highest"
)
"""What a bar is, for captions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A share or accuracy of one run with its interval."""

    value: float
    low: float | None
    """None where the interval is not defined."""
    high: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """What is drawn."""

    middle: float
    low: float
    high: float
    n_seeds: int


def spread(seeds: Sequence[Measured]) -> Spread:
    """Return the point and bar of one number a seed; see `SPREAD_WORDS`.

    Args:
        seeds: at least one.
    """
    if len(seeds) == 1:
        (only,) = seeds
        low = only.value if only.low is None else only.low
        high = only.value if only.high is None else only.high
        return Spread(middle=only.value, low=low, high=high, n_seeds=1)
    values = [seed.value for seed in seeds]
    return Spread(
        middle=sum(values) / len(values), low=min(values), high=max(values), n_seeds=len(values)
    )
