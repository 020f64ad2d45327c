"""A network that is away for a moment fails nothing, one that stays away is told."""

import itertools
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from counting_tasks import Base, Killed, Run, there, work
from fsspec.implementations.memory import MemoryFileSystem

from formatlab.errors import InputError
from formatlab.launch.remote_runs import RemoteRuns
from formatlab.store.remote import address
from formatlab.store.remote.address import patiently
from formatlab.store.remote.folder import RemoteFolder
from formatlab.train.progress import Progress, Remark


@pytest.fixture
def runs(tmp_path: Path) -> RemoteRuns:
    return RemoteRuns.at(f"memory://{uuid4()}/runs", tmp_path / "scratch")


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
        *[(method, False) for method in ("info", "find", "cat_file", "get")],
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


def test_errors_for_people_are_not_tried_again():
    def refused() -> None:
        raise InputError("no such kind of address")

    def waiting(error: BaseException | None) -> None:
        raise AssertionError(f"waits because of {error}")

    with pytest.raises(InputError, match="no such kind"):
        patiently(waiting)(refused)


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
def test_the_end_of_the_process_is_not_waited_for(end: type[BaseException]):
    waits: list[BaseException | None] = []

    def ended() -> None:
        raise end

    with pytest.raises(end):
        patiently(waits.append)(ended)
    assert not waits


def test_the_time_of_the_calls_is_not_counted_as_waiting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(address, "RETRY_EVERY", 0.01)
    monkeypatch.setattr(address, "RETRY_FOR", 0.02)
    calls = 0

    def sent() -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            time.sleep(0.05)
            raise ConnectionError("the network is away")
        return "sent"

    assert patiently(lambda _: None)(sent) == "sent"
