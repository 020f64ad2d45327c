"""Runs at an address: fetched, done in a scratch folder, and sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from formatlab.launch.cluster import remote_runs
from formatlab.launch.cluster.place import SharedFolder, place_of
from formatlab.launch.cluster.remote_runs import RemoteRuns
from formatlab.launch.lock import Owner
from formatlab.launch.schedule import Outcome
from formatlab.launch.task import Emit, Task
from formatlab.store.run_folder import RunFolder

EXPERIMENT = '''"""None."""
from formatlab.launch.study import ModelStudy
PRESETS = {"none": ModelStudy(name="none", model="m", problems="p")}
'''
ENV = {"schema_version": 1}


class Killed(BaseException):
    """The end of a process."""


@dataclass(frozen=True)
class Base(Task):
    """Makes a model."""

    version: int = 1

    @property
    def address(self) -> str:
        return "bases/base"

    @property
    def needs(self) -> tuple[Task, ...]:
        return ()

    @property
    def label(self) -> str:
        return "base"

    @property
    def facts(self) -> Mapping[str, str]:
        return {"kind": "base"}

    @property
    def steps(self) -> None:
        return None

    def execute(self, runs: Path, emit: Emit) -> None:
        folder = RunFolder.create(runs / self.address, config={"kind": "base"}, env=ENV)
        (folder.path / "model").mkdir()
        (folder.path / "model" / "weights").write_text(f"weights {self.version}")
        folder.mark_done({"version": self.version})


@dataclass(frozen=True)
class Run(Task):
    """Counts to four, with a checkpoint at two."""

    dies: bool = False

    @property
    def address(self) -> str:
        return "study/run"

    @property
    def needs(self) -> tuple[Task, ...]:
        return (Base(),)

    @property
    def label(self) -> str:
        return "run"

    @property
    def facts(self) -> Mapping[str, str]:
        return {"kind": "run"}

    @property
    def steps(self) -> int:
        return 4

    def outdated(self, runs: Path) -> str | None:
        used = RunFolder.open(runs / self.address).config["base"]
        now = (RunFolder.open(runs / "bases/base").summary or {})["version"]
        return None if used == now else "the base is another"

    def execute(self, runs: Path, emit: Emit) -> None:
        base = (RunFolder.open(runs / "bases/base").summary or {})["version"]
        weights = (runs / "bases/base/model/weights").read_text()
        env = {**ENV, "base": weights}
        folder = RunFolder.create(runs / self.address, config={"base": base}, env=env)
        checkpoint = folder.checkpoints / "step-2"
        first = 2 if checkpoint.exists() else 0
        if first:
            folder.drop_metrics_from(first)
            folder.note_resumed(step=first, lost=0)
        for step in range(first, 4):
            folder.append_metrics({"step": step})
            if step == 2 and self.dies:
                raise Killed
            if step == 1:
                checkpoint.write_text("two")
        (folder.path / "policy").mkdir()
        (folder.path / "policy" / "weights").write_text("policy")
        folder.mark_done({})
        folder.remove_checkpoints()


@pytest.fixture
def runs(tmp_path: Path) -> RemoteRuns:
    return RemoteRuns.at(f"memory://{uuid4()}/runs", tmp_path / "scratch")


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    path = tmp_path / "experiment.py"
    path.write_text(EXPERIMENT)
    return path


def attempt(runs: RemoteRuns, task: Task, experiment: Path) -> Outcome:
    return runs.attempt(task, experiment=experiment, threads=1, emit=lambda _: None)


def there(runs: RemoteRuns) -> dict[str, bytes]:
    """Every file at the address."""
    root = runs.address.removeprefix("memory://") + "/"
    fs = MemoryFileSystem()
    return {name.removeprefix(root): fs.cat_file(name) for name in fs.find(root)}


def test_what_a_task_starts_from_is_fetched_and_what_it_makes_is_sent(
    runs: RemoteRuns, experiment: Path, tmp_path: Path
):
    assert not runs.is_done(Base())
    for task in (Base(), Run()):
        assert attempt(runs, task, experiment).error is None
        assert runs.is_done(task)
    files = there(runs)
    assert files["bases/base/model/weights"] == b"weights 1"
    assert files["study/run/policy/weights"] == b"policy"
    assert files["study/run/metrics.jsonl"].count(b"\n") == 4
    assert not any("lock" in name or "checkpoints" in name for name in files)
    assert sorted(path.name for path in (tmp_path / "scratch").iterdir()) == ["corpora", "models"]


def test_a_run_goes_on_from_what_was_sent_in_another_scratch_folder(
    runs: RemoteRuns, experiment: Path, tmp_path: Path
):
    attempt(runs, Base(), experiment)
    with pytest.raises(Killed):
        attempt(runs, Run(dies=True), experiment)
    assert "study/run/DONE" not in there(runs)
    elsewhere = RemoteRuns.at(runs.address, tmp_path / "elsewhere")
    assert attempt(elsewhere, Run(), experiment).error is None
    files = there(runs)
    assert files["study/run/metrics.jsonl"].count(b"\n") == 4
    assert files["study/run/resumes.jsonl"] == b'{"step": 2, "lost": 0}\n'
    assert "study/run/checkpoints/step-2" not in files


def test_what_is_done_is_not_done_again(
    runs: RemoteRuns, experiment: Path, monkeypatch: pytest.MonkeyPatch
):
    attempt(runs, Base(), experiment)

    def never(*_: Any) -> None:
        raise AssertionError("done again")

    monkeypatch.setattr(Base, "execute", never)
    assert attempt(runs, Base(), experiment).error is None


def test_a_run_of_another_base_is_put_aside_and_made_again(runs: RemoteRuns, experiment: Path):
    attempt(runs, Base(), experiment)
    attempt(runs, Run(), experiment)
    fs = MemoryFileSystem()
    root = runs.address.removeprefix("memory://")
    fs.rm(f"{root}/bases", recursive=True)
    attempt(runs, Base(version=2), experiment)
    assert not runs.is_done(Run())
    assert attempt(runs, Run(), experiment).error is None
    assert runs.is_done(Run())
    files = there(runs)
    assert b'"base": 2' in files["study/run/config.json"]
    assert b'"base": 1' in files[".aside/study/run-1/config.json"]
    assert files[".aside/study/run-1/policy/weights"] == b"policy"


def test_a_lock_at_the_address_is_seen_and_let_go(
    runs: RemoteRuns, experiment: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[Owner | None] = []

    def look(self: Base, runs_dir: Path, emit: Emit) -> None:
        seen.append(runs.owner(self))
        folder = RunFolder.create(runs_dir / self.address, config={}, env=ENV)
        folder.mark_done({})

    monkeypatch.setattr(Base, "execute", look)
    assert runs.owner(Base()) is None
    attempt(runs, Base(), experiment)
    assert seen[0] is not None
    assert runs.owner(Base()) is None


def test_what_fails_is_kept_with_its_reason(
    runs: RemoteRuns, experiment: Path, monkeypatch: pytest.MonkeyPatch
):
    def fails(self: Base, runs_dir: Path, emit: Emit) -> None:
        RunFolder.create(runs_dir / self.address, config={}, env=ENV)
        raise ValueError("no such thing")

    monkeypatch.setattr(Base, "execute", fails)
    assert "no such thing" in (attempt(runs, Base(), experiment).error or "")
    reason, _, traceback = there(runs)["bases/base/FAILED"].decode().partition("\n\n")
    assert reason.startswith("ValueError: no such thing (test_remote_runs.py, line ")
    assert "in fails" in traceback


def test_a_network_that_comes_back_loses_nothing(
    runs: RemoteRuns, experiment: Path, monkeypatch: pytest.MonkeyPatch
):
    put, away = remote_runs.RemoteFolder.put, iter([True, True, False])

    def sometimes(*arguments: Any) -> None:
        if next(away, False):
            raise ConnectionError("the network is away")
        put(*arguments)

    monkeypatch.setattr(remote_runs.RemoteFolder, "put", sometimes)
    monkeypatch.setattr(remote_runs, "SEND_EVERY", 0.01)
    assert attempt(runs, Base(), experiment).error is None
    assert "bases/base/DONE" in there(runs)


def test_a_network_that_stays_away_is_told(
    runs: RemoteRuns, experiment: Path, monkeypatch: pytest.MonkeyPatch
):
    def never(*_: Any) -> None:
        raise ConnectionError("the network is away")

    monkeypatch.setattr(remote_runs.RemoteFolder, "put", never)
    monkeypatch.setattr(remote_runs, "SEND_EVERY", 0.01)
    monkeypatch.setattr(remote_runs, "SEND_FOR", 0.05)
    error = attempt(runs, Base(), experiment).error or ""
    assert error.startswith(f"cannot work at {runs.address}")
    assert "the network is away" in error


def test_what_killed_processes_left_in_the_scratch_folder_is_removed(
    runs: RemoteRuns, experiment: Path, tmp_path: Path
):
    (tmp_path / "scratch" / "desk-0123" / "study").mkdir(parents=True)
    attempt(runs, Base(), experiment)
    assert sorted(path.name for path in (tmp_path / "scratch").iterdir()) == ["corpora", "models"]


def test_a_report_is_made_of_what_is_brought_and_published(runs: RemoteRuns, experiment: Path):
    attempt(runs, Base(), experiment)
    attempt(runs, Run(), experiment)
    with runs.view() as view:
        runs.bring(view, [Run()])
        assert RunFolder.open(view / "study/run").done
        assert not (view / "study/run/policy").exists()
        (view / "study/tables").mkdir()
        (view / "study/tables/one.csv").write_text("a,b\n")
        before = set(there(runs))
        runs.publish(view, "study")
    assert set(there(runs)) - before == {"study/tables/one.csv"}


def test_places_are_told_apart_and_can_be_sent(tmp_path: Path):
    import pickle

    assert place_of(str(tmp_path), None) == SharedFolder(tmp_path)
    relative = pickle.loads(pickle.dumps(place_of("runs", None)))
    assert relative == SharedFolder(Path("runs").absolute())
    remote = place_of(tmp_path.as_uri(), Path("scratch"))
    assert remote == RemoteRuns(tmp_path.as_uri(), Path("scratch").absolute())
    assert pickle.loads(pickle.dumps(remote)) == remote
