"""A line of `formatlab status`: a task in words, or several of an arm that need no attention."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from formatlab.launch.progress import duration
from formatlab.launch.state.task_state import State, TaskState
from formatlab.show.wording import name_text, percent_text, visible_text
from formatlab.study.task import SEEDS

HEADINGS = ("task", "state", "step", "", "leading format", "time left")
"""Of the cells of a line; the bar has none."""
BAR = 3
"""Which of the cells is the bar."""

_LABEL_WIDTH = 44
_NOTE_WIDTH = 400
_BAR_WIDTH = 10
_SEEDS = re.compile(rf" {SEEDS}\b")


@dataclass(frozen=True, slots=True)
class StateLine:
    """A task, or several of an arm, in words."""

    cells: tuple[str, str, str, str, str, str]
    """See `HEADINGS`."""
    notes: str
    state: State
    stuck: bool = False
    """Of waiting ones: something that they need failed."""
    tasks: int = 1
    """How many tasks it stands for."""


def state_lines(
    tasks: Sequence[TaskState], *, shared: Collection[State] = ()
) -> Iterator[StateLine]:
    """The lines of some tasks.

    Args:
        tasks: in order.
        shared: states in which those of an arm share a line; all others have one each.
    """
    arms: dict[tuple[str, str, bool], list[TaskState]] = {}
    for task in tasks:
        arm = _arm(task) if task.state in shared else task.task.address
        arms.setdefault((arm, task.state, task.stuck), []).append(task)
    for (arm, _, _), alike in arms.items():
        yield _folded(arm, alike) if len(alike) > 1 else _line(alike[0])


def task_words(task: TaskState) -> str:
    """Say in one line what became of a task."""
    notes = f": {'; '.join(task.notes)}" if task.notes else ""
    told = task.state not in ("waiting", "done", "damaged") and _steps(task)
    at = f" at step {_steps(task)}" if told else ""
    leading = f", {_leading(task)}" if task.leader else ""
    return visible_text(f"{task.task.label}: {task.state}{at}{leading}{notes}")


def _line(task: TaskState) -> StateLine:
    return StateLine(
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
        task.stuck,
    )


def _folded(arm: str, tasks: Sequence[TaskState]) -> StateLine:
    first = tasks[0]
    winners = Counter(task.winner for task in tasks if task.winner is not None)
    words = ", ".join(f"{name_text(name)} {count}" for name, count in winners.most_common())
    times = [task.seconds_left for task in tasks if task.seconds_left is not None]
    about = "about " if any(task.estimated for task in tasks) else ""
    each = f"{about}{duration(sum(times) / len(times))} each" if times else duration(None)
    return StateLine(
        (
            name_text(arm, _LABEL_WIDTH),
            f"{first.state} {len(tasks)}",
            "",
            "",
            words,
            "" if first.state == "done" or first.stuck else each,
        ),
        "cannot begin: what they need failed" if first.stuck else "",
        first.state,
        first.stuck,
        len(tasks),
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
    filled = min(_BAR_WIDTH, _BAR_WIDTH * task.step // task.steps)
    return "━" * filled + "─" * (_BAR_WIDTH - filled)


def _leading(task: TaskState) -> str:
    if task.leader is None:
        return ""
    leader = name_text(task.leader)
    with_share = leader if task.share is None else f"{leader} {percent_text(task.share)}"
    if task.winner is None:
        return with_share
    if task.winner != task.leader:
        return f"{with_share}, {name_text(task.winner)}"
    return leader if task.margin is None else f"{leader}, by {round(100 * task.margin)} points"


def _time(task: TaskState) -> str:
    if task.state in ("done", "failed") or task.stuck:
        return ""
    return f"{'about ' if task.estimated else ''}{duration(task.seconds_left)}"


def _pace(seconds: float) -> str:
    return f"{seconds:.1f} s a step" if seconds >= 1 else f"{1 / seconds:.0f} steps a second"
