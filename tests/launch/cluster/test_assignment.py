"""An assignment of a task whose folder somebody on another machine seems to hold."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from plain_task import Node

from formatlab.launch.cluster.assignment import Assignment, Busy
from formatlab.launch.cluster.place import SharedFolder
from formatlab.launch.lock import Owner
from formatlab.launch.progress import Progress, Remark
from formatlab.launch.schedule import Outcome
from formatlab.launch.task import Emit, Task

ELSEWHERE = Owner(host="far", boot="another", pid=1, process=1, beat=7, token="t")


@dataclass(frozen=True, slots=True)
class HeldElsewhere(SharedFolder):
    def __reduce__(self):
        return HeldElsewhere, (self.path,)

    def owner(self, task: Task) -> Owner | None:
        return ELSEWHERE

    def attempt(self, task: Task, *, experiment: Path, threads: int, emit: Emit) -> Outcome:
        return Outcome("done")


@pytest.mark.parametrize(
    ("silent", "came_of_it"),
    [
        (None, Busy("process 1 on far")),
        (replace(ELSEWHERE, beat=6), Busy("process 1 on far")),
        (ELSEWHERE, Outcome("done")),
    ],
)
def test_an_owner_who_was_seen_silent_is_no_obstacle(
    tmp_path: Path, silent: Owner | None, came_of_it: Outcome | Busy
):
    experiment = tmp_path / "it.py"
    experiment.write_text("")
    assignment = Assignment.of(
        Node("run"), HeldElsewhere(tmp_path), experiment=experiment, threads=1, silent=silent
    )
    assert assignment.do(lambda _: None) == came_of_it


@dataclass(frozen=True, slots=True)
class Telling(SharedFolder):
    """Where a task tells much in little time."""

    def __reduce__(self):
        return Telling, (self.path,)

    def attempt(self, task: Task, *, experiment: Path, threads: int, emit: Emit) -> Outcome:
        for step in range(1, 10):
            emit(Progress("run", step, 10, None, None))
            emit(Remark(f"at {step}"))
        return Outcome("done")


def test_remarks_are_passed_on_however_many(tmp_path: Path):
    experiment = tmp_path / "it.py"
    experiment.write_text("")
    told: list[Progress | Remark] = []
    place = Telling(tmp_path)
    Assignment.of(Node("run"), place, experiment=experiment, threads=1).do(told.append)
    assert [event.text for event in told if isinstance(event, Remark)] == [
        f"at {step}" for step in range(1, 10)
    ]
