"""A packed task: a task as it travels to the process that does it, with everything that takes.

The process may be on another machine, and may import another formatlab or another experiment file
than the launcher did; then it refuses.
"""

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
from formatlab.train.failure import failure_reason
from formatlab.train.progress import Emit

_PASSED_ON = (
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HF_HUB_DISABLE_TELEMETRY",
    "TOKENIZERS_PARALLELISM",
    "TQDM_DISABLE",
)
"""Environment variables of the launcher that its workers get."""
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables that libraries read their number of threads from."""
_LOADED: list[tuple[Path, bytes]] = []
"""Path and content of the experiment files that this process has loaded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedTask:
    """One task, in a form that a process with another formatlab can refuse."""

    address: str
    label: str
    formatlab: str
    """The launcher's version."""
    environment: dict[str, str]
    threads: int
    """Most threads that torch may use."""
    experiment: tuple[Path, bytes]
    """Path and content of the experiment's file."""
    silent: Owner | None
    """A lock holder whose heartbeat the launcher saw stop; its lock is taken over."""
    pickled: bytes
    """The task and the runs root."""

    @classmethod
    def of(
        cls, task: Task, silent: Owner | None, *, root: RunsRoot, experiment: Path, threads: int
    ) -> Self:
        """Pack a task for another process.

        Args:
            task: what to do; what it needs is done.
            silent: a holder of its lock who is taken to be dead.
            root: the runs folder.
            experiment: the experiment file, for the formats and algorithms that it may add.
            threads: most threads of the process; more than cores slow small models down tenfold.
        """
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return cls(
            address=task.address,
            label=task.label,
            formatlab=__version__,
            environment=passed_on | dict.fromkeys(_THREADS, str(threads)),
            threads=threads,
            experiment=(experiment.absolute(), experiment.read_bytes()),
            silent=silent,
            pickled=pickle.dumps((task, root)),
        )

    def do(self, emit: Emit) -> Outcome | Busy:
        """Do it in this process, unless another launcher holds its lock."""
        if self.formatlab != __version__:
            return self._refused(
                f"this is formatlab {__version__}, and the launcher's is {self.formatlab}; install "
                "the same version on all machines"
            )
        os.environ.update(self.environment)
        with tempfile.TemporaryDirectory(prefix="formatlab-") as folder:
            experiment, content = self.experiment
            try:
                # Once a process: it may add formats and algorithms, and bring classes of the task.
                if self.experiment not in _LOADED:
                    # The file itself, if it is the launcher's: it may read what lies beside it.
                    if not experiment.is_file() or experiment.read_bytes() != content:
                        experiment = Path(folder) / experiment.name
                        experiment.write_bytes(content)
                    load_experiment(experiment)
                    _LOADED.append(self.experiment)
                task, root = pickle.loads(self.pickled)
                address = task.address
            except FormatlabError as error:  # it may import what is not here
                return self._refused(str(error))
            except Exception as error:
                return self._refused(failure_reason(error))
            if address != self.address:
                return self._refused(
                    "the model, the problems or the experiment have another content here than "
                    "where the launcher started, or are not here; give them a path that all "
                    "machines share, and start again after a change"
                )
            owner = root.owner(task)
            if owner is not None and owner != self.silent:
                return Busy(owner.words)
            return root.work(task, threads=self.threads, emit=emit)

    def _refused(self, reason: str) -> Outcome:
        return Outcome(self.label, f"on {platform.node()}: {reason}", 1)


Pack = Callable[[Task, Owner | None], PackedTask]
"""Packs a task, see `PackedTask.of`."""
