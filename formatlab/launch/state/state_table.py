"""The screen of `formatlab status`: a paragraph of totals for each study, and a line a task."""

import re
import shlex
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from formatlab.launch.progress import duration
from formatlab.launch.state.study_state import StudyState
from formatlab.launch.state.task_state import TaskState
from formatlab.launch.task import SEEDS
from formatlab.show.wording import name_text, percent_text, visible_text

if TYPE_CHECKING:
    from rich.text import Text

MOST_LINES = 40
"""Tasks of a study beyond which those that need no attention share a line with their arm."""

_COLOURS = {
    "done": "green",
    "running": "cyan",
    "failed": "red",
    "interrupted": "yellow",
    "damaged": "red",
    "waiting": "dim",
}
_FOLDED = ("done", "waiting")
_LABEL_WIDTH = 44
_NOTE_WIDTH = 400
_BAR = 10
_WIDE = 100
"""Columns below which a line has no room for a bar."""
_SEEDS = re.compile(rf" {SEEDS}\b")


@dataclass(frozen=True, slots=True)
class _Line:
    """A task, or several of an arm, in words."""

    cells: tuple[str, str, str, str, str, str]
    """Label, state, steps, bar, leading format, time."""
    notes: str
    state: str


_BAR_HEADING = ""
_HEADINGS = ("task", "state", "step", _BAR_HEADING, "leading format", "time left")


def study_text(study: StudyState, *, width: int | None, every: bool = False) -> "Text":
    """Return what a terminal shows of a study.

    Args:
        study: its state.
        width: columns; a note that is too long for its line gets lines of its own. None: a line a
            task, however long.
        every: a line a task, however many.
    """
    from rich.text import Text

    text = Text(no_wrap=width is None)
    text.append(visible_text(study.name), style="bold")
    text.append(f": {totals_words(study)}\n")
    for words in _about(study):
        text.append(f"{visible_text(words)}\n", style="dim")
    wide = width is None or width >= _WIDE
    lines = list(_lines(study.tasks, every or len(study.tasks) <= MOST_LINES))
    columns = zip(_HEADINGS, *(line.cells for line in lines), strict=True)
    # A column with nothing in it is left out, as is the bar where there is little room.
    widths = [
        max(map(len, column)) if any(column[1:]) and (wide or column[0] != _BAR_HEADING) else 0
        for column in columns
    ]
    if lines:
        text.append(f"{_row(_HEADINGS, widths).rstrip()}\n", style="dim")
    for line in lines:
        row, colour = _row(line.cells, widths), _COLOURS[line.state]
        begin = len(text) + widths[0] + 2
        if line.notes and (width is None or len(row) + 2 + len(line.notes) <= width):
            text.append(f"{row}  ").append(line.notes, style=colour).append("\n")
        else:
            text.append(f"{row.rstrip()}\n")
            if line.notes:
                text.append(_indented(line.notes, width or _WIDE), style=colour)
        text.stylize(colour, begin, begin + len(line.cells[1]))
    return text


def totals_words(study: StudyState) -> str:
    """Say how many tasks are in each state, and how long the rest takes."""
    totals = study.totals
    always = {state: totals.get(state, 0) for state in ("done", "running", "failed", "waiting")}
    words = ", ".join(f"{state} {count}" for state, count in (always | totals).items())
    return f"{words}; {_time_left(study)}" if study.left else words


def task_words(task: TaskState) -> str:
    """Say in one line what became of a task."""
    notes = f": {'; '.join(task.notes)}" if task.notes else ""
    told = task.state not in ("waiting", "done", "damaged") and _steps(task)
    at = f" at step {_steps(task)}" if told else ""
    leading = f", {_leading(task)}" if task.leader else ""
    return visible_text(f"{task.task.label}: {task.state}{at}{leading}{notes}")


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


def _lines(tasks: Sequence[TaskState], every: bool) -> Iterator[_Line]:
    """A line a task; if there are too many, those of an arm that need no attention share one."""
    if every:
        yield from map(_line, tasks)
        return
    arms: dict[tuple[str, str, bool], list[TaskState]] = {}
    for task in tasks:
        arms.setdefault((_arm(task), task.state, task.stuck), []).append(task)
    for (arm, state, _), alike in arms.items():
        if state not in _FOLDED or len(alike) == 1:
            yield from map(_line, alike)
        else:
            yield _folded(arm, alike)


def _line(task: TaskState) -> _Line:
    return _Line(
        (
            name_text(task.task.label, _LABEL_WIDTH),
            task.state,
            _steps(task),
            _bar(task),
            _leading(task),
            _time(task),
        ),
        _notes(task),
        task.state,
    )


def _folded(arm: str, tasks: Sequence[TaskState]) -> _Line:
    first = tasks[0]
    winners = Counter(task.winner for task in tasks if task.winner is not None)
    words = ", ".join(f"{name_text(name)} {count}" for name, count in winners.most_common())
    times = [task.seconds_left for task in tasks if task.seconds_left is not None]
    each = f"{duration(sum(times) / len(times) if times else None)} each"
    return _Line(
        (
            name_text(arm, _LABEL_WIDTH),
            f"{first.state} {len(tasks)}",
            "",
            "",
            words,
            "" if first.state == "done" or first.stuck else each,
        ),
        _notes(first) if first.state == "waiting" else "",
        first.state,
    )


def _notes(task: TaskState) -> str:
    pace = task.seconds_per_step if task.state == "running" else None
    return name_text("; ".join([*([_pace(pace)] if pace else []), *task.notes]), _NOTE_WIDTH)


def _arm(task: TaskState) -> str:
    """What tasks that differ in seed alone have in common."""
    return _SEEDS.sub("", task.task.label)


def _steps(task: TaskState) -> str:
    if task.state == "damaged":
        return ""
    if task.state == "done" or not task.steps:
        return str(task.step or "")
    return f"{task.step}/{task.steps}"


def _bar(task: TaskState) -> str:
    if task.state in ("waiting", "damaged", "done") or not task.steps:
        return ""
    filled = min(_BAR, _BAR * task.step // task.steps)
    return "━" * filled + "─" * (_BAR - filled)


def _leading(task: TaskState) -> str:
    if task.leader is None:
        return ""
    leader = name_text(task.leader)
    if task.winner is None:
        return leader if task.share is None else f"{leader} {percent_text(task.share)}"
    if task.winner != task.leader:
        return name_text(task.winner)
    return leader if task.margin is None else f"{leader}, by {round(100 * task.margin)} points"


def _time(task: TaskState) -> str:
    if task.state in ("done", "failed") or task.stuck:
        return ""
    return duration(task.seconds_left)


def _pace(seconds: float) -> str:
    return f"{seconds:.1f} s a step" if seconds >= 1 else f"{1 / seconds:.0f} steps a second"


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True) if width)


def _indented(words: str, width: int) -> str:
    return textwrap.indent(textwrap.fill(words, width - 5), "    ") + "\n"
