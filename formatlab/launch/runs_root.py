"""The runs root: where the runs folder is, a path that all machines share or an fsspec address."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from formatlab.launch.options import is_address
from formatlab.store.lock import Owner, held

if TYPE_CHECKING:
    from formatlab.launch.schedule import Outcome
    from formatlab.study.task import Task
    from formatlab.train.progress import Emit


class RunsRoot(Protocol):
    """A runs folder as launchers and workers see it; small enough to be sent to other machines."""

    def is_done(self, task: Task) -> bool:
        """Whether a task's folder is finished, intact, and what the task would make now."""
        ...

    def owner(self, task: Task) -> Owner | None:
        """Who holds the lock of a task's folder, as far as can be seen from here."""
        ...

    def work(self, task: Task, *, threads: int, emit: Emit) -> Outcome:
        """Do a task in this process, and say how it ended; see `worker.work`."""
        ...

    def note_loss(self, task: Task, reason: str) -> None:
        """Write down why the process that did a task ended without an outcome."""
        ...

    def view(self) -> AbstractContextManager[Path]:
        """A folder of this machine for the launcher's plan and report, as long as it lasts."""
        ...

    def bring(self, view: Path, task: Task) -> bool:
        """Copy what a report needs of a finished task into the view; False if it is not done."""
        ...

    def publish(self, view: Path, study: str) -> None:
        """Show everybody what the launcher wrote beside the run folders of a study."""
        ...


@dataclass(frozen=True, slots=True)
class SharedFolder:
    """A runs folder whose path leads to the same folder on every machine."""

    path: Path

    def __reduce__(self) -> tuple[type, tuple[Path]]:
        """Make the path absolute: other processes may run in another folder."""
        return SharedFolder, (self.path.absolute(),)

    def is_done(self, task: Task) -> bool:
        """See `worker.is_done`."""
        from formatlab.launch.worker import is_done

        return is_done(task, self.path)

    def owner(self, task: Task) -> Owner | None:
        """See `lock.held`."""
        return held(self.path / task.address)

    def work(self, task: Task, *, threads: int, emit: Emit) -> Outcome:
        """Do it in the folder itself."""
        from formatlab.launch.worker import work

        return work(task, self.path, threads=threads, emit=emit)

    def note_loss(self, task: Task, reason: str) -> None:
        """Write FAILED, unless another process does the task by now."""
        from formatlab.launch.worker import note_failure

        folder = self.path / task.address
        if held(folder) is None:
            note_failure(folder, reason)

    def view(self) -> AbstractContextManager[Path]:
        """The folder itself."""
        return nullcontext(self.path)

    def bring(self, view: Path, task: Task) -> bool:
        """Everything is there already."""
        return self.is_done(task)

    def publish(self, view: Path, study: str) -> None:
        """Everybody sees it already."""


def runs_root(runs_dir: str, scratch: Path | None) -> RunsRoot:
    """The runs root that `--runs-dir` names.

    Args:
        runs_dir: a path, or an address that fsspec knows, such as `s3://bucket/runs`.
        scratch: where tasks work if it is an address; None for a folder among the system's
            temporary files.

    Raises:
        InputError: no such kind of address, or the package that reads it is not installed.
    """
    if not is_address(runs_dir):
        return SharedFolder(Path(runs_dir))
    from formatlab.launch.remote_runs import RemoteRuns

    return RemoteRuns.at(runs_dir, scratch)
