"""Tasks that an executor does, loses, or finds locked by another launcher."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest
from plain_task import Node
from rich.console import Console

from formatlab.errors import InputError
from formatlab.launch.executor import Busy, Lost, QueueFull, TaskEvent
from formatlab.launch.monitor import run_tasks
from formatlab.launch.options import LaunchOptions, SlurmOptions
from formatlab.launch.packed_task import Pack, PackedTask
from formatlab.launch.runs_root import SharedFolder
from formatlab.launch.schedule import Outcome
from formatlab.store.lock import Owner, locked
from formatlab.store.run_folder import RunFolder
from formatlab.study.task import Task, graph
from formatlab.train.progress import Emit, Progress


@dataclass(frozen=True)
class Writing(Node):
    """A task that makes a folder at once."""

    def execute(self, runs: Path, emit: Emit) -> None:
        if self.name == "wrong":
            raise InputError("this cannot be done")
        emit(Progress(self.label, 1, 1, None, None))
        env = {"schema_version": 1}
        RunFolder.create(runs / self.address, config={"name": self.name}, env=env).mark_done({})


@dataclass
class Here:
    """An executor in this process, with what is to happen to the first submissions of a task."""

    happens: dict[str, list[TaskEvent]] = field(default_factory=dict)
    most_at_once: int = 100
    pack: Pack | None = None
    cancelled: bool = False
    submitted: list[str] = field(default_factory=list)
    most: int = 0
    _waiting: list[PackedTask] = field(default_factory=list)

    def has_room(self, task: Task) -> bool:
        return len(self._waiting) < self.most_at_once

    def submit(self, task: Task, silent: Owner | None) -> None:
        assert self.pack is not None
        self.submitted.append(task.label)
        self._waiting.append(self.pack(task, silent))
        self.most = max(self.most, len(self._waiting))

    def events(self) -> list[tuple[str, TaskEvent]]:
        if not self._waiting:
            return []
        remote = self._waiting.pop(0)
        if happens := self.happens.get(remote.label):
            return [(remote.address, happens.pop(0))]
        told: list[tuple[str, TaskEvent]] = []
        done = remote.do(lambda event: told.append((remote.address, event)))
        return [*told, (remote.address, done)]

    def cancel(self) -> None:
        self.cancelled = True


class Full(Here):
    """A queue that takes one task at a time, and refuses others."""

    room: int = 1

    def submit(self, task: Task, silent: Owner | None) -> None:
        if len(self._waiting) >= self.room:
            raise QueueFull("sbatch refused a job: QOSMaxSubmitJobPerUserLimit")
        super().submit(task, silent)


EXPERIMENT = '''"""None."""
from formatlab.study.study import ModelStudy
PRESETS = {"none": ModelStudy(name="none", model="m", problems="p")}
'''


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    path = tmp_path / "experiment.py"
    path.write_text(EXPERIMENT)
    return path


@pytest.fixture
def run(experiment: Path, tmp_path: Path) -> Callable[..., tuple[dict[str, Outcome], str]]:
    def running(cluster: Here, *tasks: Task, retries: int = 1) -> tuple[dict[str, Outcome], str]:
        console = Console(file=io.StringIO(), width=200)
        root = SharedFolder(tmp_path / "runs")
        cluster.pack = partial(PackedTask.of, root=root, experiment=experiment, threads=1)
        outcomes = run_tasks(cluster, graph(tasks), root, console=console, retries=retries)
        assert isinstance(console.file, io.StringIO)
        return outcomes, console.file.getvalue()

    return running


A, B = Writing("a"), Writing("b")
LOST = Lost("the machine was lost")


def test_tasks_are_submitted_when_what_they_need_is_done(run: Callable):
    cluster = Here()
    outcomes, _ = run(cluster, Writing("c", (A, B)))
    assert cluster.submitted == ["a", "b", "c"]
    assert all(outcome.error is None for outcome in outcomes.values())
    assert run(Here(), Writing("c", (A, B)))[1] == "3 of 3 done before\n"
    assert run(Here(), Writing("c", (A, B)), Writing("d"))[1].splitlines() == [
        "3 of 4 done before",
        "d: step 1/1",
        "d: done after 0:00 (4 of 4)",
    ]


def test_what_is_put_aside_is_told(run: Callable, tmp_path: Path):
    run(Here(), A, B)
    for task in (A, B):
        (tmp_path / "runs" / task.address / "DONE").write_text("{")
    _, said = run(Here(), A, B)
    for task in (A, B):
        aside = tmp_path / "runs" / ".aside" / task.address
        assert f"{task.name}: DONE is not JSON; made again, the old folder is {aside}-1\n" in said


def test_a_lost_task_is_submitted_again(run: Callable):
    cluster = Here({"a": [LOST]})
    outcomes, said = run(cluster, A)
    assert cluster.submitted == ["a", "a"]
    assert outcomes[A.address].error is None
    assert "a: the machine was lost; it goes on from its checkpoint (loss 1, 1 allowed)" in said


def test_a_queue_that_takes_no_more_is_asked_again(run: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("formatlab.launch.monitor._ASK_EVERY", 0.01)
    cluster = Full()
    outcomes, said = run(cluster, Writing("c", (A, B)))
    assert cluster.submitted == ["a", "b", "c"]
    assert [outcome.error for outcome in outcomes.values()] == [None] * 3
    assert said.count("MaxSubmitJobPerUserLimit; what is left is submitted when there is room") == 1
    assert not cluster.cancelled


def test_a_queue_that_takes_nothing_at_all_is_an_error(run: Callable):
    cluster = Full()
    cluster.room = 0
    with pytest.raises(QueueFull, match="sbatch refused"):
        run(cluster, A, B)


def test_a_task_that_is_lost_too_often_stops_what_needs_it(run: Callable):
    outcomes, _ = run(Here({"a": [LOST, LOST]}), Writing("c", (A,)), B)
    assert "the machine was lost; it was lost 2 times" in (outcomes[A.address].error or "")
    assert outcomes["study/c"].error == "not begun, because a failed"
    assert outcomes[B.address].error is None


def test_what_another_launcher_is_at_is_left_to_it(run: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("formatlab.launch.monitor.LOOK_EVERY", 0.0)
    cluster = Here({"a": [Busy("process 1 on elsewhere")]})
    outcomes, said = run(cluster, A)
    assert "a: waiting for process 1 on elsewhere" in said
    assert outcomes[A.address].error is None


def test_a_worker_does_not_begin_what_is_held(experiment: Path, tmp_path: Path):
    root = SharedFolder(tmp_path)
    remote = PackedTask.of(A, None, root=root, experiment=experiment, threads=1)
    with locked(tmp_path / A.address):
        assert isinstance(remote.do(lambda _: None), Busy)


def test_no_more_than_jobs_are_submitted_at_a_time(run: Callable):
    cluster = Here({"b": [LOST]}, most_at_once=2)
    run(cluster, A, B, Writing("c"), Writing("d"))
    assert cluster.most == 2
    assert len(cluster.submitted) == 5


def test_what_fails_has_its_reason_and_status(run: Callable):
    outcomes, said = run(Here(), Writing("wrong"), A)
    assert outcomes["study/wrong"] == Outcome("wrong", "this cannot be done", 2)
    assert "wrong: failed, this cannot be done" in said
    assert outcomes[A.address].error is None


def test_everything_is_cancelled_when_the_launcher_is_interrupted(
    run: Callable, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(_: object) -> list[tuple[str, TaskEvent]]:
        raise KeyboardInterrupt

    cluster = Here()
    monkeypatch.setattr(Here, "events", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(cluster, A)
    assert cluster.cancelled


def test_another_formatlab_refuses(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = SharedFolder(tmp_path)
    remote = PackedTask.of(A, None, root=root, experiment=experiment, threads=1)
    monkeypatch.setattr("formatlab.launch.packed_task.__version__", "0.0.1")
    outcome = remote.do(lambda _: None)
    assert isinstance(outcome, Outcome)
    assert "this is formatlab 0.0.1" in (outcome.error or "")


ADDRESS = "s3://bucket/runs"


@pytest.mark.parametrize(
    ("options", "runs_dir", "processes", "said"),
    [
        (LaunchOptions(retries=2), "runs", 1, "--retries has no effect with --launcher local"),
        (LaunchOptions(launcher="slurm", address="h:1"), "runs", 1, "--address has no effect"),
        (LaunchOptions(launcher="ray", scratch=Path("s")), "runs", 1, "--scratch has no effect"),
        (
            LaunchOptions(launcher="ray", slurm=SlurmOptions(partition="p")),
            "runs",
            1,
            "--slurm has no effect",
        ),
        (LaunchOptions(), ADDRESS, 1, "the local launcher works in a folder of this machine"),
        (LaunchOptions(launcher="ray"), "runs", 2, "use one of them"),
        (LaunchOptions(launcher="ray", gpus_per_run=1.5), "runs", 1, "--gpus-per-run 1.5"),
        (LaunchOptions(launcher="slurm", gpus_per_run=0.5), "runs", 1, "--gpus-per-run 0.5"),
        (LaunchOptions(launcher="ray", cpus_per_run=0), "runs", 1, "1 or more"),
        (LaunchOptions(launcher="ray", runs_per_gpu=2), "runs", 1, "--runs-per-gpu has no effect"),
        (LaunchOptions(runs_per_gpu=-1), "runs", 1, "--runs-per-gpu is -1"),
        (LaunchOptions(jobs=-1), "runs", 1, "--jobs is -1"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: LaunchOptions, runs_dir: str, processes: int, said: str
):
    with pytest.raises(InputError, match=said):
        replace(options, runs_dir=runs_dir).check_launcher(processes)


@pytest.mark.parametrize(
    ("options", "runs_dir"),
    [
        (LaunchOptions(), "runs"),
        (LaunchOptions(launcher="ray", gpus_per_run=0.2, scratch=Path("s")), ADDRESS),
        (LaunchOptions(launcher="slurm", gpus_per_run=2, retries=0), "runs"),
    ],
)
def test_options_that_go_together_are_accepted(options: LaunchOptions, runs_dir: str):
    replace(options, runs_dir=runs_dir).check_launcher(1)


def test_a_runs_folder_that_is_away_is_waited_for(run: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("formatlab.launch.monitor.LOOK_EVERY", 0.0)
    away = iter([True, True])

    def owner(_: SharedFolder, task: Task) -> None:
        if next(away, False):
            raise OSError("the network is down")

    monkeypatch.setattr(SharedFolder, "owner", owner)
    outcomes, said = run(Here(), A)
    assert said.count("a: waiting for the runs folder (the network is down)") == 1
    assert outcomes[A.address].error is None


def test_a_folder_that_may_not_be_read_is_told_and_not_waited_for(
    run: Callable, monkeypatch: pytest.MonkeyPatch
):
    def refused(self: SharedFolder, task: Task) -> Owner | None:
        raise PermissionError(13, "Permission denied", task.address)

    monkeypatch.setattr(SharedFolder, "owner", refused)
    outcomes, _ = run(Here(), A)
    assert "Permission denied" in (outcomes[A.address].error or "")


def test_a_lost_task_that_was_done_is_done(run: Callable):
    class LosesTheWord(Here):
        def events(self) -> list[tuple[str, TaskEvent]]:
            return [
                (address, LOST if isinstance(event, Outcome) else event)
                for address, event in super().events()
            ]

    outcomes, _ = run(LosesTheWord(), A, retries=0)
    assert outcomes[A.address].error is None
