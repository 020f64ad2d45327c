"""An outlook: how a study will go, from the estimates of its tasks and the devices there are."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from formatlab.launch.devices import Devices
from formatlab.launch.estimates.estimate import Estimate
from formatlab.study.task import Task

LAUNCHER = 250 * 2**20
"""Bytes that the launcher itself holds: 204 MiB were measured."""
REPORT = 5 * 2**20
"""Bytes on disk of a study's report, figures and tables: 2 to 4 MiB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """What a study will take from now on."""

    seconds: float
    """Until the last task has ended; those whose time is unknown count as none."""
    work: float
    """Of all tasks in a row."""
    memory: int
    """Most bytes that may be held at a time: by as many of the largest tasks as go side by side."""
    results: int
    """Bytes that will be on disk more than now when all is done, without the report."""
    checkpoints: int
    """Bytes that will be on disk beside these while tasks are under way."""
    side_by_side: int
    """Most tasks at a time."""

    @property
    def disk(self) -> int:
        """Bytes on disk, with the report."""
        return self.results + self.checkpoints + REPORT if self.side_by_side else 0


def outlook(
    tasks: Sequence[Task], estimates: Sequence[Estimate], devices: Devices, cores: int
) -> Outlook:
    """Go through the tasks as a launcher would.

    Args:
        tasks: each after what it needs (see `graph`), without those that are done.
        estimates: of each.
        devices: which nobody is on.
        cores: of this machine; more tasks than cores gain nothing over as many.
    """
    left = {task.address: of for task, of in zip(tasks, estimates, strict=True)}
    running: list[tuple[float, str]] = []
    now, most = 0.0, 0
    to_begin = list(tasks)
    while left:
        for task in list(to_begin):
            if any(need.address in left for need in task.needs):
                continue
            of = left[task.address]
            if devices.take(task.address, of.gpu_memory) is None:
                continue
            heapq.heappush(running, (now + (of.seconds or 0.0), task.address))
            to_begin.remove(task)
        most = max(most, len(running))
        now, address = heapq.heappop(running)
        devices.give_back(address)
        del left[address]
    work = sum(of.seconds or 0.0 for of in estimates)
    scratch = sorted((of.scratch for of in estimates), reverse=True)[:most]
    return Outlook(
        seconds=max(now, work / cores),
        work=work,
        memory=memory_of(estimates, most),
        results=sum(of.disk or 0 for of in estimates),
        checkpoints=sum(scratch),
        side_by_side=most,
    )


def memory_of(estimates: Sequence[Estimate], jobs: int) -> int:
    """Bytes that so many tasks hold at most, whichever they are; unknown ones count as none."""
    largest = sorted((of.memory or 0 for of in estimates), reverse=True)[:jobs]
    return LAUNCHER + sum(largest)


def jobs_that_fit(estimates: Sequence[Estimate], memory: int) -> int:
    """How many tasks go side by side in so many bytes; 0 if not one does."""
    jobs = 0
    while jobs < len(estimates) and memory_of(estimates, jobs + 1) <= memory:
        jobs += 1
    return jobs
