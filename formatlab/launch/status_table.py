"""The screen of `formatlab status`: for each study its totals and a table of its tasks."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
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

_HEADINGS = ("task", "state", "step", "leading format", "time left", "notes")
_WRAPPED = ("leading format", "notes")
_UNBROKEN = 10_000
"""Columns where lines are not to be broken."""
_LABEL_WIDTH = 44
_NOTE_WIDTH = 400

_COLOURS = {
    "running": "cyan",
    "failed": "red",
    "damaged": "red",
    "interrupted": "yellow",
    "done": "green",
    "waiting": "dim",
}
"""The order of the states in the table, the most urgent first."""
_URGENCY = tuple(_COLOURS)


def screen_text(
    studies: Sequence[StudyStatus],
    *,
    width: int | None,
    height: int | None = None,
    every: bool = False,
) -> "Text":
    """Return what a terminal shows of studies, one below the other.

    On a terminal that is too low for all rows, the most urgent ones have a line each, and the tasks
    of the others are counted.

    Args:
        studies: their status.
        width: columns of the terminal; None where lines are not to be broken.
        height: its lines; None where the screen may scroll.
        every: a row a task, however many.
    """
    from rich.text import Text

    columns = width or _UNBROKEN
    rows = [(study, tasks) for study in studies for tasks in _rows(study, every=every)]
    lines = _lines(studies, rows, columns)
    if height is not None and len(lines) > height:
        rows.sort(key=lambda row: _URGENCY.index(row[1][0].state))
        for most in range(min(len(rows), height), -1, -1):
            hidden = Counter(task.state for _, tasks in rows[most:] for task in tasks)
            left = ", ".join(f"{hidden[state]} {state}" for state in _URGENCY if hidden[state])
            lines = _lines(studies, rows[:most], columns, wrap=False)
            lines.append(Text(f"not shown: {left}", "dim"))
            if len(lines) <= height:
                break
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


def _rows(study: StudyStatus, *, every: bool) -> list[list[TaskStatus]]:
    """The tasks of each row; in a large study the done and the waiting ones of an arm share one."""
    shared = () if every or len(study.tasks) <= MOST_ROWS else ("done", "waiting")
    rows: dict[tuple[str, State, bool], list[TaskStatus]] = {}
    for task in study.tasks:
        name = task.task.facts.arm if task.state in shared else task.task.address
        rows.setdefault((name, task.state, task.stuck), []).append(task)
    return list(rows.values())


def _lines(
    studies: Sequence[StudyStatus],
    rows: Sequence[tuple[StudyStatus, Sequence[TaskStatus]]],
    width: int,
    *,
    wrap: bool = True,
) -> "list[Text]":
    """The lines of the screen: each study with its rows, or with its totals alone."""
    from rich.console import Console
    from rich.text import Text

    console = Console(width=width)
    lines: list[Text] = []
    for study in studies:
        title = Text.assemble((visible_text(study.name), "bold"), f": {totals_words(study)}")
        lines += [Text()] * bool(lines)
        lines += title.wrap(console, width)
        shown = [tasks for of, tasks in rows if of is study]
        if shown or not study.tasks:
            for words in _about(study):
                lines += Text(visible_text(words), "dim").wrap(console, width)
        if shown:
            lines += _table_lines(shown, console, wrap=wrap)
    return lines


def _table_lines(
    rows: Sequence[Sequence[TaskStatus]], console: "Console", *, wrap: bool
) -> "Iterator[Text]":
    """A table without the columns that have nothing in them; what is too long wraps or is cut."""
    from rich.table import Table
    from rich.text import Text

    contents = [_task_cells(row[0]) if len(row) == 1 else _arm_cells(row) for row in rows]
    shown = [number for number, column in enumerate(zip(*contents, strict=True)) if any(column)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for number in shown:
        table.add_column(_HEADINGS[number], no_wrap=_HEADINGS[number] not in _WRAPPED)
    for row, texts in zip(rows, contents, strict=True):
        cells = [Text(text, no_wrap=not wrap, overflow="ellipsis") for text in texts]
        for cell in (cells[1], cells[-1]):
            cell.stylize(_COLOURS[row[0].state])
        table.add_row(*(cells[number] for number in shown))
    for segments in console.render_lines(table, pad=False):
        line = Text.assemble(*((segment.text, segment.style or "") for segment in segments))
        line.rstrip()
        yield line


def _task_cells(task: TaskStatus) -> tuple[str, ...]:
    """The cells of a task's row, below `_HEADINGS`."""
    ended = task.state in ("done", "failed") or task.stuck
    about = "about " if task.estimated else ""
    pace = task.seconds_per_step if task.state == "running" else None
    notes = [*([_pace(pace)] if pace else []), *task.notes]
    return (
        name_text(task.task.label, _LABEL_WIDTH),
        task.state,
        _steps(task),
        _leading(task),
        "" if ended else f"{about}{duration(task.seconds_left)}",
        name_text("; ".join(notes), _NOTE_WIDTH),
    )


def _arm_cells(tasks: Sequence[TaskStatus]) -> tuple[str, ...]:
    """The cells of a row for several tasks of an arm, all of them in one state."""
    first = tasks[0]
    winners = Counter(task.winner for task in tasks if task.winner is not None)
    times = [task.seconds_left for task in tasks if task.seconds_left is not None]
    about = "about " if any(task.estimated for task in tasks) else ""
    each = f"{about}{duration(mean(times))} each" if times else duration(None)
    return (
        name_text(first.task.facts.arm, _LABEL_WIDTH),
        f"{first.state} {len(tasks)}",
        "",
        ", ".join(f"{name_text(name)} {count}" for name, count in winners.most_common()),
        "" if first.state == "done" or first.stuck else each,
        "cannot begin: what they need failed" if first.stuck else "",
    )


def _about(study: StudyStatus) -> Iterator[str]:
    """Sentences on the whole study."""
    if study.remark:
        yield study.remark
    if study.plan is not None:
        written = datetime.fromisoformat(study.plan.written).astimezone()
        yield f"last command, {written:%Y-%m-%d %H:%M}: {shlex.join(study.plan.command)}"
        if study.left and not study.totals.get("running"):
            yield "nothing is running; the same command resumes it"
    if study.beside:
        states = ", ".join(f"{state} {count}" for state, count in study.beside.items())
        yield f"runs of earlier commands, not among these: {states}"


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
