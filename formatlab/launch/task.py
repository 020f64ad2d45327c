"""A task: a node of a study's graph, which makes one folder of the runs folder."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from formatlab.launch.progress import Progress, Remark

SEEDS = r"(?:w\d+)?s(\d+)(?:\.\d+)?"
"""How labels and addresses write seeds: `s0`, `w1s0` in another world, `s0.2` sampled otherwise."""

Emit = Callable[[Progress | Remark], None]


class Task(ABC):
    """A base or a run, as launchers see it; interrupted, it goes on where it was."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Its folder, relative to the runs folder: `bases/<name>` or `<study>/<name>`.

        The name ends in the hash of everything that is decided beforehand, so it is known before
        anything is made.
        """

    @property
    @abstractmethod
    def needs(self) -> "tuple[Task, ...]":
        """The tasks whose folders it starts from."""

    @property
    @abstractmethod
    def label(self) -> str:
        """What the progress display calls it."""

    @property
    @abstractmethod
    def facts(self) -> Mapping[str, str]:
        """What it is selected by on the command line: kind, scale, seed, algorithm, and so on."""

    @property
    @abstractmethod
    def steps(self) -> int | None:
        """Steps it has in all; None where that is not known beforehand."""

    @property
    def most_threads(self) -> int | None:
        """Threads beyond which the work gets slower; None where more always help."""
        return None

    @property
    def together(self) -> bool:
        """Whether several processes can do it together; otherwise one does, and others wait."""
        return True

    def outdated(self, runs: Path) -> str | None:
        """Why its finished folder is not what it would make now; None if it is."""
        return None

    @abstractmethod
    def execute(self, runs: Path, emit: Emit) -> None:
        """Make the folder, or go on with it. What it needs is there, and nobody else is at it."""


def graph(tasks: Sequence[Task]) -> list[Task]:
    """All tasks and what they need, each once, and each after what it needs.

    Args:
        tasks: what is asked for, in the order in which it should begin.
    """
    found: dict[str, Task] = {}

    def add(task: Task) -> None:
        for need in task.needs:
            add(need)
        found.setdefault(task.address, task)

    for task in tasks:
        add(task)
    return list(found.values())
