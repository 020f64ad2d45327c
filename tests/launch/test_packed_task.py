"""A task in another process: refused, left to the holder of its lock, or done."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from added_format import EXPERIMENT
from plain_task import Node

from formatlab.launch.executor import Busy
from formatlab.launch.packed_task import PackedTask
from formatlab.launch.runs_root import SharedFolder
from formatlab.launch.schedule import Outcome
from formatlab.store.lock import Owner
from formatlab.study.experiment import load_experiment
from formatlab.study.task import Task, graph
from formatlab.train.progress import Emit
from formatlab.world.formats import FORMATS


@pytest.fixture
def experiment(tmp_path: Path) -> Iterator[Path]:
    """An experiment's file that adds a format, which this process does not know afterwards."""
    path = tmp_path / "shouting.py"
    path.write_text(EXPERIMENT)
    yield path
    forget()


def forget() -> None:
    """Be as a process that has not read the experiment's file."""
    FORMATS.pop("shout", None)
    sys.modules.pop("experiment_shouting", None)


ELSEWHERE = Owner(host="far", boot="another", pid=1, process=1, beat=7, token="t")


@dataclass(frozen=True, slots=True)
class HeldElsewhere(SharedFolder):
    def __reduce__(self):
        return HeldElsewhere, (self.path,)

    def owner(self, task: Task) -> Owner | None:
        return ELSEWHERE

    def work(self, task: Task, *, threads: int, emit: Emit) -> Outcome:
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
    experiment: Path, tmp_path: Path, silent: Owner | None, came_of_it: Outcome | Busy
):
    remote = PackedTask.of(
        Node("run"), silent, root=HeldElsewhere(tmp_path), experiment=experiment, threads=1
    )
    assert remote.do(lambda _: None) == came_of_it


@dataclass(frozen=True, slots=True)
class Somewhere(SharedFolder):
    """Where everything is done at once."""

    def __reduce__(self):
        return Somewhere, (self.path,)

    def work(self, task: Task, *, threads: int, emit: Emit) -> Outcome:
        return Outcome("done")


def test_a_machine_that_has_not_seen_the_added_format_knows_the_task(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for task in graph(load_experiment(experiment)[1]["tiny"].runs()):
        monkeypatch.setattr("formatlab.launch.packed_task._LOADED", [])
        root = Somewhere(tmp_path / "runs")
        remote = PackedTask.of(task, None, root=root, experiment=experiment, threads=1)
        forget()
        assert remote.do(lambda _: None) == Outcome("done")


def test_an_experiment_that_cannot_be_read_there_is_told(experiment: Path, tmp_path: Path):
    experiment.write_text("import what_is_only_on_the_launchers_machine\n")
    root = Somewhere(tmp_path / "runs")
    remote = PackedTask.of(Node("run"), None, root=root, experiment=experiment, threads=1)
    done = remote.do(lambda _: None)
    assert isinstance(done, Outcome)
    assert "line 1: ModuleNotFoundError" in (done.error or "")
