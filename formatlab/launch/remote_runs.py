"""A runs root at an fsspec address: a task is fetched, done in a scratch folder, and sent.

Before a task starts, the folders that it starts from are fetched, and its own if another machine
had begun it. Its folder is sent whenever a new checkpoint stands, and at the end, so a lost machine
costs what came after the last checkpoint. A lock at the address keeps two machines from one folder.
"""

import getpass
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fsspec.implementations.local import LocalFileSystem
from tenacity import Retrying

from formatlab.errors import FormatlabError, InputError
from formatlab.launch.schedule import Outcome
from formatlab.launch.worker import failure_reason, why_made_again, work
from formatlab.store.lock import Held, Owner, Record, RecordFile, held_record, locked, locked_record
from formatlab.store.remote.address import (
    PatientRecord,
    RemoteRecord,
    as_os_errors,
    exists,
    explained,
    open_address,
    patiently,
    unreachable,
    words_of,
)
from formatlab.store.remote.folder import RemoteFolder, files_to_send
from formatlab.store.runs_folder import ASIDE
from formatlab.study.task import Task, graph
from formatlab.train.progress import Emit, Progress, Remark

SEND_AGAIN_AFTER = 60.0
"""Least seconds between two tries to send a checkpoint; the next one is sent anyway."""

_WEIGHTS = ("checkpoints", "model", "policy", "policy-merged")
"""Folders that reports do not need."""
_SHARED = ("corpora", "models")
"""Folders in the scratch folder that its tasks share; every machine makes the same ones."""


@dataclass(frozen=True, slots=True)
class RemoteRuns:
    """A runs folder at an address; see `runs_root.RunsRoot`."""

    address: str
    scratch: Path | None
    """Where tasks work; None for a folder of this user among the system's temporary files."""

    @classmethod
    def at(cls, address: str, scratch: Path | None) -> Self:
        """Take an address, and see whether it can be reached.

        Raises:
            InputError: no such kind of address, or the package that reads it is not installed.
            RunError: it cannot be reached.
        """
        fs, root = open_address(address)
        with explained(address), suppress(FileNotFoundError):
            fs.info(root)
        # With whole paths, since other machines read it.
        return cls(fs.unstrip_protocol(root), scratch and scratch.absolute())

    def is_done(self, task: Task) -> bool:
        """Whether DONE is there, all that was sent is, and the task would make the same now.

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

    def work(self, task: Task, *, threads: int, emit: Emit) -> Outcome:
        """Fetch what the task needs, do it in a scratch folder, and send what came of it."""

        def waiting(for_what: str) -> None:
            note = f"waiting for {for_what}"
            emit(Progress(task.label, 0, task.steps or 1, None, None, note))

        retry = patiently(lambda error: waiting(f"{self.address} ({words_of(error)})"))
        record, name = PatientRecord(self._record(task), retry), f"{self.address}/{task.address}"
        try:
            with locked_record(record, name, wait=True, waiting=waiting) as heartbeat:
                if retry(self.is_done, task):
                    return Outcome(task.label)
                with self._desk() as desk:
                    for need in graph(task.needs):
                        retry(self._folder(need).fetch, desk / need.address, _is_started_from)
                    folder = self._resumed(task, desk, retry, emit)

                    def send() -> None:
                        heartbeat.beat()  # after a lost network another process may hold the lock
                        folder.send(desk / task.address)

                    telling = _sending_checkpoints(task.label, desk / task.address, send, emit)
                    try:
                        outcome = work(task, desk, threads=threads, emit=telling)
                    except BaseException:  # this process is being ended, and has little time
                        with suppress(Exception):
                            send()
                        raise
                    retry(send)
                    return outcome
        except FormatlabError as error:
            return Outcome(task.label, str(error), error.exit_status)
        except OSError as error:
            return Outcome(task.label, unreachable(self.address, error), 1)
        except Exception as error:
            return Outcome(task.label, failure_reason(error), 1)

    def note_loss(self, task: Task, reason: str) -> None:
        """Nothing: what was last sent stays, and `formatlab status` calls the task interrupted."""

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

    def _resumed(self, task: Task, desk: Path, retry: Retrying, emit: Emit) -> RemoteFolder:
        """Fetch the task's own folder; one that cannot be resumed is moved aside at the address."""
        folder, mine = self._folder(task), desk / task.address
        wrong = retry(folder.damage)
        if wrong is None:
            retry(folder.fetch, mine)
            wrong = why_made_again(task, desk)
        if wrong is not None:
            shutil.rmtree(mine, ignore_errors=True)
            fs, _ = open_address(self.address)
            aside = retry(self._free_place, task)
            retry(folder.put_aside, aside)
            there = fs.unstrip_protocol(aside)
            emit(Remark(f"{task.label}: {wrong}; made again, the old folder is {there}"))
        return folder

    def _free_place(self, task: Task) -> str:
        """A path at the address for a folder that is moved aside."""
        fs, root = open_address(self.address)
        number = 1
        while exists(fs, place := f"{root}/{ASIDE}/{task.address}-{number}"):
            number += 1
        return place

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
        """A runs folder of this machine for one task; those of killed processes are removed."""
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


def _sending_checkpoints(label: str, folder: Path, send: Callable[[], None], emit: Emit) -> Emit:
    """Pass on a task's progress, and send its folder when its checkpoints have changed.

    A task reports a step only while none of its files is being written, so the files that are sent
    belong together.
    """
    sent: set[str] = set()
    tried = -SEND_AGAIN_AFTER

    def telling(event: Progress | Remark) -> None:
        nonlocal sent, tried
        emit(event)
        checkpoints = files_to_send(folder / "checkpoints")
        if checkpoints == sent or time.monotonic() - tried < SEND_AGAIN_AFTER:
            return
        try:
            send()
        except Exception as error:  # tried again at a later step, and at the end
            tried = time.monotonic()
            emit(Remark(f"{label}: its checkpoint could not be sent yet: {words_of(error)}"))
        else:
            sent = checkpoints

    return telling


def _is_document(name: str) -> bool:
    return name in ("config.json", "env.json", "DONE")


def _is_started_from(name: str) -> bool:
    return name.split("/")[0] not in ("checkpoints", "rollouts")


def _is_reported(name: str) -> bool:
    return name.split("/")[0] not in _WEIGHTS
