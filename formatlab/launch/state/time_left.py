"""Time left: of each task from its own pace or that of its like, and of a study from its tasks."""

import heapq
import re
from collections.abc import Sequence
from dataclasses import replace
from statistics import mean

from formatlab.launch.state.task_state import TaskState
from formatlab.launch.task import SEEDS

_SEEDS_AND_HASH = re.compile(rf"-{SEEDS}-[0-9a-f]{{8}}$")

_UNDER_WAY = ("running", "interrupted")


def with_time_left(tasks: Sequence[TaskState]) -> list[TaskState]:
    """Return the tasks with the time that each of them still takes, where it can be told.

    A task under way is measured by its own pace. One that is to come takes as long a step as the
    finished ones of its scale, mixture and algorithm, or else as long in all as those of its scale,
    or of its kind.
    """
    return [replace(task, seconds_left=_seconds_left(task, tasks)) for task in tasks]


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


def _seconds_left(task: TaskState, tasks: Sequence[TaskState]) -> float | None:
    if not is_left(task):
        return 0.0
    done = [t for t in tasks if t.state == "done" and t.task.kind == task.task.kind]
    alike = [t for t in done if _arm(t) == _arm(task)]
    paces = [t.seconds_per_step for t in alike if t.seconds_per_step]
    pace = task.seconds_per_step or (mean(paces) if paces else None)
    if pace and task.steps:
        return pace * max(0, task.steps - task.step)
    for group in (alike, [t for t in done if _scale(t) == _scale(task)], done):
        took = [t.seconds_per_step * t.step for t in group if t.seconds_per_step]
        if took:
            made = task.step / task.steps if task.steps else 0.0
            return mean(took) * max(0.0, 1.0 - made)
    return None


def _arm(task: TaskState) -> str:
    """Scale, mixture and algorithm, as the folder's name has them."""
    return _SEEDS_AND_HASH.sub("", task.task.address.rpartition("/")[2])


def _scale(task: TaskState) -> str:
    return task.task.address.rpartition("/")[2].partition("-")[0]
