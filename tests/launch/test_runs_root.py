"""Runs at an address: fetched, done in a scratch folder, and sent when there is a network."""

import itertools
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from counting_tasks import ENV, Base, Killed, Run, there, work
from fsspec.implementations.memory import MemoryFileSystem

from formatlab.errors import RunError
from formatlab.launch.runs_root import RemoteRuns, SharedFolder, runs_root
from formatlab.store.lock import Owner
from formatlab.store.remote import address
from formatlab.store.remote.folder import RemoteFolder
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
    assert reason.startswith("ValueError: no such thing (test_runs_root.py, line ")
    assert "in fails" in traceback


def test_a_failure_is_told_where_its_folder_cannot_be_sent(
    runs: RemoteRuns, monkeypatch: pytest.MonkeyPatch
):
    def fails(self: Base, runs_dir: Path, emit: Emit) -> None:
        raise RunError("no space left to write")

    def never(*_: Any) -> None:
        raise ConnectionError("the network is away")

    monkeypatch.setattr(Base, "execute", fails)
    monkeypatch.setattr(RemoteFolder, "put", never)
    monkeypatch.setattr(address, "RETRY_FOR", 0.0)
    assert work(runs, Base()).error == "no space left to write"


def test_what_killed_processes_left_in_the_scratch_folder_is_removed(
    runs: RemoteRuns, tmp_path: Path
):
    (tmp_path / "scratch" / "work-0123" / "study").mkdir(parents=True)
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
    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("the network is away")

    monkeypatch.setattr(MemoryFileSystem, "find", away)
    with runs.view() as view, pytest.raises(RunError, match="the network is away"):
        runs.bring(view, Run())


class Network:
    """Is away at one call of a method of the storage: before it does anything, or after that."""

    def __init__(self, patch: pytest.MonkeyPatch, method: str, call: int, *, answer_lost: bool):
        self.method, self.call, self.answer_lost = method, call, answer_lost
        self.calls = 0
        self.function = getattr(MemoryFileSystem, method)
        patch.setattr(MemoryFileSystem, method, lambda *words, **named: self.do(*words, **named))

    def do(self, *words: Any, **named: Any) -> Any:
        away, beat = self.calls == self.call, self.method == "pipe_file" and "mode" not in named
        if beat:  # which nobody waits for
            return self.function(*words, **named)
        self.calls += 1
        if away and not self.answer_lost:
            raise ConnectionError("the network is away")
        did = self.function(*words, **named)
        if away:
            raise ConnectionError("the network is away")
        return did


@pytest.mark.parametrize(
    ("method", "answer_lost"),
    [
        *[(method, False) for method in ("find", "cat_file", "get")],
        *[(method, lost) for method in ("pipe_file", "put_file", "rm_file") for lost in (0, 1)],
    ],
)
def test_a_network_that_is_away_for_a_moment_fails_nothing(
    method: str,
    answer_lost: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(address, "RETRY_EVERY", 0.0)
    waited = False
    for call in itertools.count():
        runs = RemoteRuns.at(f"memory://{uuid4()}/runs", tmp_path / "scratch")
        work(runs, Base())
        with pytest.raises(Killed):
            work(runs, Run(dies=True))
        said: list[Progress | Remark] = []
        with monkeypatch.context() as patch:
            network = Network(patch, method, call, answer_lost=answer_lost)
            assert work(runs, Run(), said.append).error is None
        files = there(runs)
        assert files["study/run/metrics.jsonl"].count(b"\n") == 4
        assert files["study/run/resumes.jsonl"] == b'{"step": 2, "lost": 0}\n'
        assert not any("lock" in name or "checkpoints" in name for name in files)
        assert runs.is_done(Run())
        waiting = f"waiting for {runs.address} (ConnectionError: the network is away)"
        waited |= waiting in [event.note for event in said if isinstance(event, Progress)]
        if network.calls <= call:
            break
    assert waited


def test_a_folder_is_put_aside_in_one_place_where_the_network_is_away(
    runs: RemoteRuns, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(address, "RETRY_EVERY", 0.0)
    work(runs, Base())
    work(runs, Run())
    fs, root = MemoryFileSystem(), runs.address.removeprefix("memory://")
    fs.rm_file(f"{root}/study/run/policy/weights")
    left = {name.removeprefix("study/run/") for name in there(runs) if name.startswith("study")}
    remove, away = RemoteFolder._remove, iter([False, True])

    def sometimes(folder: RemoteFolder, name: str) -> None:
        if next(away, False):
            raise ConnectionError("the network is away")
        remove(folder, name)

    monkeypatch.setattr(RemoteFolder, "_remove", sometimes)
    assert work(runs, Run()).error is None
    aside = {name.removeprefix(".aside/") for name in there(runs) if name.startswith(".aside")}
    assert aside == {f"study/run-1/{name}" for name in left}


def test_a_network_that_comes_back_loses_nothing(runs: RemoteRuns, monkeypatch: pytest.MonkeyPatch):
    put, away = RemoteFolder.put, iter([True, True, False])

    def sometimes(*arguments: Any) -> None:
        if next(away, False):
            raise ConnectionError("the network is away")
        put(*arguments)

    monkeypatch.setattr(RemoteFolder, "put", sometimes)
    monkeypatch.setattr(address, "RETRY_EVERY", 0.01)
    assert work(runs, Base()).error is None
    assert "bases/base/DONE" in there(runs)


def test_a_checkpoint_that_cannot_be_sent_is_told_and_sent_later(
    runs: RemoteRuns, monkeypatch: pytest.MonkeyPatch
):
    work(runs, Base())
    send, away = RemoteFolder.send, iter([True])

    def sometimes(folder: RemoteFolder, local: Path) -> None:
        if next(away, False):
            raise ConnectionError("the network is away")
        send(folder, local)

    monkeypatch.setattr(RemoteFolder, "send", sometimes)
    said: list[Progress | Remark] = []
    assert work(runs, Run(), said.append).error is None
    told = "run: its checkpoint could not be sent yet: ConnectionError: the network is away"
    assert [event.text for event in said if isinstance(event, Remark)] == [told]
    assert "study/run/policy/weights" in there(runs)


def test_a_network_that_stays_away_is_told(runs: RemoteRuns, monkeypatch: pytest.MonkeyPatch):
    def never(*_: Any) -> None:
        raise ConnectionError("the network is away")

    monkeypatch.setattr(RemoteFolder, "put", never)
    monkeypatch.setattr(address, "RETRY_EVERY", 0.01)
    monkeypatch.setattr(address, "RETRY_FOR", 0.05)
    error = work(runs, Base()).error or ""
    assert error.startswith(f"cannot work at {runs.address}")
    assert "the network is away" in error


def test_places_are_told_apart_and_can_be_sent(tmp_path: Path):
    import pickle

    assert runs_root(str(tmp_path), None) == SharedFolder(tmp_path)
    relative = pickle.loads(pickle.dumps(runs_root("runs", None)))
    assert relative == SharedFolder(Path("runs").absolute())
    remote = runs_root(tmp_path.as_uri(), Path("scratch"))
    assert remote == RemoteRuns(tmp_path.as_uri(), Path("scratch").absolute())
    assert pickle.loads(pickle.dumps(remote)) == remote
