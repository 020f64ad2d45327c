"""Slurm: an executor whose tasks are jobs of their own, through submitit."""

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from formatlab.errors import InputError, RunError
from formatlab.launch.executor import Busy, Lost, QueueFull, TaskEvent
from formatlab.launch.options import LaunchOptions
from formatlab.launch.packed_task import Pack, PackedTask
from formatlab.launch.schedule import Outcome
from formatlab.store.lock import Owner
from formatlab.study.task import Task
from formatlab.train.progress import Progress, Remark

_LOOK_EVERY = 2.0
"""Seconds between two looks at the jobs' files."""
_WARNED = 120
"""Slurm warns a job this many seconds before its time limit, so it can finish writing."""
_TIMES = 10_000
"""How often a job may reach its time limit and be queued again."""


class SlurmCluster:
    """See `executor.Executor`."""

    def __init__(
        self, options: LaunchOptions, pack: Pack, *, most: int, folder: Path, study: str
    ) -> None:
        """Look for Slurm.

        Args:
            options: what sbatch is asked for.
            pack: packs tasks for their jobs.
            most: most jobs submitted at a time.
            folder: where jobs keep their logs; all machines share it.
            study: what the jobs are called after.

        Raises:
            InputError: submitit is not installed, there is no Slurm here, or it has no such option.
        """
        try:
            import submitit
        except ImportError as error:
            raise InputError("submitit is not installed: pip install 'formatlab[slurm]'") from error
        slurm = options.slurm
        parameters: dict[str, Any] = {
            "name": f"formatlab-{study}",
            "timeout_min": slurm.minutes,
            "gpus_per_node": int(options.gpus_per_run or 0) or None,
            "mem_gb": options.memory_gb_per_run,
            "slurm_partition": slurm.partition or None,
            "slurm_account": slurm.account or None,
            "slurm_signal_delay_s": _WARNED,
            "slurm_additional_parameters": _named(slurm.options) or None,
        }
        try:
            self._executor = submitit.AutoExecutor(
                folder=folder, cluster=slurm.cluster, slurm_max_num_timeout=_TIMES
            )
            self._executor.update_parameters(**parameters)
        except RuntimeError as error:
            raise InputError(
                "there is no Slurm on this machine (no srun); run the command where sbatch works, "
                "or try it out with --slurm.cluster local"
            ) from error
        self._pack, self._most = pack, most
        self._folder, self._cpus = folder, options.cpus_per_run
        self._jobs: dict[str, _Submitted] = {}

    def has_room(self, task: Task) -> bool:
        """Whether fewer jobs are submitted than may be."""
        return len(self._jobs) < self._most

    def submit(self, task: Task, silent: Owner | None) -> None:
        """Queue it.

        Raises:
            QueueFull: sbatch refuses it, as where a user may queue no more jobs.
            RunError: the folder of the jobs cannot be written to.
        """
        from submitit.core.utils import FailedJobError

        news = self._folder / f"{task.address.replace('/', '--')}.jsonl"
        news.unlink(missing_ok=True)
        cpus = min(self._cpus, task.most_threads or self._cpus)
        self._executor.update_parameters(cpus_per_task=cpus)
        try:
            job = self._executor.submit(_Job(self._pack(task, silent), news))
        except FailedJobError as error:
            raise QueueFull(f"sbatch refused a job: {' '.join(str(error).split())}") from error
        except OSError as error:
            raise RunError(f"a job cannot be written to {self._folder}: {error}") from error
        self._jobs[task.address] = _Submitted(job, task.label, news)

    def events(self) -> list[tuple[str, TaskEvent]]:
        """News from the files of the jobs; looks once every `_LOOK_EVERY` seconds."""
        time.sleep(_LOOK_EVERY)
        events: list[tuple[str, TaskEvent]] = []
        for address, submitted in list(self._jobs.items()):
            ended = submitted.job.done()
            events += [(address, event) for event in submitted.read()]
            if ended:
                del self._jobs[address]
                submitted.news.unlink(missing_ok=True)
                events.append((address, _result(submitted.job, submitted.label)))
        return events

    def cancel(self) -> None:
        """Cancel all jobs."""
        for submitted in self._jobs.values():
            submitted.job.cancel(check=False)


@dataclass
class _Submitted:
    """A job in the queue, and how much of its news was read."""

    job: Any
    label: str
    news: Path
    """File of its progress and remarks, a line each."""
    read_to: int = 0
    """Bytes of the file that were read."""

    def read(self) -> list[Progress | Remark]:
        """The news since the last call; a line that is still being written waits."""
        lines: list[bytes] = []
        with suppress(FileNotFoundError), self.news.open("rb") as file:
            file.seek(self.read_to)
            *lines, rest = file.read().split(b"\n")
            self.read_to = file.tell() - len(rest)
        news: list[Progress | Remark] = []
        for line in lines:
            with suppress(ValueError, TypeError):  # cut short where the job was ended
                said = json.loads(line)
                news.append(Remark(**said) if "text" in said else Progress(**said))
        return news


@dataclass(frozen=True)
class _Job:
    """A job's function; submitit calls `checkpoint` when its time is up, and queues it again."""

    packed: PackedTask
    news: Path

    def __call__(self) -> Outcome | Busy:
        return self.packed.do(self._tell)

    def checkpoint(self) -> Any:
        """The same again: the run folder knows how far it has come."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _tell(self, event: Progress | Remark) -> None:
        with suppress(OSError), self.news.open("a") as file:
            file.write(f"{json.dumps(asdict(event))}\n")


def _result(job: Any, label: str) -> TaskEvent:
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        return job.result()
    except FailedJobError as error:  # an exception that nobody foresaw
        return Outcome(label, str(error), 1)
    except UncompletedJobError:
        return Lost(f"job {job.job_id} ended without a word ({job.state}; see {job.paths.stderr})")


def _named(options: tuple[str, ...]) -> dict[str, str]:
    for option in options:
        if not all(option.partition("=")):
            raise InputError(f"--slurm.options {option}: give name=value, as constraint=a100")
    return {name.lstrip("-"): value for name, _, value in (o.partition("=") for o in options)}
