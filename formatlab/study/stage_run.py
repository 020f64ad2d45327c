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

from formatlab.store.config import config_hash
from formatlab.store.run_folder import RunFolder
from formatlab.store.weights import weights_digest
from formatlab.study.task import Task
from formatlab.train.progress import Emit
from formatlab.train.training import Training, TrainingInputs, train, whole_policy


@dataclass(frozen=True, kw_only=True)
class StageRun(Task):
    """The last stage of a training."""

    study: str
    training: Training
    words: str = ""
    """Its differences, besides its stages, from other runs of its scale and seeds."""

    @property
    @abstractmethod
    def decided(self) -> Mapping[str, Any]:
        """What besides study and stages decides the result and is known beforehand."""

    @abstractmethod
    def first_model(self, runs: Path) -> Path:
        """The model that the first stage starts from, as a transformers folder."""

    @abstractmethod
    def inputs(self, runs: Path) -> TrainingInputs:
        """The model, the problems, and what the configuration says of them."""

    @property
    def address(self) -> str:
        """Named by scale or model, mixture, algorithm and seeds."""
        stages = {"stages": self.training.decided}
        decided = {"kind": "run", "study": self.study, **self.decided, **stages}
        of = self.facts
        start = of.mixture + f"-after{of.after}" * (of.after < 1)
        name = f"{of.scale}-{start}-{of.algorithm}-{of.seeds}"
        return f"{self.study}/{name}-{config_hash(decided)}"

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
    def selectors(self) -> Mapping[str, str]:
        """The names and values that `--only` selects it by: scale, seed, algorithm, and so on."""
        of = self.facts
        assert of.seeds is not None
        return {
            "kind": "run",
            "scale": of.scale,
            "mixture": of.mixture,
            "seed": str(of.seeds.initialisation),
            "world_seed": str(of.seeds.world),
            "after": str(of.after),
            **self.training.selectors,
        }

    @property
    def steps(self) -> int:
        """Steps of the stage."""
        return self.training.stages[-1].settings.steps

    def start(self, runs: Path) -> Path:
        """The model that the stage starts from, as a transformers folder."""
        before = self.before
        if before is None:
            return self.first_model(runs)
        return whole_policy(runs / before.address, before.start(runs))

    def execute(self, runs: Path, emit: Emit) -> None:
        """Train, or go on with it; then measure the winners and mark the run done.

        Where several processes train, the first one measures.
        """
        from accelerate import PartialState

        from formatlab.forecast.record import write_forecasts
        from formatlab.measure import run_winners
        from formatlab.train.response import write_response

        def forecast(run: RunFolder) -> None:
            write_response(run, inputs.model)
            write_forecasts(run)

        inputs = self.inputs(runs)
        start = {"study": self.study, "start_sha256": self.start_digest(runs)}
        inputs = replace(inputs, config={**start, **inputs.config}, before_first_step=forecast)
        folder = train(self.training, runs / self.address, inputs, title=self.label, emit=emit)
        processes = PartialState()
        if processes.is_main_process:
            folder.write_winners(run_winners(folder))
            folder.mark_done(
                {
                    "steps": len(folder.metrics()),
                    "rollouts": folder.count_rollouts("train"),
                    "policy_sha256": weights_digest(folder.path / "policy"),
                }
            )
            folder.remove_checkpoints()
        processes.wait_for_everyone()
