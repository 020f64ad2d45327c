"""The runs root: where the runs folder is, a path that all machines share or an fsspec address.

At an address a task is fetched, done in a scratch folder, and sent. Before it starts, the folders
that it starts from are fetched, and its own if another machine had begun it. Its folder is sent
whenever a new checkpoint stands, and at the end, so a lost machine costs what came after the last
checkpoint that could be sent. A lock at the address keeps two machines from one folder.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tenacity import Retrying

from formatlab.errors import FormatlabError
from formatlab.launch import worker
from formatlab.launch.options import is_address
from formatlab.launch.schedule import Outcome
from formatlab.store.lock import Owner, Record, held, held_record, locked_record
from formatlab.store.remote.address import (
    as_os_errors,
    check_replaces,
    explained,
    lock_record,
    open_address,
    patiently,
    put_whole,
    words_of,
)
from formatlab.store.remote.folder import (
    RemoteFolder,
    files_to_send,
    is_document,
    is_reported,
    starts_others,
)
from formatlab.store.remote.scratch import work_folder
from formatlab.study.task import Task, graph
from formatlab.train.failure import failure_reason
from formatlab.train.progress import Emit, Progress, Remark


@dataclass(frozen=True, slots=True)
class SharedFolder:
    """A runs folder whose path leads to the same folder on every machine."""

    path: Path

    def __reduce__(self) -> tuple[type, tuple[Path]]:
        """Make the path absolute: other processes may run in another folder."""
        return SharedFolder, (self.path.absolute(),)

    def is_done(self, task: Task) -> bool:
        """Whether a task's folder is finished, intact, and what the task would make now."""
        return worker.is_done(task, self.path)

    def owner(self, task: Task) -> Owner | None:
        """Who holds the lock of a task's folder, as far as can be seen from here."""
        return held(self.path / task.address)

    def work(self, task: Task, *, threads: int, emit: Emit) -> Outcome:
        """Do a task in this process, and say how it ended; see `worker.work`."""
        return worker.work(task, self.path, threads=threads, emit=emit)

    def note_loss(self, task: Task, reason: str) -> None:
        """Write down why its process ended without an outcome, unless another does the task now."""
        folder = self.path / task.address
        if held(folder) is None:
            worker.note_failure(folder, reason)

    def view(self) -> AbstractContextManager[Path]:
        """A folder of this machine for the launcher's plan and report, as long as it lasts."""
        return nullcontext(self.path)

    def bring(self, view: Path, task: Task) -> bool:
        """Copy what a report needs of a finished task into the view; False if it is not done."""
        return self.is_done(task)

    def publish(self, view: Path, study: str) -> None:
        """Show everybody what the launcher wrote beside the run folders of a study."""


@dataclass(frozen=True, slots=True)
class RemoteRuns:
    """A runs folder at an address; its methods are those of `SharedFolder`."""

    address: str
    scratch: Path | None
    """Where tasks work; None for a folder of this user among the system's temporary files."""

    @classmethod
    def at(cls, address: str, scratch: Path | None) -> Self:
        """Take an address, and see whether it can be reached.

        Raises:
            InputError: no such kind of address, the package that reads it is not installed, or the
                storage does not replace files.
            RunError: it cannot be reached.
        """
        fs, root = open_address(address)
        with explained(address):
            with suppress(FileNotFoundError):
                fs.info(root)
            check_replaces(fs, root)
        # With whole paths, since other machines read it.
        return cls(fs.unstrip_protocol(root), scratch and scratch.absolute())

    def is_done(self, task: Task) -> bool:
        """Whether DONE is there, all that was sent is, and the task would make the same now.

        Raises:
            OSError: the address cannot be reached.
        """
        with as_os_errors(), tempfile.TemporaryDirectory(prefix="formatlab-") as temporary:
            folder = self._folder(task)
            if folder.damage() is not None or not folder.done:
                return False
            for one in (task, *graph(task.needs)):
                self._folder(one).fetch(Path(temporary) / one.address, is_document)
            return task.outdated(Path(temporary)) is None

    def owner(self, task: Task) -> Owner | None:
        """Who holds the lock at the address."""
        return held_record(self._record(task))

    def work(self, task: Task, *, threads: int, emit: Emit) -> Outcome:
        """Fetch what the task needs, do it in a scratch folder, and send what came of it."""
        try:
            return self._work(task, threads, emit)
        except FormatlabError as error:
            return Outcome(task.label, str(error), error.exit_status)
        except Exception as error:
            told = words_of(error) if isinstance(error, OSError) else failure_reason(error)
            return Outcome(task.label, f"cannot work at {self.address}: {told}", 1)

    def _work(self, task: Task, threads: int, emit: Emit) -> Outcome:
        def waiting(for_what: str) -> None:
            emit(task.waiting_for(for_what))

        retry = patiently(lambda error: waiting(f"{self.address} ({words_of(error)})"))
        record, name = self._record(task, retry), f"{self.address}/{task.address}"
        with locked_record(record, name, wait=True, waiting=waiting) as heartbeat:
            if retry(self.is_done, task):
                return Outcome(task.label)
            with work_folder(self.scratch) as runs:
                for need in graph(task.needs):
                    retry(self._folder(need).fetch, runs / need.address, starts_others)
                folder = self._fetch_own(task, runs, retry, emit)

                def send() -> None:
                    heartbeat.beat()  # after a lost network another process may hold the lock
                    folder.send(runs / task.address)

                sending = _sending_checkpoints(task.label, runs / task.address, send, emit)
                try:
                    outcome = worker.work(task, runs, threads=threads, emit=sending)
                except BaseException:  # this process is being ended, and has little time
                    with suppress(Exception):
                        send()
                    raise
                if outcome.error is None:
                    retry(send)
                else:  # its reason matters more than that the rest could not be sent
                    with suppress(Exception):
                        retry(send)
                return outcome

    def _fetch_own(self, task: Task, runs: Path, retry: Retrying, emit: Emit) -> RemoteFolder:
        """Fetch the task's own folder; one that cannot be resumed is moved aside at the address."""
        folder, mine = self._folder(task), runs / task.address
        wrong = retry(folder.damage)
        if wrong is None:
            retry(folder.fetch, mine)
            wrong = worker.why_made_again(task, runs)
        if wrong is not None:
            aside = retry(folder.put_aside, retry(folder.place_aside))
            shutil.rmtree(mine, ignore_errors=True)
            emit(Remark(f"{task.label}: {wrong}; made again, the old folder is {aside}"))
        return folder

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
                self._folder(task).fetch(view / task.address, is_reported)
        return done

    def publish(self, view: Path, study: str) -> None:
        """Send plan, tables, figures and report."""
        fs, root = open_address(self.address)
        with explained(self.address):
            for path in sorted((view / study).rglob("*")):
                name = path.relative_to(view)
                if path.is_file() and not (view / study / name.parts[1] / "config.json").exists():
                    put_whole(fs, path, f"{root}/{name.as_posix()}")

    def _folder(self, task: Task) -> RemoteFolder:
        return RemoteFolder(*open_address(self.address), task.address)

    def _record(self, task: Task, retry: Retrying | None = None) -> Record:
        fs, root = open_address(self.address)
        return lock_record(fs, f"{root}/{task.address}", retry)


RunsRoot = SharedFolder | RemoteRuns
"""A runs folder as launchers and workers see it; small enough to be sent to other machines."""


def runs_root(runs_dir: str, scratch: Path | None) -> RunsRoot:
    """The runs root that `--runs-dir` names.

    Args:
        runs_dir: a path, or an address that fsspec knows, such as `s3://bucket/runs`.
        scratch: where tasks work if it is an address; None for a folder among the system's
            temporary files.

    Raises:
        InputError: no such kind of address, or the package that reads it is not installed.
        RunError: the address cannot be reached.
    """
    if is_address(runs_dir):
        return RemoteRuns.at(runs_dir, scratch)
    return SharedFolder(Path(runs_dir))


def _sending_checkpoints(label: str, folder: Path, send: Callable[[], None], emit: Emit) -> Emit:
    """Pass on a task's progress, and send its folder when its checkpoints have changed.

    A task reports a step only while none of its files is being written, so the files that are sent
    belong together.
    """
    sent: set[str] = set()

    def telling(event: Progress | Remark) -> None:
        nonlocal sent
        emit(event)
        checkpoints = files_to_send(folder / "checkpoints")
        if checkpoints == sent:
            return
        sent = checkpoints
        try:
            send()
        except Exception as error:  # it is sent with the next one, or at the end
            emit(Remark(f"{label}: its checkpoint could not be sent yet: {words_of(error)}"))

    return telling
