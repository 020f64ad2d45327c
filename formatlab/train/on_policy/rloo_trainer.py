"""TRL's RLOO trainer, with the lab's sampler and records."""

from typing import Any, ClassVar

from trl.trainer.rloo_config import RLOOConfig
from trl.trainer.rloo_trainer import RLOOTrainer

from formatlab.train.on_policy.rollout_trainer import RolloutTrainer


class LabRlooTrainer(RolloutTrainer, RLOOTrainer):
    """TRL's trainer with the lab's sampler, order and records; its loss is untouched."""

    trl_config: ClassVar[type] = RLOOConfig

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], *args: Any, **kwargs: Any
    ) -> list[list[int]]:
        if self._lab_samples:
            return self._sample(prompt_ids)
        completion_ids = super()._generate_single_turn(prompt_ids, *args, **kwargs)
        self._keep_sampled(completion_ids)
        return completion_ids
