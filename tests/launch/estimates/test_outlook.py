from dataclasses import dataclass
from pathlib import Path

import pytest
from plain_task import facts_of

from formatlab.launch.devices import CONTEXT, Devices, Gpu
from formatlab.launch.estimates.estimate import DONE, UNKNOWN, Estimate
from formatlab.launch.estimates.outlook import LAUNCHER, REPORT, jobs_that_fit, memory_of, outlook
from formatlab.study.task import Task, TaskFacts
from formatlab.train.progress import Emit

MB = 2**20


@dataclass(frozen=True)
class Planned(Task):
    """A task of a graph, and nothing more."""

    address: str = ""  # pyright: ignore[reportIncompatibleMethodOverride]
    needs: tuple[Task, ...] = ()  # pyright: ignore[reportIncompatibleMethodOverride]

    @property
    def facts(self) -> TaskFacts:
        return facts_of(self.address)

    @property
    def steps(self) -> int:
        return 1

    def execute(self, runs: Path, emit: Emit) -> None:
        raise AssertionError("only planned")


def takes(seconds: float | None, *, memory: int = 0, gpu: int | None = 0, **more: int) -> Estimate:
    return Estimate(
        source="calibration",
        seconds=seconds,
        memory=memory * MB,
        gpu_memory=gpu,
        disk=more.get("disk", 0),
        scratch=more.get("scratch", 0),
    )


def test_tasks_follow_what_they_need_and_go_side_by_side():
    base, other = Planned("base"), Planned("other base")
    runs = [Planned("run", (base,)), Planned("long run", (base,)), Planned("late", (other,))]
    times = [takes(10), takes(50), takes(5), takes(20), takes(5)]
    # base 0-10, run 10-15, long run 15-35, beside other base 0-50, and then late
    ahead = outlook([base, other, *runs], times, Devices([], cores=2), 2)
    assert (ahead.seconds, ahead.work, ahead.side_by_side) == (55, 90, 2)
    assert outlook([base, other, *runs], times, Devices([], cores=1), 1).seconds == 90


def test_more_tasks_than_cores_gain_nothing():
    tasks = [Planned(name) for name in "abcd"]
    ahead = outlook(tasks, [takes(10)] * 4, Devices([], cores=2, jobs=4), 2)
    assert (ahead.seconds, ahead.side_by_side) == (20, 4)


def test_a_need_that_is_done_is_not_waited_for():
    ahead = outlook([Planned("run", (Planned("base"),))], [takes(7)], Devices([], cores=4), 4)
    assert ahead.seconds == 7


def test_the_largest_tasks_and_their_checkpoints_are_counted_together():
    tasks = [Planned(name) for name in "abc"]
    sizes = [
        takes(1, memory=100, disk=10, scratch=1),
        takes(1, memory=300, disk=10, scratch=5),
        takes(1, memory=200, disk=10, scratch=3),
    ]
    ahead = outlook(tasks, sizes, Devices([], cores=2), 2)
    assert ahead.memory == LAUNCHER + 500 * MB
    assert (ahead.results, ahead.checkpoints) == (30, 8)
    assert ahead.disk == 30 + 8 + REPORT


def test_the_memory_of_a_gpu_limits_who_goes_side_by_side():
    gpus = [Gpu(name="0", total=10 * CONTEXT, free=10 * CONTEXT)]
    tasks = [Planned(name) for name in "abcd"]
    ahead = outlook(tasks, [takes(10, gpu=3 * CONTEXT)] * 4, Devices(gpus, cores=8), 8)
    assert (ahead.seconds, ahead.side_by_side) == (20, 2)


def test_what_is_unknown_counts_as_none():
    ahead = outlook([Planned("a"), Planned("b")], [UNKNOWN, takes(3)], Devices([], cores=1), 1)
    assert (ahead.seconds, ahead.work, ahead.results) == (3, 3, 0)


def test_nothing_to_do_takes_nothing():
    ahead = outlook([], [], Devices([], cores=1), 1)
    assert (ahead.seconds, ahead.side_by_side, ahead.disk) == (0, 0, 0)
    assert DONE.seconds == 0


@pytest.mark.parametrize(("memory", "jobs"), [(1000, 3), (599, 2), (299, 0)])
def test_the_number_of_jobs_that_fit_is_told(memory: int, jobs: int):
    sizes = [takes(1, memory=100), takes(1, memory=300), takes(1, memory=200)]
    assert jobs_that_fit(sizes, LAUNCHER + memory * MB) == jobs
    assert memory_of(sizes, jobs) <= LAUNCHER + memory * MB
