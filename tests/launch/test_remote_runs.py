"""Runs at an address: fetched, done in a scratch folder, and sent."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from counting_tasks import ENV, Base, Killed, Run, there, work
from fsspec.implementations.memory import MemoryFileSystem

from formatlab.errors import RunError
from formatlab.launch.remote_runs import RemoteRuns
from formatlab.launch.runs_root import SharedFolder, runs_root
from formatlab.store.lock import Owner
from formatlab.store.run_folder import RunFolder
from formatlab.train.progress import Emit, Progress, Remark


@pytest.fixture
def runs(tmp_path: Path) -> RemoteRuns:
    return RemoteRuns.at(f"memory://{uuid4()}/runs", tmp_path / "scratch")


def test_what_a_task_starts_from_is_fetched_and_what_it_makes_is_sent(
    runs: RemoteRuns, tmp_path: Path
):
    assert not runs.is_done(Base())
    for task in (Base(), Run()):
        assert work(runs, task).error is None
        assert runs.is_done(task)
    files = there(runs)
    assert files["bases/base/model/weights"] == b"weights 1"
    assert files["study/run/policy/weights"] == b"policy"
    assert files["study/run/metrics.jsonl"].count(b"\n") == 4
    assert not any("lock" in name or "checkpoints" in name for name in files)
    assert sorted(path.name for path in (tmp_path / "scratch").iterdir()) == ["corpora", "models"]


def test_a_run_goes_on_from_what_was_sent_in_another_scratch_folder(
    runs: RemoteRuns, tmp_path: Path
):
    work(runs, Base())
    with pytest.raises(Killed):
        work(runs, Run(dies=True))
    assert "study/run/DONE" not in there(runs)
    elsewhere = RemoteRuns.at(runs.address, tmp_path / "elsewhere")
    assert work(elsewhere, Run()).error is None
    files = there(runs)
    assert files["study/run/metrics.jsonl"].count(b"\n") == 4
    assert files["study/run/resumes.jsonl"] == b'{"step": 2, "lost": 0}\n'
    assert "study/run/checkpoints/step-2" not in files


def test_what_is_done_is_not_done_again(runs: RemoteRuns, monkeypatch: pytest.MonkeyPatch):
    work(runs, Base())

    def never(*_: Any) -> None:
        raise AssertionError("done again")

    monkeypatch.setattr(Base, "execute", never)
    assert work(runs, Base()).error is None


def test_a_run_of_another_base_is_put_aside_and_made_again(runs: RemoteRuns):
    work(runs, Base())
    work(runs, Run())
    fs = MemoryFileSystem()
    root = runs.address.removeprefix("memory://")
    fs.rm(f"{root}/bases", recursive=True)
    work(runs, Base(version=2))
    assert not runs.is_done(Run())
    assert work(runs, Run()).error is None
    assert runs.is_done(Run())
    files = there(runs)
    assert b'"base": 2' in files["study/run/config.json"]
    assert b'"base": 1' in files[".aside/study/run-1/config.json"]
    assert files[".aside/study/run-1/policy/weights"] == b"policy"


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"pol", "policy/weights has 3 bytes, and 6 were sent"), (None, "policy/weights is missing")],
)
def test_a_finished_folder_that_is_damaged_is_put_aside_and_made_again(
    runs: RemoteRuns, content: bytes | None, told: str
):
    work(runs, Base())
    work(runs, Run())
    fs, root = MemoryFileSystem(), runs.address.removeprefix("memory://")
    fs.rm_file(f"{root}/study/run/policy/weights")
    if content is not None:
        fs.pipe_file(f"{root}/study/run/policy/weights", content)
    assert not runs.is_done(Run())
    said: list[Progress | Remark] = []
    assert work(runs, Run(), said.append).error is None
    place = f"{runs.address}/.aside/study/run-1"
    assert said[0] == Remark(f"{Run().label}: {told}; made again, the old folder is {place}")
    assert runs.is_done(Run())
    files = there(runs)
    assert files["study/run/policy/weights"] == b"policy"
    assert files[".aside/study/run-1/metrics.jsonl"].count(b"\n") == 4
    assert files.get(".aside/study/run-1/policy/weights") == content


def test_a_begun_folder_that_lacks_what_was_sent_is_put_aside_and_begun_anew(runs: RemoteRuns):
    work(runs, Base())
    with pytest.raises(Killed):
        work(runs, Run(dies=True))
    MemoryFileSystem().rm_file(
        f"{runs.address.removeprefix('memory://')}/study/run/checkpoints/step-2"
    )
    said: list[Progress | Remark] = []
    assert work(runs, Run(), said.append).error is None
    assert isinstance(said[0], Remark)
    assert "checkpoints/step-2 is missing; made again" in said[0].text
    files = there(runs)
    assert files["study/run/metrics.jsonl"].count(b"\n") == 4
    assert "study/run/resumes.jsonl" not in files
    assert files[".aside/study/run-1/metrics.jsonl"].count(b"\n") == 3


def test_a_lock_at_the_address_is_seen_and_let_go(
    runs: RemoteRuns, monkeypatch: pytest.MonkeyPatch
):
    seen: list[Owner | None] = []

    def look(self: Base, runs_dir: Path, emit: Emit) -> None:
        seen.append(runs.owner(self))
        folder = RunFolder.create(runs_dir / self.address, config={}, env=ENV)
        folder.mark_done({})

    monkeypatch.setattr(Base, "execute", look)
    assert runs.owner(Base()) is None
    work(runs, Base())
    assert seen[0] is not None
    assert runs.owner(Base()) is None


def test_what_fails_is_kept_with_its_reason(runs: RemoteRuns, monkeypatch: pytest.MonkeyPatch):
    def fails(self: Base, runs_dir: Path, emit: Emit) -> None:
        RunFolder.create(runs_dir / self.address, config={}, env=ENV)
        raise ValueError("no such thing")

    monkeypatch.setattr(Base, "execute", fails)
    assert "no such thing" in (work(runs, Base()).error or "")
    reason, _, traceback = there(runs)["bases/base/FAILED"].decode().partition("\n\n")
    assert reason.startswith("ValueError: no such thing (test_runs.py, line ")
    assert "in fails" in traceback


def test_what_killed_processes_left_in_the_scratch_folder_is_removed(
    runs: RemoteRuns, tmp_path: Path
):
    (tmp_path / "scratch" / "desk-0123" / "study").mkdir(parents=True)
    work(runs, Base())
    assert sorted(path.name for path in (tmp_path / "scratch").iterdir()) == ["corpora", "models"]


def test_a_report_is_made_of_what_is_brought_and_published(runs: RemoteRuns):
    work(runs, Base())
    work(runs, Run())
    with runs.view() as view:
        assert runs.bring(view, Run())
        assert RunFolder.open(view / "study/run").done
        assert not (view / "study/run/policy").exists()
        (view / "study/tables").mkdir()
        (view / "study/tables/one.csv").write_text("a,b\n")
        before = set(there(runs))
        runs.publish(view, "study")
    assert set(there(runs)) - before == {"study/tables/one.csv"}


def test_a_report_is_made_without_what_is_damaged(runs: RemoteRuns):
    work(runs, Base())
    work(runs, Run())
    MemoryFileSystem().rm_file(f"{runs.address.removeprefix('memory://')}/study/run/metrics.jsonl")
    with runs.view() as view:
        assert not runs.bring(view, Run())


def test_a_report_of_what_cannot_be_reached_is_told(
    runs: RemoteRuns, monkeypatch: pytest.MonkeyPatch
):
    def away(*_: Any) -> None:
        raise ConnectionError("the network is away")

    monkeypatch.setattr(MemoryFileSystem, "info", away)
    with runs.view() as view, pytest.raises(RunError, match="the network is away"):
        runs.bring(view, Run())


def test_places_are_told_apart_and_can_be_sent(tmp_path: Path):
    import pickle

    assert runs_root(str(tmp_path), None) == SharedFolder(tmp_path)
    relative = pickle.loads(pickle.dumps(runs_root("runs", None)))
    assert relative == SharedFolder(Path("runs").absolute())
    remote = runs_root(tmp_path.as_uri(), Path("scratch"))
    assert remote == RemoteRuns(tmp_path.as_uri(), Path("scratch").absolute())
    assert pickle.loads(pickle.dumps(remote)) == remote
