"""A place: where a runs folder is, on a file system that all machines share or at an address."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from formatlab.launch.cluster.options import is_address
from formatlab.launch.perform import is_done
from formatlab.store.lock import Owner, held

if TYPE_CHECKING:
    from formatlab.launch.schedule import Outcome
    from formatlab.study.task import Task
    from formatlab.train.progress import Emit


class Place(Protocol):
    """A runs folder, as the machines of a cluster see it; small enough to be sent to them."""

    def is_done(self, task: Task) -> bool:
        """Whether a task's folder is finished, and what the task would make now."""
        ...

    def owner(self, task: Task) -> Owner | None:
        """Who is at a task's folder, as far as can be seen from here."""
        ...

    def attempt(self, task: Task, *, experiment: Path, threads: int, emit: Emit) -> Outcome:
        """Do a task in this process, and say how it ended; see `attempt`."""
        ...

    def view(self) -> AbstractContextManager[Path]:
        """A folder of this machine for the launcher's plan and report, as long as it lasts."""
        ...

    def bring(self, view: Path, task: Task) -> bool:
        """Bring what a report needs of a task into the view, if it is done; says whether it is."""
        ...

    def publish(self, view: Path, study: str) -> None:
        """Have everybody see what the launcher wrote beside the run folders of a study."""
        ...


@dataclass(frozen=True, slots=True)
class SharedFolder:
    """A runs folder whose path leads to the same folder on every machine."""

    path: Path

    def __reduce__(self) -> tuple[type, tuple[Path]]:
        """Other processes may work in another folder."""
        return SharedFolder, (self.path.absolute(),)

    def is_done(self, task: Task) -> bool:
        """See `perform.is_done`."""
        return is_done(task, self.path)

    def owner(self, task: Task) -> Owner | None:
        """See `lock.held`."""
        return held(self.path / task.address)

    def attempt(self, task: Task, *, experiment: Path, threads: int, emit: Emit) -> Outcome:
        """Do it in the folder itself."""
        from formatlab.launch.attempt import attempt

        return attempt(task, self.path, experiment=experiment, threads=threads, emit=emit)

    def view(self) -> AbstractContextManager[Path]:
        """The folder itself."""
        return nullcontext(self.path)

    def bring(self, view: Path, task: Task) -> bool:
        """Everything is there."""
        return self.is_done(task)

    def publish(self, view: Path, study: str) -> None:
        """Everybody sees it."""


def place_of(runs_dir: str, scratch: Path | None) -> Place:
    """The place that `--runs-dir` names.

    Args:
        runs_dir: a path, or an address that fsspec knows: `s3://bucket/runs`.
        scratch: where tasks of an address work; None for the system's folder of temporary files.

    Raises:
        InputError: no such kind of address, or what reads it is not installed.
    """
    if not is_address(runs_dir):
        return SharedFolder(Path(runs_dir))
    from formatlab.launch.cluster.remote_runs import RemoteRuns

    return RemoteRuns.at(runs_dir, scratch)
