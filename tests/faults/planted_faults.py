"""Faults that processes of the study do to themselves; the environment says which.

The experiment file plants them when it is imported, which launcher and workers do first of all.

`FAULTS_AT` says when and what, in JSON (see `Strike`); a process strikes when it is about to open,
rename or make a path that the pattern fits. The others:

FAULTS_JOURNAL=file       every start of a task's work is noted there, a line each
FAULTS_MUTE=pattern       workers whose task has such an address are killed while they tell of it
FAULTS_MEMORY=bytes       workers may take so much more memory than they have when work begins
FAULTS_PATIENCE=seconds   locks: an owner elsewhere is dead after so long without a beat
FAULTS_CLOCK=seconds      the clock goes back by so much once a second
"""

import json
import os
import re
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from tests.faults.places import places

Target = Literal["self", "launcher", "group", "copy", "fill", "mark"]


@dataclass(frozen=True, kw_only=True)
class Strike:
    """What a process does at a moment."""

    pattern: str
    """Of the path, relative to the runs folder, that it is about to write."""
    number: int = 1
    """Which time in this process."""
    later: float = 0.0
    """Seconds to wait; the process goes on meanwhile."""
    target: Target = "self"
    """Whom to kill; or `copy`: copy the task's folder to `place`, unless that is done; or `fill`:
    fill the disk with a file `place`; or `mark`: only make a file `place`."""
    place: str = ""
    """A file or folder; of a kill, the file that where it fell is written to, a line a task."""

    @property
    def environment(self) -> dict[str, str]:
        """What plants it."""
        return {"FAULTS_AT": json.dumps(asdict(self))}


def plant() -> None:
    """Plant what the environment asks for."""
    if strike := os.environ.get("FAULTS_AT"):
        for planted in _strikes(json.loads(strike)):
            _strike_at(planted)
    if seconds := os.environ.get("FAULTS_PATIENCE"):
        _shorten_patience(float(seconds))
    if seconds := os.environ.get("FAULTS_CLOCK"):
        _turn_clock_back(float(seconds))
    if parent_process() is None:
        return
    if journal := os.environ.get("FAULTS_JOURNAL"):
        _before_work(lambda task: _note(Path(journal), task.address))
    if pattern := os.environ.get("FAULTS_MUTE"):
        _before_work(lambda task: _die_telling() if re.fullmatch(pattern, task.address) else None)
    if more := os.environ.get("FAULTS_MEMORY"):
        _before_work(lambda _: _limit_memory(int(more)))


def _strikes(planted: Any) -> list[Strike]:
    return [Strike(**one) for one in (planted if isinstance(planted, list) else [planted])]


_PLACES = {"os.rename": 1, "os.mkdir": 0, "os.remove": 0}
"""Which argument of an audited call is what is written."""


def _strike_at(strike: Strike) -> None:
    pattern = re.compile(rf"(.*?/runs)({strike.pattern})")
    left, at_it = strike.number, threading.local()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        path = _written(event, arguments)
        if path is None or left == 0 or getattr(at_it, "now", False):
            return
        if match := pattern.fullmatch(path):
            left -= 1
            if left == 0:
                at_it.now = True
                _strike(strike, Path(match[1]), match[2])
                at_it.now = False

    sys.addaudithook(hook)


def _written(event: str, arguments: tuple[Any, ...]) -> str | None:
    """The path that a call is about to write; None if it writes nothing."""
    if event == "open":
        path, mode, flags = arguments
        writing = set(mode) & set("wa+x") if mode else flags & (os.O_WRONLY | os.O_RDWR)
        return os.fsdecode(path) if writing and not isinstance(path, int) else None
    if event in _PLACES:
        path = arguments[_PLACES[event]]
        return None if isinstance(path, int) else os.fsdecode(path)
    return None


def _strike(strike: Strike, runs: Path, path: str) -> None:
    match strike.target:
        case "copy":
            _copy(runs, path, Path(strike.place))
        case "fill":
            _fill(Path(strike.place))
        case "mark":
            Path(strike.place).touch()
        case _ if strike.later:
            threading.Timer(strike.later, _kill, [strike, runs, path]).start()
        case _:
            _kill(strike, runs, path)


def _kill(strike: Strike, runs: Path, path: str) -> None:
    launcher, target = parent_process(), strike.target
    mine = "/".join(path.split("/")[:3]) if target == "self" and launcher is not None else ""
    Path(strike.place).write_text("\n".join(places(runs, mine)))
    if target == "group":
        os.killpg(0, signal.SIGKILL)
    elif target == "launcher" and launcher is not None:
        os.kill(launcher.pid or 0, signal.SIGKILL)
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def _copy(runs: Path, path: str, copies: Path) -> None:
    _, parent, name, *_ = path.split("/")
    copy = copies / parent / name
    if not copy.exists():
        shutil.copytree(runs / parent / name, copy)


def _fill(file: Path) -> None:
    """Leave no room on the file system that a file is on."""
    with file.open("ab", buffering=0) as descriptor:
        try:
            while descriptor.write(b"\0" * 4096):
                pass
        except OSError:
            return


def _before_work(call: Callable[[Any], None]) -> None:
    from formatlab.launch import worker

    execute = worker.execute

    def called(task: Any, *arguments: Any) -> None:
        call(task)
        execute(task, *arguments)

    worker.execute = called


def _note(journal: Path, address: str) -> None:
    with journal.open("a") as file:
        file.write(f"{address} {os.getpid()}\n")


def _die_telling() -> None:
    def send(self: Connection, words: Any, *_: Any) -> None:
        os.write(self.fileno(), bytes(words)[: len(words) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    Connection._send = send  # pyright: ignore[reportAttributeAccessIssue] - a private method


def _limit_memory(more: int) -> None:
    import trl.trainer.grpo_trainer
    import trl.trainer.sft_trainer  # noqa: F401 - what takes memory is the work, not its imports

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _shorten_patience(seconds: float) -> None:
    from formatlab.store import lock

    lock.PATIENCE, lock.BEAT = seconds, seconds / 10


def _turn_clock_back(seconds: float) -> None:
    began, clock, clock_ns = time.monotonic(), time.time, time.time_ns

    def back() -> float:
        return seconds * int(time.monotonic() - began)

    time.time = lambda: clock() - back()
    time.time_ns = lambda: clock_ns() - int(back() * 1e9)
