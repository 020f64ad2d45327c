"""An assignment: a task as it is given to another machine, with everything it takes to do it."""

import os
import pickle
import platform
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from formatlab import __version__
from formatlab.errors import FormatlabError
from formatlab.launch.cluster.place import Place
from formatlab.launch.schedule import Outcome
from formatlab.store.lock import Owner
from formatlab.study.experiment import load_experiment
from formatlab.study.task import Task
from formatlab.train.progress import Emit, Progress, Remark

TOLD_EVERY = 0.5
"""Least seconds between two events of one stage: they travel."""

_PASSED_ON = (
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HF_HUB_DISABLE_TELEMETRY",
    "TOKENIZERS_PARALLELISM",
    "TQDM_DISABLE",
)
"""Environment variables of the launcher that hold for its workers."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Why a task was not begun: another launcher is at it."""

    owner: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """One task, in a form that a machine with another formatlab can refuse."""

    address: str
    """Of the task."""
    label: str
    """Of the task."""
    formatlab: str
    """The launcher's version."""
    environment: dict[str, str]
    threads: int
    """Most that torch may use."""
    experiment: tuple[str, bytes]
    """Name and content of the experiment's file."""
    silent: Owner | None
    """An owner of the folder whose heart the launcher saw stand still; its lock is taken over."""
    work: bytes
    """Task and place, pickled."""

    @classmethod
    def of(
        cls,
        task: Task,
        place: Place,
        *,
        experiment: Path,
        threads: int,
        silent: Owner | None = None,
    ) -> Self:
        """What is needed to do a task in a place.

        Args:
            task: what to do; what it needs is done.
            place: the runs folder.
            experiment: the experiment's file, for the formats that it may add.
            threads: most that torch may use.
            silent: an owner of the folder who is taken to be dead.
        """
        return cls(
            address=task.address,
            label=task.label,
            formatlab=__version__,
            environment={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            threads=threads,
            experiment=(experiment.name, experiment.read_bytes()),
            silent=silent,
            work=pickle.dumps((task, place)),
        )

    def do(self, emit: Emit) -> Outcome | Busy:
        """Do it in this process, unless another launcher is at it.

        Args:
            emit: told about progress, twice a second at most.
        """
        if self.formatlab != __version__:
            return self._refused(
                f"this is formatlab {__version__}, and the launcher's is {self.formatlab}; install "
                "the same version on all machines"
            )
        os.environ.update(self.environment)
        with tempfile.TemporaryDirectory(prefix="formatlab-") as folder:
            name, content = self.experiment
            experiment = Path(folder) / name
            experiment.write_bytes(content)
            try:
                load_experiment(experiment)  # formats that it adds are part of the address
            except FormatlabError as error:  # it may import what is not here
                return self._refused(str(error))
            task, place = pickle.loads(self.work)
            if task.address != self.address:
                return self._refused(
                    "the model or the problems have another content here than on the launcher's "
                    "machine, or are not here; give them a path that all machines share"
                )
            owner = place.owner(task)
            if owner is not None and owner != self.silent:
                return Busy(owner.words)
            return place.attempt(
                task, experiment=experiment, threads=self.threads, emit=_seldom(emit)
            )

    def _refused(self, reason: str) -> Outcome:
        return Outcome(self.label, f"on {platform.node()}: {reason}", 1)


def _seldom(emit: Emit) -> Emit:
    """Pass on every remark, the first and last event of a stage, and between them some."""
    stage, told = "", 0.0

    def passing(event: Progress | Remark) -> None:
        nonlocal stage, told
        if isinstance(event, Remark):
            emit(event)
            return
        now = time.monotonic()
        if event.stage != stage or event.step >= event.total or now - told >= TOLD_EVERY:
            stage, told = event.stage, now
            emit(event)

    return passing
