"""The screen of `formatlab status`: a paragraph of totals for each study, and a line a task."""

import shlex
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from formatlab.launch.progress import duration
from formatlab.launch.state.state_line import BAR, HEADINGS, StateLine, state_lines
from formatlab.launch.state.study_state import StudyState
from formatlab.show.wording import shortened_text, visible_text

if TYPE_CHECKING:
    from rich.text import Text

MOST_LINES = 40
"""Tasks of a study beyond which those that need no attention share a line with their arm, where
nothing says how many lines there is room for."""

_COLOURS = {
    "done": "green",
    "running": "cyan",
    "failed": "red",
    "interrupted": "yellow",
    "damaged": "red",
    "waiting": "dim",
}
_FIRST = ("running", "failed", "damaged", "interrupted", "done", "waiting")
"""States in the order in which they are worth a line of a screen that has too few."""
_CALM = ("done", "waiting")
"""States that need no attention."""
_WIDE = 100
"""Columns below which a line has no room for a bar."""
_INDENT = "    "


def screen_text(
    studies: Sequence[StudyState],
    *,
    width: int | None,
    height: int | None = None,
    every: bool = False,
) -> "Text":
    """Return what a terminal shows of studies, one below the other.

    Args:
        studies: their states.
        width: columns, see `study_text`.
        height: lines that there are; None where the screen may be scrolled.
        every: a line a task, however many.
    """
    from rich.text import Text

    rooms = {} if height is None else _rooms(studies, width, height)
    texts = [
        study_text(study, width=width, room=rooms.get(number), every=every)
        for number, study in enumerate(studies)
    ]
    return Text("\n").join(texts)


def study_text(
    study: StudyState, *, width: int | None, room: int | None = None, every: bool = False
) -> "Text":
    """Return what a terminal shows of a study.

    Args:
        study: its state.
        width: columns; a note that is too long for its line gets lines of its own. None: a line a
            task, however long.
        room: lines that there are; where they are too few, tasks that need attention come first,
            arms share lines, and what is left out is counted. None: as many as it takes.
        every: a line a task, however many.
    """
    each = every or room is not None or len(study.tasks) <= MOST_LINES
    whole = _text(study, list(state_lines(study.tasks, shared=() if each else _CALM)), width)
    if room is None or _height(whole, width) <= room:
        return whole
    folded = _ever_shorter(study, width, room, every=every)
    return next((text for text in folded if _height(text, width) <= room), _title(study))


def totals_words(study: StudyState) -> str:
    """Say how many tasks are in each state, and how long the rest takes."""
    totals = study.totals
    always = {state: totals.get(state, 0) for state in ("done", "running", "failed", "waiting")}
    words = ", ".join(f"{state} {count}" for state, count in (always | totals).items())
    return f"{words}; {_time_left(study)}" if study.left else words


def _ever_shorter(
    study: StudyState, width: int | None, room: int, *, every: bool
) -> "Iterator[Text]":
    """What can be shown of a study, the most first."""
    lines: list[StateLine] = []
    for shared in [()] if every else [("waiting",), _CALM]:
        lines = sorted(state_lines(study.tasks, shared=shared), key=_urgency)
        yield _text(study, lines, width, brief=True)
    for shown in range(min(len(lines), room), -1, -1):
        yield _text(study, lines[:shown], width, left_out=lines[shown:], brief=True)


def _text(
    study: StudyState,
    lines: Sequence[StateLine],
    width: int | None,
    *,
    left_out: Sequence[StateLine] = (),
    brief: bool = False,
) -> "Text":
    """The study with some of its lines.

    Args:
        study: its state.
        lines: of tasks.
        width: see `study_text`.
        left_out: lines that are counted only.
        brief: notes have a line at most, and so has what is told of the command.
    """
    text = _title(study)
    columns = width or _WIDE
    for words in _about(study):
        seen = visible_text(words)
        text.append(f"{_brief(seen, columns) if brief else seen}\n", style="dim")
    wide = width is None or width >= _WIDE
    cells = zip(HEADINGS, *(line.cells for line in lines), strict=True)
    # A column with nothing in it is left out, as is the bar where there is little room.
    widths = [
        max(map(len, column)) if any(column[1:]) and (wide or number != BAR) else 0
        for number, column in enumerate(cells)
    ]
    if lines:
        text.append(f"{_row(HEADINGS, widths).rstrip()}\n", style="dim")
    for line in lines:
        row, colour = _row(line.cells, widths), _COLOURS[line.state]
        notes = "" if brief and line.state == "waiting" and not line.stuck else line.notes
        begin = len(text) + widths[0] + 2
        if notes and (width is None or len(row) + 2 + len(notes) <= width):
            text.append(f"{row}  ").append(notes, style=colour).append("\n")
        else:
            text.append(f"{row.rstrip()}\n")
            if notes:
                filled = (_brief if brief else textwrap.fill)(notes, columns - len(_INDENT) - 1)
                text.append(f"{textwrap.indent(filled, _INDENT)}\n", style=colour)
        text.stylize(colour, begin, begin + len(line.cells[1]))
    if left_out:
        text.append(f"{_left_out_words(left_out)}\n", style="dim")
    return text


def _title(study: StudyState) -> "Text":
    from rich.text import Text

    text = Text()
    text.append(visible_text(study.name), style="bold")
    return text.append(f": {totals_words(study)}\n")


def _time_left(study: StudyState) -> str:
    if not study.seconds_left:
        return "time left --"
    return f"time left {'about' if study.complete else 'more than'} {duration(study.seconds_left)}"


def _about(study: StudyState) -> Iterator[str]:
    """What else there is to say of a study."""
    if study.remark:
        yield study.remark
    if study.plan is not None:
        yield f"last command, {_moment(study.plan.written)}: {shlex.join(study.plan.command)}"
        if study.left and not study.totals.get("running"):
            yield "nobody is at it; the same command goes on"
    if study.beside:
        states = ", ".join(f"{state} {count}" for state, count in study.beside.items())
        yield f"beside these, runs of earlier commands: {states}"


def _moment(written: str) -> str:
    try:
        return datetime.fromisoformat(written).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return written


def _left_out_words(lines: Sequence[StateLine]) -> str:
    """Say how many tasks have no line, in the order of the states."""
    count = Counter[str]()
    for line in lines:
        count[line.state] += line.tasks
    first, *others = [(count[state], state) for state in _FIRST if count[state]]
    words = [f"{first[0]} more {first[1]}", *(f"{number} {state}" for number, state in others)]
    return f"and {', '.join(words)}"


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True) if width)


def _urgency(line: StateLine) -> int:
    return _FIRST.index(line.state)


def _brief(words: str, width: int) -> str:
    """Words in one line, the middle left out: the end of a reason says where, or what to do."""
    mark = " … "
    return words if len(words) <= width else shortened_text(words, width - len(mark), mark=mark)


def _height(text: "Text", width: int | None) -> int:
    """Lines that a text takes on a terminal of a width."""
    from rich.console import Console

    return len(text.wrap(Console(width=width), width)) - 1 if width else text.plain.count("\n")


def _rooms(studies: Sequence[StudyState], width: int | None, height: int) -> dict[int, int]:
    """Share the lines of a screen among studies; those in which nothing is left get the rest."""
    wanted = {
        number: _height(study_text(study, width=width, every=True), width)
        for number, study in enumerate(studies)
    }
    under_way = {number: lines for number, lines in wanted.items() if studies[number].left}
    ended = {number: lines for number, lines in wanted.items() if not studies[number].left}
    room = height - (len(studies) - 1)  # a line between two
    given = _shared(under_way, room - len(ended))
    return given | _shared(ended, room - sum(given.values()))


def _shared(wanted: Mapping[int, int], room: int) -> dict[int, int]:
    """Share lines evenly; what one does not need, others get."""
    given: dict[int, int] = {}
    for number in sorted(wanted, key=lambda number: wanted[number]):
        each = (room - sum(given.values())) // (len(wanted) - len(given))
        given[number] = max(1, min(wanted[number], each))
    return given
