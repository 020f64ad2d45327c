"""A run on the ladder: one (world, scale, algorithm, seed)."""

from dataclasses import asdict, dataclass
from pathlib import Path

from formatlab.launch.lock import locked
from formatlab.launch.make_base import find_base, make_base
from formatlab.launch.progress import Progress
from formatlab.launch.run import Emit, Run, train_run
from formatlab.models.scale import find_scale
from formatlab.store.config_hash import config_hash
from formatlab.train.base import Base
from formatlab.train.grpo import Grpo
from formatlab.train.probe import Probe
from formatlab.world.prompt import plain_prompt


@dataclass(frozen=True, kw_only=True)
class LadderRun(Run):
    """GRPO of a base of the ladder in its own world."""

    study: str
    base: Base
    grpo: Grpo
    probe: Probe

    @property
    def label(self) -> str:
        """Scale and seed."""
        return f"{self.base.scale} s{self.base.seed}"

    @property
    def most_threads(self) -> int | None:
        """One for models of less than a million parameters, whatever the machine.

        Their matrices are too small to share, and so their results do not depend on --jobs.
        """
        return 1 if find_scale(self.base.scale).width <= 128 else None

    def execute(self, runs: Path, emit: Emit) -> Path:
        """Make the base if there is none, then train."""
        stage = f"base {self.label}"

        def report(step: int, total: int, note: str) -> None:
            emit(Progress(stage, step, total, None, None, note))

        world, seed = self.base.world, self.base.seed
        prompts = [plain_prompt(p) for p in world.problems("rl", self.grpo.prompts)]
        probe_prompts = [plain_prompt(p) for p in world.problems("probe", self.probe.prompts)]
        with locked(runs / "bases" / self.base.name, wait=True):
            base = find_base(self.base, runs) or make_base(self.base, runs, report)
        config = {
            "kind": "run",
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
            "algorithm": "grpo",
            "reward": "correctness",
            "seed": seed,
            "world": asdict(world),
            "base": {
                "config": self.base.config,
                "sha256": base.summary["sha256"],
                "token_shares": base.summary["token_shares"],
                "held_out_loss": base.summary["held_out_loss"],
                "undertrained": base.summary["undertrained"],
                "floor": self.base.pretraining.accuracy_floor,
            },
            "grpo": self.grpo.config,
            "probe": asdict(self.probe),
        }
        name = f"{self.base.scale}-{world.mixture.name}-grpo-s{seed}-{config_hash(config)}"
        return train_run(
            runs / self.study / name,
            config,
            label=self.label,
            model=base.path,
            grpo=self.grpo,
            prompts=prompts,
            probe=self.probe,
            probe_prompts=probe_prompts,
            seed=seed,
            lora=None,
            emit=emit,
        )
