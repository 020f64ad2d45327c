"""A small run as a process of its own, which can be told to kill itself at a given moment.

Arguments: algorithm, folder of the base, run folder, moment. Moments: `none`, `report:N` (after
step N, before its checkpoint), `checkpoint:N` (in the middle of writing the Nth checkpoint),
`probe:N` (when the Nth probe is about to be written), `policy:1` (when all steps are done).
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from accelerate import PartialState

from formatlab.models.model import silence_libraries
from formatlab.store.rollout import Split
from formatlab.store.run_folder import RunFolder
from formatlab.train import policy
from formatlab.train.on_policy.exploration import Exploration
from formatlab.train.on_policy.settings import Grpo, OnPolicy, Ppo, Rloo
from formatlab.train.probe import Probe
from formatlab.train.reward import Reward
from formatlab.train.stage import StageInputs
from formatlab.world.mixture import Mixture
from formatlab.world.prompt import plain_prompt
from formatlab.world.world import World

WORLD = World(
    mixture=Mixture(name="tiny", shares={"direct": 0.4, "tool_tags": 0.6}),
    families=("chain",),
    max_steps=1,
    largest=5,
)
SMALL: dict[str, Any] = {
    "learning_rate": 1e-3,
    "prompts": 12,
    "prompts_per_step": 4,
    "group_size": 4,
    "epochs": 2,
    "completion_length": 24,
    "checkpoint_every": 1,
}
SETTINGS = Grpo(**SMALL)
ALGORITHMS: dict[str, OnPolicy] = {
    "grpo": SETTINGS,
    "ppo": Ppo(**SMALL, kl_coefficient=0.01, iterations=2),
    "ppo-critic": Ppo(**SMALL, critic="model", sequences_per_update=8),
    "rloo": Rloo(**SMALL, kl_coefficient=0.01),
    "bonus": SETTINGS,
}
OPTIONS: dict[str, dict[str, Any]] = {
    # Drawn by lot, so that a resumed run has to draw the same lots again.
    "bonus": {"exploration": Exploration(bonus="ucb_mean"), "reward": Reward(kind="random")},
}
PROBE = Probe(prompts=6, samples=2, fractions=(0.34,))


def train(
    base: Path,
    folder: Path,
    *,
    settings: OnPolicy = SETTINGS,
    seed: int = 5,
    report: Any = lambda *_: None,
    **options: Any,
) -> RunFolder:
    """Run, or go on with, a small run in a folder."""
    torch.set_num_threads(1)
    silence_libraries()
    run = RunFolder.create(folder, config={"name": "small"}, env={})
    settings.run(
        StageInputs(
            folder=run,
            model=base / "model",
            prompts=[plain_prompt(p) for p in WORLD.problems("rl", settings.prompts)],
            probe=PROBE,
            probe_prompts=[plain_prompt(p) for p in WORLD.problems("probe", PROBE.prompts)],
            seed=seed,
            report=report,
            **options,
        )
    )
    return run


def start(algorithm: str, base: Path, folder: Path, *, report: Any = lambda *_: None) -> RunFolder:
    """Run, or go on with, the small run of an algorithm."""
    options = OPTIONS.get(algorithm, {})
    return train(base, folder, settings=ALGORITHMS[algorithm], report=report, **options)


def die() -> None:
    """End as an out-of-memory kill or a pulled plug would."""
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Parse the arguments and run."""
    algorithm, base, folder, moment = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    kind, _, number = moment.partition(":")
    left = int(number or 0)

    def count_down(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            die()

    if kind == "checkpoint":
        save = transformers.Trainer._save_rng_state

        def dying_save(self: transformers.Trainer, output_dir: str) -> None:
            count_down()
            save(self, output_dir)

        transformers.Trainer._save_rng_state = dying_save
    if kind == "policy":
        policy.save_policy = count_down
    if kind == "probe":
        write = RunFolder.write_rollouts

        def dying_write(
            self: RunFolder, split: Split, epoch: float, rows: Any, *, part: int = 0
        ) -> Path:
            if split == "probe":
                count_down()
            return write(self, split, epoch, rows, part=part)

        RunFolder.write_rollouts = dying_write
    report = count_down if kind == "report" else lambda *_: None
    start(algorithm, base, folder, report=report)
    print(f"one of {PartialState().num_processes} processes")


if __name__ == "__main__":
    main()
