"""A run: the last stage of a training, from the policy of the stage before or from a first model.

Runs on the ladder and runs of real models have this in common: each stage is a run of its own, and
the next stage starts from its folder. The subclasses say what the first stage starts
from and on which problems all stages train.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from formatlab.study.task import Task, finish_run, start_digest, started_elsewhere
from formatlab.train.progress import Emit
from formatlab.train.training import Training, train, whole_policy
from formatlab.world.prompt import Prompt
from formatlab.world.world import World


@dataclass(frozen=True, kw_only=True)
class StageRun(Task):
    """The last stage of a training."""

    study: str
    training: Training
    words: str = ""
    """Its differences, besides its stages, from other runs of its scale and seeds."""

    @property
    def before(self) -> Self | None:
        """The run of the stage before; None for the first."""
        before = self.training.before
        return replace(self, training=before, words="") if before else None

    @property
    def needs(self) -> tuple[Task, ...]:
        """The stage before, or what makes the first model."""
        return (self.before,) if self.before else self.origin

    @property
    def origin(self) -> tuple[Task, ...]:
        """The task that makes the model of the first stage, where one does."""
        return ()

    @property
    def steps(self) -> int:
        """Steps of the stage."""
        return self.training.stages[-1].settings.steps

    def outdated(self, runs: Path) -> str | None:
        """Why the run must be made again: its start was made again with other weights."""
        return started_elsewhere(self, runs)

    def start(self, runs: Path) -> Path:
        """The model that the stage starts from, as a transformers folder."""
        before = self.before
        if before is None:
            return self.first_model(runs)
        return whole_policy(runs / before.address, before.start(runs))

    @abstractmethod
    def first_model(self, runs: Path) -> Path:
        """The model that the first stage starts from, as a transformers folder."""

    def train(
        self,
        runs: Path,
        config: Mapping[str, Any],
        *,
        model: Path,
        prompts: list[Prompt],
        probe_prompts: list[Prompt],
        world: World | None,
        emit: Emit,
    ) -> None:
        """Train the stage into its folder, or go on with it, and mark it done.

        Args:
            runs: the runs folder.
            config: what besides the training decides the result.
            model: see `start`.
            prompts: of training.
            probe_prompts: what policies are observed on.
            world: what renders documents; None for real models.
            emit: called with the progress.
        """
        train(
            self.training,
            runs / self.address,
            {"study": self.study, "start_sha256": start_digest(self, runs), **config},
            title=self.label,
            model=model,
            prompts=prompts,
            probe_prompts=probe_prompts,
            world=world,
            emit=emit,
        )
        finish_run(runs / self.address)
