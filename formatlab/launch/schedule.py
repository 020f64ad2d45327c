"""The schedule: which tasks of a study may begin, and how each one ended."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from formatlab.errors import FormatlabError
from formatlab.study.task import Task


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one task ended."""

    label: str
    error: str | None = None
    """The error message, with a traceback if it was a bug. None if the task is done."""
    exit_status: int = 0
    """0, or the exit status that the command ends with."""

    @property
    def reason(self) -> str:
        """The first line of what went wrong, which says the most."""
        return (self.error or "").strip().partition("\n")[0]


class Schedule:
    """The account of a study's tasks."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        """Take the tasks with everything they need, in order of preference (see `graph`)."""
        self.tasks = {task.address: task for task in tasks}
        # Asked for once: some are hashes of files.
        self._needs = {of: [n.address for n in task.needs] for of, task in self.tasks.items()}
        self.outcomes: dict[str, Outcome] = {}
        """By address."""
        self.under_way: set[str] = set()
        """Addresses of the tasks that have begun and not ended."""

    @property
    def finished(self) -> bool:
        """Whether every task has an outcome."""
        return len(self.outcomes) == len(self.tasks)

    def end_done(self, is_done: Callable[[Task], bool]) -> int:
        """End the tasks in whose folders there is nothing left to do, and say how many they are.

        Skips tasks whose folder cannot be read now, and tasks that need an unfinished one, whose
        result may still change.

        Args:
            is_done: whether a task's folder is finished, and what the task would make now.
        """
        before = len(self.outcomes)
        for address, task in self.tasks.items():
            if all(map(self._is_done, self._needs[address])):
                with suppress(FormatlabError, OSError):
                    if is_done(task):
                        self.outcomes[address] = Outcome(task.label)
        return len(self.outcomes) - before

    def ready(self) -> list[Task]:
        """The tasks that may begin, in order."""
        return [
            task
            for address, task in self.tasks.items()
            if address not in self.outcomes
            and address not in self.under_way
            and all(map(self._is_done, self._needs[address]))
        ]

    def end(self, task: Task, outcome: Outcome) -> None:
        """A task ended; what waits for one that failed cannot begin any more."""
        self.under_way.discard(task.address)
        self.outcomes[task.address] = outcome
        for address, other in self.tasks.items():
            for need in self._needs[address]:
                ended = self.outcomes.get(need)
                if ended and ended.error is not None and address not in self.outcomes:
                    reason = f"not begun, because {self.tasks[need].label} failed"
                    self.outcomes[address] = Outcome(other.label, reason, ended.exit_status)

    def _is_done(self, address: str) -> bool:
        outcome = self.outcomes.get(address)
        return outcome is not None and outcome.error is None
