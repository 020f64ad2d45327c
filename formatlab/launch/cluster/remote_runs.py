"""Runs at an fsspec address: a task works in a scratch folder, which is sent there as it grows.

What a task starts from is fetched before it begins, and so is its own folder if another machine had
begun it. Every few seconds what has changed is sent, so a lost machine costs what came after the
last checkpoint that was sent. A lock at the address keeps two machines from one folder.
"""

import getpass
import os
import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from fsspec.implementations.local import LocalFileSystem

from formatlab.errors import FormatlabError, InputError
from formatlab.launch.cluster.patience import Patience, PatientRecord
from formatlab.launch.cluster.remote_folder import RemoteFolder
from formatlab.launch.cluster.remote_record import RemoteRecord
from formatlab.launch.cluster.storage import (
    as_os_errors,
    exists,
    explained,
    open_address,
    unreachable,
    words_of,
)
from formatlab.launch.schedule import Outcome
from formatlab.store.lock import (
    Heart,
    Held,
    Owner,
    Record,
    RecordFile,
    held_record,
    locked,
    locked_record,
)
from formatlab.store.runs_folder import ASIDE
from formatlab.study.task import Task, graph
from formatlab.train.progress import Emit, Progress, Remark

SEND_EVERY = 5.0
"""Seconds between two looks at what has changed."""

_WEIGHTS = ("checkpoints", "model", "policy", "policy-merged")
"""What reports do without."""
_SHARED = ("corpora", "models")
"""Folders in the scratch folder that its tasks share; any machine makes the same ones."""


@dataclass(frozen=True, slots=True)
class RemoteRuns:
    """A runs folder at an address; see `place.Place`."""

    address: str
    scratch: Path | None
    """Where tasks work; None for a folder of this user among the system's temporary files."""

    @classmethod
    def at(cls, address: str, scratch: Path | None) -> Self:
        """Take an address, and see whether it can be reached.

        Raises:
            InputError: no such kind of address, or what reads it is not installed.
            RunError: it cannot be reached.
        """
        fs, root = open_address(address)
        with explained(address), suppress(FileNotFoundError):
            fs.info(root)
        # Written out, and with whole paths, since other machines read it.
        return cls(fs.unstrip_protocol(root), scratch and scratch.absolute())

    def is_done(self, task: Task) -> bool:
        """Whether DONE is there, all that was sent is, and what the task would make is no other.

        Raises:
            OSError: the address cannot be reached.
        """
        with as_os_errors(), tempfile.TemporaryDirectory(prefix="formatlab-") as temporary:
            folder = self._folder(task)
            if not folder.has("DONE") or folder.damage() is not None:
                return False
            for one in (task, *graph(task.needs)):
                self._folder(one).fetch(Path(temporary) / one.address, _is_document)
            return task.outdated(Path(temporary)) is None

    def owner(self, task: Task) -> Owner | None:
        """Who holds the lock at the address."""
        return held_record(self._record(task))

    def attempt(self, task: Task, *, experiment: Path, threads: int, emit: Emit) -> Outcome:
        """Fetch what it needs, do it in the scratch folder, and send it."""
        from formatlab.launch.attempt import attempt

        def waiting(for_what: str) -> None:
            note = f"waiting for {for_what}"
            emit(Progress(task.label, 0, task.steps or 1, None, None, note))

        patience = Patience(lambda error: waiting(f"{self.address} ({words_of(error)})"))
        record, name = PatientRecord(self._record(task), patience), f"{self.address}/{task.address}"
        try:
            with locked_record(record, name, wait=True, waiting=waiting) as heart:
                if patience(lambda: self.is_done(task)):
                    return Outcome(task.label)
                with self._desk() as desk:
                    for need in graph(task.needs):
                        folder, here = self._folder(need), desk / need.address
                        patience(partial(folder.fetch, here, _is_started_from))
                    tell = partial(self._tell, emit, desk)
                    with self._sent(task, desk, heart, patience, tell):
                        return attempt(
                            task, desk, experiment=experiment, threads=threads, emit=tell
                        )
        except FormatlabError as error:
            return Outcome(task.label, str(error), error.exit_status)
        except Exception as error:
            return Outcome(task.label, unreachable(self.address, error), 1)

    @contextmanager
    def view(self) -> Iterator[Path]:
        """A temporary folder."""
        with tempfile.TemporaryDirectory(prefix="formatlab-") as temporary:
            yield Path(temporary)

    def bring(self, view: Path, task: Task) -> bool:
        """Fetch a finished task's folder without its weights."""
        with explained(self.address):
            done = self.is_done(task)
            if done:
                self._folder(task).fetch(view / task.address, _is_reported)
        return done

    def publish(self, view: Path, study: str) -> None:
        """Send plan, tables, figures and report."""
        fs, root = open_address(self.address)
        there = RemoteFolder(fs, f"{root}/{study}")
        with explained(self.address):
            for path in sorted((view / study).rglob("*")):
                name = path.relative_to(view / study)
                if path.is_file() and not (view / study / name.parts[0] / "config.json").exists():
                    there.put(path, name.as_posix())

    def _tell(self, emit: Emit, desk: Path, event: Progress | Remark) -> None:
        """Tell on what a task tells; what it puts aside is put aside at the address as well."""
        if isinstance(event, Remark):
            aside = rf"is {re.escape(str(desk / ASIDE))}\S*"
            event = Remark(re.sub(aside, f"goes to {self.address}/{ASIDE}", event.text))
        emit(event)

    def _folder(self, task: Task) -> RemoteFolder:
        fs, root = open_address(self.address)
        return RemoteFolder(fs, f"{root}/{task.address}")

    def _record(self, task: Task) -> Record:
        fs, root = open_address(self.address)
        path = f"{root}/{task.address}"
        if isinstance(fs, LocalFileSystem):
            return RecordFile(Path(path))
        folder, _, name = path.rpartition("/")
        return RemoteRecord(fs, f"{folder}/.{name}.lock")

    @contextmanager
    def _desk(self) -> Iterator[Path]:
        """A runs folder of this machine for one task; those that were left behind are removed."""
        scratch = self.scratch or Path(tempfile.gettempdir()) / f"formatlab-{getpass.getuser()}"
        scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.scratch is None and hasattr(os, "getuid") and scratch.stat().st_uid != os.getuid():
            raise InputError(f"{scratch} belongs to another user; name a folder with --scratch")
        for left in scratch.glob("desk-*"):
            with suppress(Held), locked(left):
                shutil.rmtree(left, ignore_errors=True)
        desk = scratch / f"desk-{secrets.token_hex(4)}"
        with locked(desk):
            try:
                for name in _SHARED:
                    (scratch / name).mkdir(exist_ok=True)
                    desk.mkdir(exist_ok=True)
                    (desk / name).symlink_to((scratch / name).absolute())
                yield desk
            finally:
                shutil.rmtree(desk, ignore_errors=True)

    @contextmanager
    def _sent(
        self, task: Task, desk: Path, heart: Heart, patience: Patience, emit: Emit
    ) -> Iterator[None]:
        """Go on with what is at the address, and send it what becomes of it.

        What is damaged there is put aside. Before each time, `heart` makes sure that the lock is
        still ours: after a network that was away another process may have gone on.
        """
        fs, root = open_address(self.address)
        folder, mine = self._folder(task), desk / task.address

        def aside() -> str:
            number = 1
            while exists(fs, place := f"{root}/{ASIDE}/{task.address}-{number}"):
                number += 1
            return place

        def send() -> None:
            heart.beat()
            folder.send(mine, desk / ".sending", aside)

        wrong = patience(folder.damage)
        if wrong is None:
            patience(lambda: folder.fetch(mine))
        else:
            place = patience(aside)
            patience(lambda: folder.put_aside(place))
            there = fs.unstrip_protocol(place)
            emit(Remark(f"{task.label}: {wrong}; made again, the old folder is {there}"))
        sender = _Sender(send)
        sender.start()
        try:
            yield
        except BaseException:  # this process is being ended, and has little time
            sender.end()
            with suppress(Exception):
                send()
            raise
        sender.end()
        patience(send)


class _Sender(threading.Thread):
    """Sends again and again; what fails is tried again."""

    def __init__(self, send: Any) -> None:
        super().__init__(daemon=True, name="sender")
        self._send, self._ended = send, threading.Event()

    def run(self) -> None:
        while not self._ended.wait(SEND_EVERY):
            with suppress(Exception):
                self._send()

    def end(self) -> None:
        """Stop when what is being sent is there."""
        self._ended.set()
        self.join()


def _is_document(name: str) -> bool:
    return name in ("config.json", "env.json", "DONE")


def _is_started_from(name: str) -> bool:
    return name.split("/")[0] not in ("checkpoints", "rollouts")


def _is_reported(name: str) -> bool:
    return name.split("/")[0] not in _WEIGHTS
