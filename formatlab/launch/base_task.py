"""The making of a base as a task, shared by all runs that start from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from formatlab.launch.make_base import make_base
from formatlab.launch.progress import Progress
from formatlab.launch.task import Emit, Task
from formatlab.models.scale import find_scale
from formatlab.train.base import Base


@dataclass(frozen=True, kw_only=True)
class BaseTask(Task):
    """The pretraining and first probe of a base."""

    base: Base
    mixture: str = ""
    """Name of the mixture where the study has several."""

    @property
    def address(self) -> str:
        """Under `bases/`, whatever study asks for it."""
        return f"bases/{self.base.name}"

    @property
    def needs(self) -> tuple[Task, ...]:
        """Nothing."""
        return ()

    @property
    def label(self) -> str:
        """Scale, seeds, and the mixture if that is needed."""
        place = f"base {self.base.scale} {self.base.seeds}"
        return ", ".join(filter(None, [place, self.mixture]))

    @property
    def facts(self) -> Mapping[str, str]:
        """What decides it."""
        return {
            "kind": "base",
            "scale": self.base.scale,
            "mixture": self.base.world.mixture.name,
            "seed": str(self.base.seed),
            "world_seed": str(self.base.world.seed),
        }

    @property
    def steps(self) -> int | None:
        """Not known: the corpus decides it."""
        return None

    @property
    def most_threads(self) -> int | None:
        """One for models of less than a million parameters, whatever the machine.

        Their matrices are too small to share, and so their results do not depend on --jobs.
        """
        return 1 if find_scale(self.base.scale).width <= 128 else None

    @property
    def together(self) -> bool:
        """One process makes it."""
        return False

    def execute(self, runs: Path, emit: Emit) -> None:
        """Make it, or go on with it."""

        def report(step: int, total: int, note: str) -> None:
            emit(Progress(self.label, step, total, None, None, note))

        make_base(self.base, runs, report)
