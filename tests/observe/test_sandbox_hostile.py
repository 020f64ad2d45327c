"""Hostile programs: all end, none touches anything, and the sandbox goes on working."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hostile_programs import ENDLESS, PROGRAMS, REFUSED

from formatlab.observe.sandbox import Sandbox

SECRET = "canary-8f2b6c"


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setenv("CANARY", SECRET)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


def descendants() -> set[int]:
    """This process and those it has started, with theirs."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            number = int(entry.name)
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[number] = int(parent)
    found = {os.getpid()}
    for _ in range(20):
        found |= {child for child, parent in parents.items() if parent in found}
    return found


def sleepers() -> list[int]:
    """The processes that programs of the table start; nobody else sleeps for as long."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cmdline").read_bytes() == b"sleep\0987.5\0":
                found.append(int(entry.name))
    return found


class Canaries:
    """What must stay as it is, on the disk, the network and among processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "canary"
        self.file.write_text(SECRET)
        (folder / "canary_module.py").write_text(f"open({str(folder / 'made')!r}, 'w')")
        self._stream, self._datagrams = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        self._stream.bind(("127.0.0.1", 0))
        self._stream.listen()
        self.port: int = self._stream.getsockname()[1]
        self._datagrams.bind(("127.0.0.1", self.port))
        self._before = self._disk()
        self._here = set(Path().iterdir())

    def fill(self, code: str) -> str:
        return code.format(file=str(self.file), folder=str(self.folder), port=self.port)

    def _disk(self) -> list[tuple[str, int, bytes]]:
        return sorted(
            (path.name, path.stat().st_mode, b"" if path.is_dir() else path.read_bytes())
            for path in self.folder.iterdir()
        )

    def touched(self, told: str) -> list[str]:
        marks = []
        if self._disk() != self._before or set(Path().iterdir()) != self._here:
            marks.append("disk")
        for name, opened in (("stream", self._stream), ("datagram", self._datagrams)):
            opened.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                _ = opened.accept() if name == "stream" else opened.recv(10)
                marks.append(name)
        if SECRET in told:
            marks.append("secret")
        return [*marks, "process"] if sleepers() else marks

    def close(self) -> None:
        self._stream.close()
        self._datagrams.close()


@pytest.fixture
def canaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canaries]:
    (tmp_path / "here").mkdir()
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    canaries = Canaries(tmp_path / "folder")
    yield canaries
    canaries.close()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_hostile_program_ends_and_touches_nothing(
    sandbox: Sandbox, canaries: Canaries, name: str
) -> None:
    expected, code = PROGRAMS[name]
    code = canaries.fill(code) if len(code) < 1000 else code
    before = len(descendants())
    execution = sandbox.run(code)
    lacking = execution.message.startswith(
        ("ModuleNotFoundError", "NotImplementedError: The monty")
    )
    if expected == ENDLESS and not lacking:
        assert execution.failure in ("time", "memory"), execution
    if expected == REFUSED:
        assert execution.failure is not None, execution
    value = "" if isinstance(execution.value, int) else repr(execution.value)
    assert canaries.touched(execution.output + execution.message + value) == []
    assert sandbox.run("2 + 3").value == 5
    patience = time.monotonic() + 60  # a worker for one program ends when that has ended
    while len(descendants()) > before and time.monotonic() < patience:
        time.sleep(0.05)
    assert len(descendants()) <= before


class Control(NamedTuple):
    program: str
    mark: str


@pytest.mark.parametrize(
    "control",
    [
        Control("read", "secret"),
        Control("environment of process", "secret"),
        Control("write", "disk"),
        Control("create here", "disk"),
        Control("change mode", "disk"),
        Control("shell", "disk"),
        Control("shell", "process"),
        Control("connect", "stream"),
        Control("datagram", "datagram"),
        Control("import from folder", "disk"),
        Control("exit hook", "disk"),
    ],
    ids=lambda control: f"{control.program}: {control.mark}",
)
def test_the_canaries_notice_the_same_programs_outside(
    canaries: Canaries, control: Control
) -> None:
    code = canaries.fill(PROGRAMS[control.program][1])
    lines = code.splitlines()
    if control.mark == "secret":
        lines[-1] = f"print({lines[-1]})"
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], stdout=subprocess.PIPE, text=True, timeout=600
    )
    marks = canaries.touched(done.stdout)
    for number in sleepers():
        os.kill(number, signal.SIGKILL)
    assert control.mark in marks
