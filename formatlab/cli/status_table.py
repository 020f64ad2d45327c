"""The screen of `formatlab status`: for each study its totals and a table of its tasks."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from formatlab.launch.status import State, StudyStatus, TaskStatus, counted
from formatlab.show.wording import duration_text, name_text, percent_text, visible_text

MOST_ROWS = 40
"""Rows of a study beyond which its tasks are counted, unless all are asked for."""

_HEADINGS = ("task", "state", "step", "leading format", "time left", "notes")
_WRAPPED = ("leading format", "notes")
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
"""In the order of the table, the most urgent first."""


def screen(studies: Sequence[StudyStatus], *, most: int | None, wrap: bool = True) -> Group:
    """Return what a terminal shows of studies, one below the other.

    Args:
        studies: their status.
        most: rows of a study beyond which its less urgent tasks are counted; None for all.
        wrap: whether what is too long for its column wraps; otherwise it is cut.
    """
    urgency = list(_COLOURS)
    parts: list[RenderableType] = []
    for study in studies:
        title = Text.assemble((visible_text(study.name), "bold"), f": {totals_words(study)}")
        about = [Text(visible_text(words), "dim") for words in _about(study)]
        parts += [*([Text()] if parts else []), title, *about]
        tasks = sorted(study.tasks, key=lambda task: urgency.index(task.state))
        shown = tasks[:most]
        if shown:
            parts.append(_table(shown, wrap=wrap))
        if len(shown) < len(tasks):
            rest = _count_words(counted(tasks[len(shown) :]))
            parts.append(Text(f"not shown: {rest}; --all has a row for each", "dim"))
    return Group(*parts)


def totals_words(study: StudyStatus) -> str:
    """Say how many tasks are in each state, and how long the rest takes."""
    always: dict[State, int] = {"done": 0, "running": 0, "failed": 0, "waiting": 0}
    words = _count_words(always | study.totals)
    if not study.left:
        return words
    if not study.seconds_left:
        return f"{words}; time left --"
    about = "about" if study.complete else "more than"
    return f"{words}; time left {about} {duration_text(study.seconds_left)}"


def task_words(task: TaskStatus) -> str:
    """Say in one line what became of a task."""
    notes = f": {'; '.join(task.notes)}" if task.notes else ""
    told = task.state not in ("waiting", "done", "damaged") and _steps(task)
    at = f" at step {_steps(task)}" if told else ""
    leading = f", {_leading(task)}" if task.leader else ""
    return visible_text(f"{task.task.label}: {task.state}{at}{leading}{notes}")


def _table(tasks: Sequence[TaskStatus], *, wrap: bool) -> Table:
    """A row for each task, without the columns that have nothing in them."""
    rows = [_cells(task) for task in tasks]
    shown = [number for number, column in enumerate(zip(*rows, strict=True)) if any(column)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for number in shown:
        table.add_column(_HEADINGS[number], no_wrap=_HEADINGS[number] not in _WRAPPED)
    for task, texts in zip(tasks, rows, strict=True):
        cells = [Text(text, no_wrap=not wrap, overflow="ellipsis") for text in texts]
        for cell in (cells[1], cells[-1]):
            cell.stylize(_COLOURS[task.state])
        table.add_row(*(cells[number] for number in shown))
    return table


def _cells(task: TaskStatus) -> tuple[str, ...]:
    """The cells of a task's row, below `_HEADINGS`."""
    pace = task.seconds_per_step if task.state == "running" else None
    notes = [*([_pace(pace)] if pace else []), *task.notes]
    return (
        name_text(task.task.label, _LABEL_WIDTH),
        task.state,
        _steps(task),
        _leading(task),
        duration_text(task.seconds_left) if task.left else "",
        name_text("; ".join(notes), _NOTE_WIDTH),
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
        if study.unselected:
            tasks = "1 task" if study.unselected == 1 else f"{study.unselected} tasks"
            yield f"it leaves {tasks} out by --only; the same command without it does them too"
    if study.beside:
        yield f"runs of earlier commands, not among these: {_count_words(study.beside)}"


def _count_words(counts: Mapping[State, int]) -> str:
    return ", ".join(f"{state} {count}" for state, count in counts.items())


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
