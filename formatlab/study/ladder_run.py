"""Tasks on the ladder: making a base, and a run that starts from it in the base's own world.

A base depends on world, scale, pretraining and seed alone, so all runs that start from it, of any
study, share one folder.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from formatlab.errors import FormatlabError
from formatlab.models.scale import find_scale
from formatlab.study.stage_run import StageRun
from formatlab.study.task import Seeds, Task, TaskFacts
from formatlab.train.pretraining.base import Base, kept_model
from formatlab.train.pretraining.make_base import finished_base, make_base
from formatlab.train.progress import Emit, Progress
from formatlab.train.training import TrainingInputs
from formatlab.world.prompt import plain_prompt


@dataclass(frozen=True, kw_only=True)
class BaseTask(Task):
    """The pretraining and first probe of a base; an intermediate one comes of the whole one's."""

    base: Base
    mixture: str = ""
    """Name of the mixture where the study has several."""

    @property
    def address(self) -> str:
        """Under `bases/`, shared by all studies."""
        return f"bases/{self.base.name}"

    @property
    def needs(self) -> "tuple[BaseTask, ...]":
        """The whole base, of an intermediate one."""
        return (replace(self, base=self.base.whole),) if self.base.after < 1 else ()

    @property
    def facts(self) -> TaskFacts:
        """Scale, mixture, seeds and part of the pretraining."""
        return TaskFacts(
            kind="base",
            chain="base",
            scale=self.base.scale,
            mixture=self.base.world.mixture.name,
            details=self.mixture,
            seeds=_seeds(self.base, sampling=self.base.seed),
            after=self.base.after,
        )

    @property
    def most_threads(self) -> int | None:
        """One for models of less than a million parameters, on every machine.

        Their matrices are too small to share, and so their results do not depend on --jobs.
        """
        return 1 if find_scale(self.base.scale).width <= 128 else None

    def outdated(self, runs: Path) -> str | None:
        """Why an intermediate base is not what it would be now: its weights are others."""
        with suppress(FormatlabError):
            kept = [finished_base(need.base, runs).summary["kept"] for need in self.needs]
            own = finished_base(self.base, runs).summary["sha256"]
            if any(models[kept_model(self.base.after)] != own for models in kept):
                return "its pretraining was done again, with other weights"
        return None

    def execute(self, runs: Path, emit: Emit) -> None:
        """Make it, or go on with it."""

        def report(step: int, total: int, note: str) -> None:
            emit(Progress(self.label, step, total, None, None, note))

        make_base(self.base, runs, report)


@dataclass(frozen=True, kw_only=True)
class LadderRun(StageRun):
    """The last stage of a training that begins with a base of the ladder, in its own world."""

    base: Base
    mixture: str = ""
    """Name of the mixture where the study has several."""

    @property
    def decided(self) -> Mapping[str, Any]:
        """The base."""
        return {"base": self.base.config}

    @property
    def origin(self) -> tuple[Task, ...]:
        """The base."""
        return (BaseTask(base=self.base, mixture=self.mixture),)

    @property
    def facts(self) -> TaskFacts:
        """Stages, scale, mixture, seeds, and its other differences from the study's runs."""
        return TaskFacts(
            kind="run",
            chain=self.training.label,
            scale=self.base.scale,
            mixture=self.base.world.mixture.name,
            algorithm=self.training.algorithm,
            details=", ".join(filter(None, (self.mixture, self.words))),
            seeds=_seeds(self.base, sampling=self.training.seed),
            after=self.base.after,
        )

    @property
    def most_threads(self) -> int | None:
        """As of the base."""
        return BaseTask(base=self.base).most_threads

    def first_model(self, runs: Path) -> Path:
        """The base."""
        return finished_base(self.base, runs).path

    def inputs(self, runs: Path) -> TrainingInputs:
        """The base, or the policy of the stage before, and problems of the base's world."""
        world, training = self.base.world, self.training
        base = finished_base(self.base, runs)
        config = {
            "name": self.base.scale,
            "scale": {
                "name": self.base.scale,
                "parameters": base.summary["parameters"],
                "non_embedding_parameters": base.summary["non_embedding_parameters"],
                "width": find_scale(self.base.scale).width,
            },
            "mixture": dict(world.mixture.shares),
            "mixture_name": world.mixture.name,
            "world": world.config,
            "base": {
                "config": self.base.config,
                "sha256": base.summary["sha256"],
                "token_shares": base.summary["token_shares"],
                "held_out_loss": base.summary["held_out_loss"],
                "undertrained": base.summary["undertrained"],
                "floor": self.base.pretraining.accuracy_floor,
            },
        }
        probe_problems = world.problems("probe", training.probe.prompts)
        problems = world.problems("rl", training.stages[-1].settings.prompts)
        return TrainingInputs(
            config=config,
            model=self.start(runs),
            prompts=[plain_prompt(problem) for problem in problems],
            probe_prompts=[plain_prompt(problem) for problem in probe_problems],
            world=world,
        )


def _seeds(base: Base, *, sampling: int) -> Seeds:
    return Seeds(world=base.world.seed, initialisation=base.seed, sampling=sampling)
