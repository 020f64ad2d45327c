"""The palette: one colour and marker a format, the same in every figure and table.

Colours are those of Okabe and Ito (2008), which people with any common colour blindness can tell
apart, then the muted ones of Paul Tol (2021). Markers repeat the distinction without colour.
"""

import zlib
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class FormatStyle:
    """How a format looks."""

    colour: str
    """#rrggbb."""
    marker: str
    """A matplotlib marker."""


def _style(colour: str, marker: str) -> FormatStyle:
    return FormatStyle(colour=colour, marker=marker)


_STYLES = {
    "program": _style("#0072B2", "o"),
    "tool_tags": _style("#E69F00", "s"),
    "prose": _style("#009E73", "^"),
    "latex": _style("#D55E00", "D"),
    "json": _style("#CC79A7", "v"),
    "direct": _style("#56B4E9", "P"),
    "none": _style("#8C8C8C", "X"),
    "script": _style("#332288", "<"),
    "code_tags": _style("#882255", ">"),
    "code_fenced": _style("#999933", "p"),
}

# For formats of the user's own.
_FURTHER_COLOURS = ("#117733", "#661100", "#6699CC", "#44AA99", "#7A5195")
_FURTHER_MARKERS = ("d", "H", "8", ">")

SERIES = (
    ("#000000", "o"),
    ("#7B2CBF", "s"),
    ("#00A3A3", "^"),
    ("#8B5A2B", "D"),
    ("#C2185B", "v"),
    ("#5C6BC0", "P"),
    ("#7CB342", "X"),
    ("#FB8C00", "<"),
)
"""Colour and marker of the first series that are no formats; further ones share grey."""


def format_style(tag: str) -> FormatStyle:
    """Return the style of a format.

    A format that is not in the palette gets a style from a hash of its name, the same in every
    process; two such formats may share a colour, and then mostly differ in marker.
    """
    if tag in _STYLES:
        return _STYLES[tag]
    number = zlib.crc32(tag.encode("utf-8", "replace"))
    return _style(
        _FURTHER_COLOURS[number % len(_FURTHER_COLOURS)],
        _FURTHER_MARKERS[number % len(_FURTHER_MARKERS)],
    )


def format_order(tags: set[str]) -> list[str]:
    """Return tags in the order of the palette, then others by name, `none` last."""
    known = list(_STYLES)
    return sorted(
        tags, key=lambda tag: (tag == "none", known.index(tag) if tag in known else 99, tag)
    )


def ink_on(colour: str) -> str:
    """Return black or white, whichever is easier to read on a colour (WCAG 2 contrast)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#ffffff"
