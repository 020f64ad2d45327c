"""Workers of the local pool that end, with and without a word."""

import io
import os
import signal
import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from multiprocessing import active_children
from pathlib import Path

import pytest
from plain_task import Node
from rich.console import Console

from formatlab.errors import RunError
from formatlab.launch.devices import Devices
from formatlab.launch.monitor import run_tasks
from formatlab.launch.packed_task import Pack, PackedTask
from formatlab.launch.pool import LocalPool
from formatlab.launch.runs_root import SharedFolder
from formatlab.launch.schedule import Outcome
from formatlab.store.run_folder import RunFolder
from formatlab.train.progress import Emit

EXPERIMENT = '''"""None."""
from formatlab.study.study import ModelStudy
PRESETS = {"none": ModelStudy(name="none", model="m", problems="p")}
'''


@dataclass(frozen=True)
class Dying(Node):
    """A task whose worker is killed, at its very end or before it."""

    done: bool = True
    stale: bool = False

    def outdated(self, runs: Path) -> str | None:
        return "it is stale" if self.stale else None

    def execute(self, runs: Path, emit: Emit) -> None:
        run = RunFolder.create(runs / self.address, config={}, env={})
        if self.done:
            run.mark_done({})
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Failing(Node):
    """A task that cannot be done."""

    def execute(self, runs: Path, emit: Emit) -> None:
        RunFolder.create(runs / self.address, config={}, env={})
        raise RunError(f"{self.name} cannot be done")


@dataclass(frozen=True)
class Signing(Node):
    """A task that leaves the number of its process, and may fail then."""

    fails: bool = False

    def execute(self, runs: Path, emit: Emit) -> None:
        run = RunFolder.create(runs / self.address, config={}, env={})
        (run.path / "process").write_text(str(os.getpid()))
        if self.fails:
            raise RunError("it fails")
        run.mark_done({})


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    experiment = tmp_path / "experiment.py"
    experiment.write_text(EXPERIMENT)
    return partial(PackedTask.of, root=SharedFolder(tmp_path), experiment=experiment, threads=1)


@pytest.fixture
def outcome(tmp_path: Path, pack: Pack):
    def of(task: Node, *others: Node) -> Outcome:
        devices, console = Devices([], cores=1, jobs=1), Console(file=io.StringIO())
        with closing(LocalPool(pack, devices, {})) as pool:
            outcomes = run_tasks(pool, [task, *others], SharedFolder(tmp_path), console=console)
        return outcomes[task.address]

    return of


def test_a_worker_that_dies_when_all_is_done_has_done_it(outcome, tmp_path: Path):
    task = Dying("late")
    assert outcome(task).error is None
    assert not (tmp_path / task.address / "FAILED").exists()


def test_a_worker_that_dies_before_says_in_the_folder_how(outcome, tmp_path: Path):
    task = Dying("early", done=False)
    assert "was ended by SIGKILL" in (outcome(task).error or "")
    assert "was ended by SIGKILL" in (RunFolder(tmp_path / task.address).failed or "")


def test_a_worker_that_dies_beside_a_folder_of_no_use_has_done_nothing(outcome, tmp_path: Path):
    task = Dying("stale", stale=True)
    assert "was ended by SIGKILL" in (outcome(task).error or "")


def test_what_a_worker_told_holds_although_its_process_ends_later(outcome, tmp_path: Path):
    assert outcome(Failing("first"), Failing("second")).error == "first cannot be done"
    assert RunFolder(tmp_path / Failing("first").address).failed == "first cannot be done"


def test_a_worker_does_one_task_after_the_other_until_one_fails(outcome, tmp_path: Path):
    tasks = [Signing("1"), Signing("2", fails=True), Signing("3"), Signing("4")]
    outcome(*tasks)
    first, second, third, fourth = (
        (tmp_path / task.address / "process").read_text() for task in tasks
    )
    assert first == second != third == fourth
    assert not active_children()


def test_a_worker_that_dies_while_it_waits_is_replaced(pack: Pack, tmp_path: Path):
    with closing(LocalPool(pack, Devices([], cores=1, jobs=1), {})) as pool:
        for number in ("1", "2"):
            task = Signing(number)
            assert pool.has_room(task)
            pool.submit(task, None)
            told = []
            while not pool.has_room(task):
                told += pool.events()
            assert told == [(task.address, Outcome(task.label))]
            os.kill(int((tmp_path / task.address / "process").read_text()), signal.SIGKILL)
            while active_children():  # which joins it
                time.sleep(0.01)
        assert pool.events() == []
