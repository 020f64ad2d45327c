"""TRL's GRPO trainer, with the lab's sampler and records."""

from typing import Any, ClassVar

from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from formatlab.train.on_policy.rollout_trainer import RolloutTrainer


class LabGrpoTrainer(RolloutTrainer, GRPOTrainer):
    """TRL's trainer with the lab's sampler, order and records; its loss is untouched."""

    trl_config: ClassVar[type] = GRPOConfig

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], *args: Any, **kwargs: Any
    ) -> tuple[list[list[int]], list[list[float]] | None]:
        if self._lab_samples:
            return self._sample(prompt_ids), None
        completion_ids, logprobs = super()._generate_single_turn(prompt_ids, *args, **kwargs)
        self._keep_sampled(completion_ids)
        return completion_ids, logprobs
