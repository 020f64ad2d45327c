"""A run: one unit of work of a study, executed in a process of its own."""

from abc import ABC, abstractmethod
from pathlib import Path

from formatlab.launch.training import Emit


class Run(ABC):
    """What a worker is given to do; interrupted, it goes on where it was."""

    @property
    @abstractmethod
    def label(self) -> str:
        """What the progress display calls it."""

    @property
    def most_threads(self) -> int | None:
        """Threads beyond which the work gets slower; None where more always help."""
        return None

    @abstractmethod
    def execute(self, runs: Path, emit: Emit) -> Path:
        """Do the work, or go on with it, and give the finished run folder."""
