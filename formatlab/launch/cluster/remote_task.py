"""A remote task: a task as it travels to another machine, with everything it takes to do it."""

import os
import pickle
import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from formatlab import __version__
from formatlab.errors import FormatlabError
from formatlab.launch.executor import Busy
from formatlab.launch.runs_root import RunsRoot
from formatlab.launch.schedule import Outcome
from formatlab.store.lock import Owner
from formatlab.study.experiment import load_experiment
from formatlab.study.task import Task
from formatlab.train.progress import Emit

_PASSED_ON = (
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HF_HUB_DISABLE_TELEMETRY",
    "TOKENIZERS_PARALLELISM",
    "TQDM_DISABLE",
)
"""Environment variables of the launcher that its workers get."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteTask:
    """One task, in a form that a machine with another formatlab can refuse."""

    address: str
    """Address of the task."""
    label: str
    """Label of the task."""
    formatlab: str
    """The launcher's version."""
    environment: dict[str, str]
    threads: int
    """Most threads that torch may use."""
    experiment: tuple[str, bytes]
    """Name and content of the experiment's file."""
    silent: Owner | None
    """A lock holder whose heartbeat the launcher saw stop; its lock is taken over."""
    pickled: bytes
    """The task and the runs root."""

    @classmethod
    def of(
        cls, task: Task, silent: Owner | None, *, root: RunsRoot, experiment: Path, threads: int
    ) -> Self:
        """Pack a task for another machine.

        Args:
            task: what to do; what it needs is done.
            silent: a holder of its lock who is taken to be dead.
            root: the runs folder.
            experiment: the experiment file, for the formats that it may add.
            threads: most threads that torch may use.
        """
        return cls(
            address=task.address,
            label=task.label,
            formatlab=__version__,
            environment={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            threads=threads,
            experiment=(experiment.name, experiment.read_bytes()),
            silent=silent,
            pickled=pickle.dumps((task, root)),
        )

    def do(self, emit: Emit) -> Outcome | Busy:
        """Do it in this process, unless another launcher holds its lock.

        Args:
            emit: called with progress and remarks.
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
                load_experiment(experiment)  # before unpickling: its formats are in the address
            except FormatlabError as error:  # it may import what is not here
                return self._refused(str(error))
            task, root = pickle.loads(self.pickled)
            if task.address != self.address:
                return self._refused(
                    "the model or the problems have another content here than on the launcher's "
                    "machine, or are not here; give them a path that all machines share"
                )
            owner = root.owner(task)
            if owner is not None and owner != self.silent:
                return Busy(owner.words)
            return root.work(task, experiment=experiment, threads=self.threads, emit=emit)

    def _refused(self, reason: str) -> Outcome:
        return Outcome(self.label, f"on {platform.node()}: {reason}", 1)


Pack = Callable[[Task, Owner | None], RemoteTask]
"""Makes the remote task of a task, see `RemoteTask.of`."""
