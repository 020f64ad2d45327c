"""Executors: the places where tasks run. The local pool, Ray and Slurm are executors.

An executor starts one process for each task that the monitor submits, and reports what happens to
it as `TaskEvent`s. It decides nothing else. Its side of the contract:

- Work: the process gets `PackedTask.of(...)` and calls `.do(emit)`, which returns the task's
  `Outcome`.
- `Busy`, which `do` returns instead where another launcher holds the lock, is passed on unchanged.
- `Lost` is what the executor itself returns when a process or a machine ended without an outcome.
  The monitor submits the task again, as often as `--retries` allows.
- Progress and remarks, which `emit` takes, travel to the launcher by the executor's own means: a
  pipe, an actor, a file. They may come late or be dropped; the end of a task must be reported.
- `events` waits for news, for a few seconds at most, so that the monitor may call it in a loop.
"""

from dataclasses import dataclass
from typing import Protocol

from formatlab.errors import RunError
from formatlab.launch.schedule import Outcome
from formatlab.store.lock import Owner
from formatlab.study.task import Task
from formatlab.train.progress import Progress, Remark


class QueueFull(RunError):
    """The queue of a cluster takes no more tasks now."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Why a task was not started: another process holds its lock."""

    owner: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A task whose process or machine ended without an outcome."""

    reason: str


TaskEvent = Progress | Remark | Outcome | Busy | Lost


class Executor(Protocol):
    """Where tasks run."""

    def has_room(self, task: Task) -> bool:
        """Whether the task could be submitted now."""
        ...

    def submit(self, task: Task, silent: Owner | None) -> None:
        """Start the task, or queue it.

        Args:
            task: for which there is room.
            silent: a holder of its lock without a heartbeat, whose lock is taken over.

        Raises:
            QueueFull: the queue takes no more now.
        """
        ...

    def events(self) -> list[tuple[str, TaskEvent]]:
        """What happened since the last call, each with its task's address.

        Waits for up to a few seconds. A remark about no task in particular has the address "".
        """
        ...

    def cancel(self) -> None:
        """End everything that was submitted and has not ended."""
        ...
