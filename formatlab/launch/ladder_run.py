"""A run on the ladder: one (world, scale, training, seed)."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from formatlab.launch.lock import locked
from formatlab.launch.make_base import BaseFolder, find_base, make_base
from formatlab.launch.progress import Progress
from formatlab.launch.run import Run
from formatlab.launch.training import Emit, Training, train
from formatlab.models.device import best_device
from formatlab.models.scale import find_scale
from formatlab.train.base import Base
from formatlab.train.pretrain import Report
from formatlab.world.prompt import plain_prompt


@dataclass(frozen=True, kw_only=True)
class LadderRun(Run):
    """The training of a base of the ladder in its own world."""

    study: str
    base: Base
    training: Training
    words: str = ""
    """What beside its stages tells it from the other runs of its scale and seed."""

    @property
    def label(self) -> str:
        """Stages, scale, seed, and what else tells it from the others."""
        return f"{self.training.label} {self._place}"

    @property
    def _place(self) -> str:
        return ", ".join(filter(None, [f"{self.base.scale} s{self.base.seed}", self.words]))

    @property
    def most_threads(self) -> int | None:
        """One for models of less than a million parameters, whatever the machine.

        Their matrices are too small to share, and so their results do not depend on --jobs.
        """
        return 1 if find_scale(self.base.scale).width <= 128 else None

    def execute(self, runs: Path, emit: Emit) -> Path:
        """Make the base if there is none, then train."""
        stage = f"base {self.base.scale} s{self.base.seed}"

        def report(step: int, total: int, note: str) -> None:
            emit(Progress(stage, step, total, None, None, note))

        world, training = self.base.world, self.training
        prompts = [plain_prompt(p) for p in world.problems("rl", training.prompts)]
        probe_prompts = [plain_prompt(p) for p in world.problems("probe", training.probe.prompts)]
        base = self._base(runs, report)
        common = {
            "study": self.study,
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
        return train(
            training,
            runs / self.study,
            common,
            name=f"{self.base.scale}-{world.mixture.name}",
            place=self._place,
            model=base.path,
            prompts=prompts,
            probe_prompts=probe_prompts,
            world=world,
            emit=emit,
        )

    def _base(self, runs: Path, report: Report) -> BaseFolder:
        """The base, made if there is none; of several processes by the first, while others wait."""
        from accelerate import PartialState

        makes_it = PartialState(cpu=best_device().type == "cpu").is_main_process
        while True:
            with locked(runs / "bases" / self.base.name, wait=True):
                found = find_base(self.base, runs)
                if found is None and makes_it:
                    return make_base(self.base, runs, report)
            if found is not None:
                return found
            time.sleep(1)
