"""The screen of `formatlab status`: for each study its totals and a table of its tasks."""

import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import mean
from typing import TYPE_CHECKING

from formatlab.launch.progress import duration
from formatlab.launch.status import State, StudyStatus, TaskStatus
from formatlab.show.wording import name_text, percent_text, visible_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

MOST_ROWS = 40
"""Tasks of a study beyond which the done and the waiting ones of an arm share a row."""

_HEADINGS = ("task", "state", "step", "leading format", "time left")
_UNBROKEN = 10_000
"""Columns where lines are not to be broken."""
_LABEL_WIDTH = 44
_NOTE_WIDTH = 400
_INDENT = "    "

_COLOURS = {
    "running": "cyan",
    "failed": "red",
    "damaged": "red",
    "interrupted": "yellow",
    "done": "green",
    "waiting": "dim",
}
"""Of the states, the most urgent first."""
_URGENCY = tuple(_COLOURS)
_CALM = ("done", "waiting")
"""States that need no attention."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """A row of the table: a task, or several of an arm."""

    cells: tuple[str, str, str, str, str]
    """Below `_HEADINGS`."""
    notes: str
    """What stands beside the cells, or below them where there is no room."""
    state: State
    tasks: int = 1
    """How many tasks it stands for."""


def screen_text(
    studies: Sequence[StudyStatus],
    *,
    width: int | None,
    height: int | None = None,
    every: bool = False,
) -> "Text":
    """Return what a terminal shows of studies, one below the other.

    On a terminal that is too low for all of it, tasks that need attention come first, and those
    that are left out are counted.

    Args:
        studies: their status.
        width: columns of the terminal; None where lines are not to be broken.
        height: its lines; None where the screen may scroll.
        every: a row a task, however many.
    """
    from rich.text import Text

    columns = width or _UNBROKEN
    rows = [
        _rows(study.tasks, () if every or len(study.tasks) <= MOST_ROWS else _CALM)
        for study in studies
    ]
    lines = _lines(studies, rows, columns)
    if height is not None and len(lines) > height:
        lines = _fitting_lines(studies, columns, height, every=every)
    return Text("\n").join([*lines, Text()])


def totals_words(study: StudyStatus) -> str:
    """Say how many tasks are in each state, and how long the rest takes."""
    totals = study.totals
    always = {state: totals.get(state, 0) for state in ("done", "running", "failed", "waiting")}
    words = ", ".join(f"{state} {count}" for state, count in (always | totals).items())
    if not study.left:
        return words
    if not study.seconds_left:
        return f"{words}; time left --"
    about = "about" if study.complete else "more than"
    return f"{words}; time left {about} {duration(study.seconds_left)}"


def task_words(task: TaskStatus) -> str:
    """Say in one line what became of a task."""
    notes = f": {'; '.join(task.notes)}" if task.notes else ""
    told = task.state not in ("waiting", "done", "damaged") and _steps(task)
    at = f" at step {_steps(task)}" if told else ""
    leading = f", {_leading(task)}" if task.leader else ""
    return visible_text(f"{task.task.label}: {task.state}{at}{leading}{notes}")


def _fitting_lines(
    studies: Sequence[StudyStatus], width: int, height: int, *, every: bool
) -> "list[Text]":
    """The lines of as many rows as there is room for, the most urgent ones of all studies."""
    urgent = [
        (number, row)
        for number, study in enumerate(studies)
        for row in _rows(study.tasks, () if every else _CALM)
    ]
    urgent.sort(key=lambda item: _URGENCY.index(item[1].state))
    lines: list[Text] = []
    for most in range(min(len(urgent), height), -1, -1):
        rows = [[row for of, row in urgent[:most] if of == n] for n in range(len(studies))]
        lines = _lines(studies, rows, width)
        if len(lines) <= height:
            break
    return lines


def _lines(
    studies: Sequence[StudyStatus], rows: Sequence[Sequence[_Row]], width: int
) -> "list[Text]":
    """The lines of the screen: each study with some of its rows, or with its totals alone."""
    from rich.console import Console
    from rich.text import Text

    console = Console(width=width)
    lines: list[Text] = []
    for study, shown in zip(studies, rows, strict=True):
        title = Text.assemble((visible_text(study.name), "bold"), f": {totals_words(study)}")
        lines += [Text()] * bool(lines)
        lines += title.wrap(console, width)
        if shown or not study.tasks:
            for words in _about(study):
                lines += Text(visible_text(words), "dim").wrap(console, width)
        if shown:
            lines += _table_lines(shown, console)
            lines += _rest(study, shown)
    return lines


def _table_lines(rows: Sequence[_Row], console: "Console") -> "Iterator[Text]":
    """A header, and the rows with their notes, which rich lays out in columns."""
    from rich.table import Table
    from rich.text import Text

    columns = zip(*(row.cells for row in rows), strict=True)
    shown = [number for number, cells in enumerate(columns) if any(cells)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for number in shown:
        # Where the terminal is too narrow, the leading format is cut and nothing else.
        heading = Text(_HEADINGS[number], no_wrap=True, overflow="ellipsis")
        table.add_column(heading, no_wrap=number != _HEADINGS.index("leading format"))
    for row in rows:
        cells = [Text(cell, no_wrap=True, overflow="ellipsis") for cell in row.cells]
        cells[1].stylize(_COLOURS[row.state])
        table.add_row(*(cells[number] for number in shown))
    rendered = console.render_lines(table, pad=False)
    for row, segments in zip((None, *rows), rendered, strict=True):
        line = Text.assemble(*((segment.text, segment.style or "") for segment in segments))
        if row is None or not row.notes:
            line.rstrip()
            yield line
        elif line.cell_len + 2 + len(row.notes) <= console.width:
            yield line.append("  ").append(row.notes, _COLOURS[row.state])
        else:
            line.rstrip()
            yield line
            notes = Text(row.notes, _COLOURS[row.state])
            for part in notes.wrap(console, console.width - len(_INDENT)):
                yield Text(_INDENT).append_text(part)


def _rows(tasks: Sequence[TaskStatus], shared: Collection[State]) -> list[_Row]:
    """The rows of tasks; those of an arm share one in the states of `shared`."""
    groups: dict[tuple[str, str, bool], list[TaskStatus]] = {}
    for task in tasks:
        name = task.task.facts.arm if task.state in shared else task.task.address
        groups.setdefault((name, task.state, task.stuck), []).append(task)
    return [
        _arm_row(name, group) if len(group) > 1 else _task_row(group[0])
        for (name, _, _), group in groups.items()
    ]


def _task_row(task: TaskStatus) -> _Row:
    ended = task.state in ("done", "failed") or task.stuck
    about = "about " if task.estimated else ""
    pace = task.seconds_per_step if task.state == "running" else None
    notes = [*([_pace(pace)] if pace else []), *task.notes]
    return _Row(
        cells=(
            name_text(task.task.label, _LABEL_WIDTH),
            task.state,
            _steps(task),
            _leading(task),
            "" if ended else f"{about}{duration(task.seconds_left)}",
        ),
        notes=name_text("; ".join(notes), _NOTE_WIDTH),
        state=task.state,
    )


def _arm_row(arm: str, tasks: Sequence[TaskStatus]) -> _Row:
    first = tasks[0]
    winners = Counter(task.winner for task in tasks if task.winner is not None)
    times = [task.seconds_left for task in tasks if task.seconds_left is not None]
    about = "about " if any(task.estimated for task in tasks) else ""
    each = f"{about}{duration(mean(times))} each" if times else duration(None)
    return _Row(
        cells=(
            name_text(arm, _LABEL_WIDTH),
            f"{first.state} {len(tasks)}",
            "",
            ", ".join(f"{name_text(name)} {count}" for name, count in winners.most_common()),
            "" if first.state == "done" or first.stuck else each,
        ),
        notes="cannot begin: what they need failed" if first.stuck else "",
        state=first.state,
        tasks=len(tasks),
    )


def _about(study: StudyStatus) -> Iterator[str]:
    """What there is to say of the whole study, in sentences."""
    if study.remark:
        yield study.remark
    if study.plan is not None:
        yield f"last command, {_moment(study.plan.written)}: {shlex.join(study.plan.command)}"
        if study.left and not study.totals.get("running"):
            yield "nothing is running; the same command resumes it"
    if study.beside:
        states = ", ".join(f"{state} {count}" for state, count in study.beside.items())
        yield f"runs of earlier commands, not among these: {states}"


def _rest(study: StudyStatus, rows: Sequence[_Row]) -> "list[Text]":
    """Say how many tasks have no row."""
    from rich.text import Text

    count = Counter[str](study.totals)
    for row in rows:
        count[row.state] -= row.tasks
    left = ", ".join(f"{count[state]} {state}" for state in _URGENCY if count[state])
    return [Text(f"not shown: {left}", "dim")] if left else []


def _moment(written: str) -> str:
    try:
        return datetime.fromisoformat(written).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return written


def _steps(task: TaskStatus) -> str:
    if task.state == "damaged":
        return ""
    if task.state == "done" or not task.steps:
        return str(task.step or "")
    return f"{task.step}/{task.steps}"


def _leading(task: TaskStatus) -> str:
    """The leader with its share, or with its margin once it has won."""
    if task.leader is None:
        return ""
    leader = name_text(task.leader)
    with_share = leader if task.share is None else f"{leader} {percent_text(task.share)}"
    if task.winner is None:
        return with_share
    if task.winner != task.leader:
        return f"{with_share}, {name_text(task.winner)}"
    return leader if task.margin is None else f"{leader}, by {round(100 * task.margin)} points"


def _pace(seconds: float) -> str:
    return f"{seconds:.1f} s a step" if seconds >= 1 else f"{1 / seconds:.0f} steps a second"
