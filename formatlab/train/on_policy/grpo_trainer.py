"""GRPO as TRL does it, with every rollout kept."""

from pathlib import Path
from typing import Any

from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from formatlab.train.on_policy.engine import Engine
from formatlab.train.on_policy.rollout_trainer import RolloutTrainer
from formatlab.train.on_policy.settings import Grpo
from formatlab.train.on_policy.trl_arguments import trl_arguments


class LabGrpoTrainer(RolloutTrainer, GRPOTrainer):
    """TRL's trainer with the lab's sampler, order and records; its loss is untouched."""

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], *args: Any, **kwargs: Any
    ) -> tuple[list[list[int]], list[list[float]] | None]:
        if self._lab_samples:
            return self._sample(prompt_ids), None
        completion_ids, logprobs = super()._generate_single_turn(prompt_ids, *args, **kwargs)
        self._keep_sampled(completion_ids)
        return completion_ids, logprobs


def grpo_config(
    settings: Grpo, engine: Engine, *, output: Path, seed: int, processes: int
) -> GRPOConfig:
    """TRL's configuration for the settings."""
    return GRPOConfig(
        **trl_arguments(settings, engine, output=output, seed=seed, processes=processes),
        loss_type=settings.loss_type,
        scale_rewards=settings.scale_rewards,
        importance_sampling_level=settings.ratio,
        epsilon_high=settings.clip_epsilon_high,
        entropy_coef=settings.entropy_coefficient,
    )
