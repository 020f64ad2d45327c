"""Time left: of each task from its own pace or that of its like, and of a study from its tasks."""

import heapq
import re
from collections.abc import Sequence
from dataclasses import replace
from statistics import mean

from formatlab.launch.state.task_state import TaskState
from formatlab.study.task import SEEDS

_SEEDS_AND_HASH = re.compile(rf"-{SEEDS}-[0-9a-f]{{8}}$")

_UNDER_WAY = ("running", "interrupted")


def with_time_left(tasks: Sequence[TaskState], beside: Sequence[TaskState] = ()) -> list[TaskState]:
    """Return the tasks with the time that each of them still takes, where it can be told.

    A task under way is measured by its own pace, and one that is to come by those of the finished
    tasks of its arm: of its scale, mixture and algorithm. Where there are none it takes about as
    long as the plan says; or as its arm took under earlier commands, perhaps with other settings;
    or as tasks of its scale took, or of its kind.

    Args:
        tasks: those of the last command.
        beside: what earlier commands left, which takes no time itself.
    """
    return [_with_time_left(task, tasks, beside) for task in tasks]


def study_seconds_left(tasks: Sequence[TaskState], jobs: int) -> tuple[float, bool]:
    """How long the tasks take side by side, each after what it needs, and whether that is all.

    Args:
        tasks: with their own time left.
        jobs: how many go side by side, if not more are running already.

    Returns:
        Seconds, and True; False where the time of a task is not known, so that it is not counted.
    """
    known = {task.task.address for task in tasks}
    ended = {task.task.address for task in tasks if task.state == "done"}
    to_come = [task for task in tasks if is_left(task)]
    to_come.sort(key=lambda task: task.state not in _UNDER_WAY)
    slots = max(jobs, sum(task.state == "running" for task in tasks), 1)
    busy: list[tuple[float, str]] = []
    now, complete = 0.0, True
    while True:
        for task in list(to_come):
            if len(busy) == slots:
                break
            if ended.issuperset(known.intersection(task.task.needs)):
                to_come.remove(task)
                complete = complete and task.seconds_left is not None
                heapq.heappush(busy, (now + (task.seconds_left or 0.0), task.task.address))
        if not busy:
            return now, complete
        now, address = heapq.heappop(busy)
        ended.add(address)


def is_left(task: TaskState) -> bool:
    """Whether a task is running or still to be done, if nothing that it needs has failed."""
    return task.state not in ("done", "failed") and not task.stuck


def _with_time_left(
    task: TaskState, tasks: Sequence[TaskState], beside: Sequence[TaskState]
) -> TaskState:
    if not is_left(task):
        return replace(task, seconds_left=0.0)
    done, before = (
        [one for one in some if one.state == "done" and one.task.kind == task.task.kind]
        for some in (tasks, beside)
    )
    if (seconds := _by_pace(task, [one for one in done if _arm(one) == _arm(task)])) is not None:
        return replace(task, seconds_left=seconds)
    everything = [*done, *before]
    for about in (
        task.task.seconds,
        _by_pace(task, [one for one in before if _arm(one) == _arm(task)]),
        _not_made(task, _took([one for one in everything if _scale(one) == _scale(task)])),
        _not_made(task, _took(everything)),
    ):
        if about is not None:
            return replace(task, seconds_left=about, estimated=True)
    return task


def _by_pace(task: TaskState, alike: Sequence[TaskState]) -> float | None:
    """Seconds left by its own pace, or else by those of finished tasks that are like it."""
    paces = [one.seconds_per_step for one in alike if one.seconds_per_step]
    pace = task.seconds_per_step or (mean(paces) if paces else None)
    if pace and task.steps:
        return pace * max(0, task.steps - task.step)
    return _not_made(task, _took(alike))


def _not_made(task: TaskState, whole: float | None) -> float | None:
    """What is left of the seconds that all of it takes."""
    made = task.step / task.steps if task.steps else 0.0
    return None if whole is None else whole * max(0.0, 1.0 - made)


def _took(done: Sequence[TaskState]) -> float | None:
    """Seconds that finished tasks took, on average."""
    took = [task.seconds_per_step * task.step for task in done if task.seconds_per_step]
    return mean(took) if took else None


def _arm(task: TaskState) -> str:
    """Scale, mixture and algorithm, as the folder's name has them."""
    return _SEEDS_AND_HASH.sub("", task.task.address.rpartition("/")[2])


def _scale(task: TaskState) -> str:
    return task.task.address.rpartition("/")[2].partition("-")[0]
