"""RLOO as TRL does it, with every rollout kept."""

from pathlib import Path
from typing import Any

from trl.trainer.rloo_config import RLOOConfig
from trl.trainer.rloo_trainer import RLOOTrainer

from formatlab.train.on_policy.engine import Engine
from formatlab.train.on_policy.rollout_trainer import RolloutTrainer
from formatlab.train.on_policy.settings import Rloo
from formatlab.train.on_policy.trl_arguments import trl_arguments


class LabRlooTrainer(RolloutTrainer, RLOOTrainer):
    """TRL's trainer with the lab's sampler, order and records; its loss is untouched."""

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], *args: Any, **kwargs: Any
    ) -> list[list[int]]:
        if self._lab_samples:
            return self._sample(prompt_ids)
        completion_ids = super()._generate_single_turn(prompt_ids, *args, **kwargs)
        self._keep_sampled(completion_ids)
        return completion_ids


def rloo_config(
    settings: Rloo, engine: Engine, *, output: Path, seed: int, processes: int
) -> RLOOConfig:
    """TRL's configuration for the settings."""
    return RLOOConfig(
        **trl_arguments(settings, engine, output=output, seed=seed, processes=processes),
        normalize_advantages=settings.normalise_advantages,
    )
