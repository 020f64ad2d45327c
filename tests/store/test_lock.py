"""The lock on a folder: who holds it, who may take it, and that it is never two."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from formatlab.errors import RunError
from formatlab.store import lock
from formatlab.store.lock import Owner, RecordFile, Watch, held, locked, locked_record

HOLDER = """
import sys
from pathlib import Path
from formatlab.store.lock import locked
def waiting(owner):
    print("waiting for", owner, flush=True)
with locked(Path(sys.argv[1]), wait=len(sys.argv) > 2, waiting=waiting):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that holds the folder until its input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "run")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_folder_that_another_process_writes_to_is_refused(tmp_path: Path, holder):
    with (
        pytest.raises(RunError, match=r"another process is writing to .*run"),
        locked(tmp_path / "run"),
    ):
        pass


def test_a_killed_process_holds_nothing(tmp_path: Path, holder):
    holder.kill()
    holder.communicate()
    with locked(tmp_path / "run"):
        pass


def test_who_waits_gets_the_folder_when_it_is_free(tmp_path: Path, holder):
    waiter = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "run"), "wait"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert waiter.stdout is not None
    assert waiter.stdout.readline().startswith(f"waiting for process {holder.pid} on ")
    holder.communicate("")
    assert waiter.stdout.readline() == "held\n"
    waiter.communicate("")
    assert waiter.returncode == 0


def test_the_folder_need_not_exist(tmp_path: Path):
    with locked(tmp_path / "not" / "yet" / "there"):
        assert not (tmp_path / "not" / "yet" / "there").exists()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks of which a heart beats often, and has not long to stand still."""
    monkeypatch.setattr(lock, "BEAT", 0.05)
    monkeypatch.setattr(lock, "PATIENCE", 1.0)


def owner_in(folder: Path) -> Owner:
    content = RecordFile(folder).read()
    assert content is not None
    return Owner(**json.loads(content))


def leave_lock(folder: Path, **changes: Any) -> Owner:
    """Leave the lock of an owner of whom nothing will be heard."""
    with locked(folder):
        owner = replace(owner_in(folder), token="another", **changes)
    assert RecordFile(folder).make(json.dumps(asdict(owner)).encode())
    return owner


ELSEWHERE: dict[str, Any] = {"boot": "another machine", "host": "elsewhere", "pid": 1}


def test_a_heart_beats_while_a_folder_is_held_and_nothing_is_left_of_the_lock(
    tmp_path: Path, quick: None
):
    with locked(tmp_path / "run"):
        before = owner_in(tmp_path / "run").beat
        while owner_in(tmp_path / "run").beat < before + 3:
            time.sleep(0.01)
    assert held(tmp_path / "run") is None
    assert list(tmp_path.iterdir()) == []


def test_the_owner_is_told(tmp_path: Path, holder):
    owner = held(tmp_path / "run")
    assert owner is not None
    assert owner.pid == holder.pid
    holder.kill()
    holder.communicate()
    assert held(tmp_path / "run") is None


def test_a_number_that_another_process_has_got_is_no_sign_of_life(tmp_path: Path):
    owner = leave_lock(tmp_path / "run", process=1)
    assert owner.pid == os.getpid()
    assert owner.dead
    with locked(tmp_path / "run"):
        pass


def test_an_owner_elsewhere_is_dead_when_its_heart_stands_still(tmp_path: Path, quick: None):
    leave_lock(tmp_path / "run", **ELSEWHERE)
    watch, told = Watch(), list[str]()
    assert watch.held(tmp_path / "run") is not None
    began = time.monotonic()
    with locked(tmp_path / "run", wait=True, waiting=told.append):
        assert time.monotonic() - began >= lock.PATIENCE
    assert told == ["process 1 on elsewhere"]


def test_a_watch_gives_an_owner_up_when_its_heart_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    leave_lock(tmp_path / "run", **ELSEWHERE)
    clock = iter((0.0, lock.PATIENCE, lock.PATIENCE + 1))
    monkeypatch.setattr(lock.time, "monotonic", lambda: next(clock))
    watch = Watch()
    assert [watch.held(tmp_path / "run") is not None for _ in range(3)] == [True, True, False]


def test_an_owner_elsewhere_lives_while_its_heart_beats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clock = [0.0]
    monkeypatch.setattr(lock.time, "monotonic", lambda: clock[0])
    owner = leave_lock(tmp_path / "run", **ELSEWHERE)
    over, taken = threading.Event(), threading.Event()

    def wait() -> None:
        with locked(tmp_path / "run", wait=True):
            taken.set()
            over.wait()

    waiter = threading.Thread(target=wait)
    waiter.start()
    while clock[0] < 3 * lock.PATIENCE:
        owner = replace(owner, beat=owner.beat + 1)
        RecordFile(tmp_path / "run").path.write_bytes(json.dumps(asdict(owner)).ljust(511).encode())
        clock[0] += lock.PATIENCE / 8
        assert not taken.wait(0.1)
    while not taken.wait(0.1):  # the heart stands still
        clock[0] += lock.PATIENCE / 8
    over.set()
    waiter.join()


def test_a_process_of_this_machine_that_is_stopped_keeps_what_it_holds(
    tmp_path: Path, holder, monkeypatch: pytest.MonkeyPatch
):
    os.kill(holder.pid, signal.SIGSTOP)
    clock = iter((0.0, lock.PATIENCE, 2 * lock.PATIENCE))
    monkeypatch.setattr(lock.time, "monotonic", lambda: next(clock))
    watch = Watch()
    assert [watch.held(tmp_path / "run") is not None for _ in range(3)] == [True] * 3


def test_a_record_that_was_never_finished_is_taken_over(tmp_path: Path, quick: None):
    (tmp_path / ".run.lock").touch()
    with locked(tmp_path / "run", wait=True):
        assert owner_in(tmp_path / "run").pid == os.getpid()


def test_an_owner_whose_lock_was_taken_ends_itself(tmp_path: Path):
    code = "from formatlab.store import lock; lock.BEAT = 0.05\n" + HOLDER
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "run")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    record = RecordFile(tmp_path / "run")
    while (content := record.read()) is not None:
        record.remove(content)
    assert process.wait(600) == 1
    assert "was taken from this process while it slept" in process.communicate()[1]


TAKER = """
import os, secrets, sys, time
from dataclasses import replace
from pathlib import Path
from formatlab.store import lock

sleep = time.sleep
lock.time.sleep = lambda _: sleep(0.0005)
folder, together = Path(sys.argv[1]), 0
record, alone = lock.RecordFile(folder), folder.with_name("alone")
for _ in range(int(sys.argv[2])):
    mine = lock.Owner(
        host="here",
        boot=lock._boot(),
        pid=os.getpid(),
        process=lock._process_start(os.getpid()),
        beat=0,
        token=secrets.token_hex(8),
    )
    lock._take(record, mine, "it", wait=True, waiting=lambda _: None)
    try:
        os.close(os.open(alone, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        together += 1
    sleep(0.0002)
    alone.unlink(missing_ok=True)
    dead = replace(mine, process=1)
    record.replace(lock._content(mine), lock._content(dead))
print(together)
"""


def test_of_many_that_take_over_from_the_dead_one_alone_gets_it(tmp_path: Path):
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", TAKER, str(tmp_path / "run"), "150"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    ends = [taker.communicate(timeout=1200) for taker in takers]
    assert ends == [("0\n", "")] * 4


class LossyRecord:
    """The record of a lock in a storage whose answers can get lost when it has done its work."""

    def __init__(self) -> None:
        self.content: bytes | None = None
        self.loses = False

    def make(self, content: bytes) -> bool:
        made = self.content is None
        if made:
            self.content = content
        return made and not self.loses  # the library tries again, and finds a record

    def read(self) -> bytes | None:
        return self.content

    def replace(self, old: bytes, new: bytes) -> bytes | None:
        there = self.content
        if there == old:
            self.content = new
            if self.loses:
                raise TimeoutError
        return there

    def remove(self, content: bytes) -> None:
        if self.content == content:
            self.content = None


@pytest.mark.parametrize("wait", [False, True])
def test_a_record_that_was_made_without_an_answer_is_ones_own(wait: bool):
    record = LossyRecord()
    record.loses = True
    with locked_record(record, "run", wait=wait):
        assert record.content is not None
    assert record.content is None


def test_a_heart_goes_on_after_a_beat_without_an_answer():
    record = LossyRecord()
    with locked_record(record, "run", wait=False) as heart:
        record.loses = True
        for _ in range(2):
            with pytest.raises(TimeoutError):
                heart.beat()
            heart.beat()  # finds the beat before, and takes it for its own
        assert json.loads(record.content or b"")["beat"] == 2
    assert record.content is None
