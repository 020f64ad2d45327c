"""A run on the ladder: one (world, scale, training, seeds)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from formatlab.launch.base_task import BaseTask
from formatlab.launch.make_base import finished_base
from formatlab.launch.start import start_digest, started_elsewhere
from formatlab.launch.task import Emit, Task
from formatlab.launch.training import Training, train, whole_policy
from formatlab.models.scale import find_scale
from formatlab.store.config_hash import config_hash
from formatlab.train.base import Base
from formatlab.world.prompt import plain_prompt


@dataclass(frozen=True, kw_only=True)
class LadderRun(Task):
    """The last stage of a training that begins with a base of the ladder, in its own world."""

    study: str
    base: Base
    training: Training
    mixture: str = ""
    """Name of the mixture where the study has several."""
    words: str = ""
    """What beside its stages tells it from the other runs of its scale and seed."""

    @property
    def address(self) -> str:
        """Named by scale, mixture, algorithm and seeds."""
        decided = {
            "kind": "run",
            "study": self.study,
            "base": self.base.config,
            "stages": self.training.decided,
        }
        name = f"{self.base.scale}-{self.base.world.mixture.name}-{self.training.algorithm}"
        return f"{self.study}/{name}-{self._seeds}-{config_hash(decided)}"

    @property
    def before(self) -> Self | None:
        """The run of the stage before; None for the first."""
        before = self.training.before
        return replace(self, training=before, words="") if before else None

    @property
    def needs(self) -> tuple[Task, ...]:
        """The stage before, or the base."""
        return (self.before or BaseTask(base=self.base, mixture=self.mixture),)

    @property
    def label(self) -> str:
        """Stages, scale, seeds, and what else tells it from the others."""
        place = f"{self.training.label} {self.base.scale} {self._seeds}"
        return ", ".join(filter(None, [place, self.mixture, self.words]))

    @property
    def _seeds(self) -> str:
        sampling = self.training.seed
        return self.base.seeds + (f".{sampling}" if sampling != self.base.seed else "")

    @property
    def facts(self) -> Mapping[str, str]:
        """Those of the base, and what is trained."""
        of_base = BaseTask(base=self.base).facts
        return {**of_base, "kind": "run", **self.training.facts}

    @property
    def steps(self) -> int:
        """Steps of the stage."""
        return self.training.stages[-1].settings.steps

    @property
    def most_threads(self) -> int | None:
        """As of the base."""
        return BaseTask(base=self.base).most_threads

    def outdated(self, runs: Path) -> str | None:
        """The base, or a stage before, may have been made again with other weights."""
        return started_elsewhere(self, runs)

    def start(self, runs: Path) -> Path:
        """The model that the stage starts from."""
        before = self.before
        if before is None:
            return finished_base(self.base, runs).path
        return whole_policy(runs / before.address, before.start(runs))

    def execute(self, runs: Path, emit: Emit) -> None:
        """Train."""
        world, training = self.base.world, self.training
        base = finished_base(self.base, runs)
        common = {
            "study": self.study,
            "start_sha256": start_digest(self, runs),
            "name": self.base.scale,
            "scale": {
                "name": self.base.scale,
                "parameters": base.summary["parameters"],
                "non_embedding_parameters": base.summary["non_embedding_parameters"],
                "width": find_scale(self.base.scale).width,
            },
            "mixture": dict(world.mixture.shares),
            "mixture_name": world.mixture.name,
            "world": asdict(world),
            "base": {
                "config": self.base.config,
                "sha256": base.summary["sha256"],
                "token_shares": base.summary["token_shares"],
                "held_out_loss": base.summary["held_out_loss"],
                "undertrained": base.summary["undertrained"],
                "floor": self.base.pretraining.accuracy_floor,
            },
        }
        count = training.stages[-1].settings.prompts
        train(
            training,
            runs / self.address,
            common,
            title=self.label,
            model=self.start(runs),
            prompts=[plain_prompt(p) for p in world.problems("rl", count)],
            probe_prompts=[
                plain_prompt(p) for p in world.problems("probe", training.probe.prompts)
            ],
            world=world,
            emit=emit,
        )
