"""PPO on TRL's GRPO trainer: the same rollouts and records, advantages from a critic.

TRL has had no PPO trainer since 1.13. Its GRPO trainer computes PPO's clipped policy loss for
advantages (B, C) of every token. This trainer adds the critic: its values, the advantages estimated
from them, and its loss. It overrides `_compute_loss` (private, TRL 1.16) beside what
`RolloutTrainer` overrides, and the public `create_optimizer` and `train` of transformers.

Shapes: B rollouts, P tokens of the prompt, C of the completion, H of a hidden state.
"""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from trl.trainer.utils import disable_dropout_in_model

from formatlab.errors import InputError
from formatlab.models.llama import Llama
from formatlab.models.model import load_saved
from formatlab.train.on_policy.critic import (
    Critic,
    CriticUpdate,
    explained_variance,
    generalised_advantage,
    last_hidden_states,
    masked_mean,
    predicting,
    token_rewards,
    trunk_of,
    value_losses,
    whiten,
)
from formatlab.train.on_policy.grpo_trainer import LabGrpoTrainer
from formatlab.train.rules import RULES

if TYPE_CHECKING:
    from formatlab.train.on_policy.settings import Ppo


class LabPpoTrainer(LabGrpoTrainer):
    """TRL's GRPO trainer with a critic.

    The critic is kept beside the policy, so that the policy's folder and adapter are ordinary ones.
    Its weights are a parameter group of the same optimiser, with a learning rate of their own on
    the same schedule. DeepSpeed and FSDP, which handle one model and its optimiser, cannot be used.
    """

    _settings: Ppo

    def __init__(self, *, settings: Ppo, model: str, **trainer: Any) -> None:
        """Set up training as `RolloutTrainer` does.

        Args:
            settings: what decides the run.
            model: a transformers folder, the start of the policy and of a separate critic.
            trainer: passed on.
        """
        super().__init__(settings=settings, model=model, **trainer)
        if self.sharded:
            raise InputError(
                "ppo: its critic cannot be sharded by DeepSpeed or FSDP; launch it without them "
                "(`accelerate launch --multi_gpu`), or train with grpo or rloo"
            )
        trunk = None
        if settings.critic == "model":
            trunk = trunk_of(load_saved(Path(model)))
            disable_dropout_in_model(trunk)
        width = trunk_of(self._policy()).config.get_text_config().hidden_size
        self._critic = Critic(width, trunk).to(self.accelerator.device)
        self.add_callback(
            CriticUpdate(
                self._critic, accelerator=self.accelerator, gradient_clip=settings.gradient_clip
            )
        )

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Add the critic to the optimiser, as the last group of parameters."""
        made = self.optimizer is not None
        optimizer = super().create_optimizer(model)
        if not made:
            rate = self._settings.critic_learning_rate
            optimizer.add_param_group(
                {
                    "params": list(self._critic.parameters()),
                    "lr": self.args.learning_rate if rate is None else rate,
                    "weight_decay": RULES.weight_decay,
                }
            )
        return optimizer

    def train(
        self,
        resume_from_checkpoint: Any = None,
        trial: Any = None,
        ignore_keys_for_eval: Any = None,
    ) -> Any:
        """Train; on a resume, load the critic of the checkpoint first."""
        if resume_from_checkpoint:
            self._critic.load(Path(resume_from_checkpoint))
        return super().train(resume_from_checkpoint, trial, ignore_keys_for_eval)

    def _save_extra(self, checkpoint: Path) -> None:
        super()._save_extra(checkpoint)
        self._critic.save(checkpoint)

    @torch.no_grad()
    def _advantages(self, batch: dict[str, Any], rewards: torch.Tensor) -> torch.Tensor:
        """Advantages (B, C) by the critic; its values and their targets go into the batch."""
        settings, mask = self._settings, batch["completion_mask"]
        values = self._old_values(batch)  # (B, C)
        policy = base = torch.zeros_like(values)
        if settings.kl_coefficient:
            policy, base = self._policy_logprobs, self._base_logprobs
        advantages, returns = generalised_advantage(
            token_rewards(
                rewards.to(values),
                policy=policy,
                base=base,
                kl_coefficient=settings.kl_coefficient,
                mask=mask,
            ),
            values,
            discount=settings.discount,
            gae_lambda=settings.gae_lambda,
            mask=mask,
        )
        batch["old_values"], batch["returns"] = values, returns
        price = (settings.kl_coefficient * (policy - base) * mask).sum(1)  # (B,)
        self._step_extras |= {
            "value_loss": 0.0,
            "value_mean": masked_mean(values, mask, self._total),
            "kl_penalty": masked_mean(price, torch.ones_like(price), self._total),
        }
        explained = explained_variance(values, returns, mask, self._total)
        if not isnan(explained):
            self._step_extras["explained_variance"] = explained
        return whiten(advantages, mask, self._total) if settings.whiten_advantages else advantages

    def _old_values(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Values (B, C) of the rollouts by the critic as it is before the step's updates."""
        policy = self._policy()
        if self._critic.trunk is None and self._is_plain(policy):
            names = ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask")
            parts = (batch[name] for name in names)
            return self._critic(Llama(policy).score(*parts, temperature=1.0).states)
        ids, mask = _joined(batch)
        trunk = self._critic.trunk or trunk_of(policy)
        length, values = batch["completion_ids"].shape[1], []
        for part in torch.arange(len(ids)).split(self.args.per_device_train_batch_size):
            values.append(self._critic(self._states(trunk, ids[part], mask[part], length)))
        return torch.cat(values)

    def _states(
        self, trunk: nn.Module, ids: torch.Tensor, mask: torch.Tensor, length: int
    ) -> torch.Tensor:
        """States (B, C, H) that a completion's tokens are predicted from, positions as TRL's."""
        with self.accelerator.autocast():
            output = trunk(input_ids=ids, attention_mask=mask, use_cache=False)
        return predicting(output.last_hidden_state, length)

    def _compute_loss(self, model: nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
        """TRL's policy loss and the value loss, both a mean over the tokens of an update."""
        length = inputs["completion_ids"].shape[1]
        with last_hidden_states(trunk_of(self._policy())) as seen:
            loss = super()._compute_loss(model, inputs)
        if self._critic.trunk is not None:
            states = self._states(self._critic.trunk, *_joined(inputs), length)
        elif self._scores is not None:  # the policy's own forward pass gives the states
            states = self._scores.states
        else:
            states = predicting(seen[0], length)
        losses = value_losses(
            self._critic(states),
            old=inputs["old_values"],
            returns=inputs["returns"],
            clip=self._settings.value_clip,
        )  # (B, C)
        value_loss = (losses * inputs["completion_mask"]).sum() / self._update_tokens(inputs)
        # Averaged over processes, the shares of an update's micro-batches add up to its mean.
        share = self.accelerator.reduce(value_loss.detach(), reduction="mean").item()
        self._step_extras["value_loss"] += share / self._settings.updates_per_step
        return loss + self._settings.value_coefficient * value_loss

    def _learned_rows(self) -> None:
        """All rows: the critic learns from every rollout."""

    def _update_tokens(self, inputs: dict[str, Any]) -> torch.Tensor:
        """Completion tokens of an update on this process, as TRL's `dapo` loss counts them.

        A step's tokens divided by its updates: the same for each, so that all tokens of a step
        weigh the same, however TRL split them.
        """
        tokens = inputs["num_items_in_batch"].clamp(min=1.0) / self.accelerator.num_processes
        return tokens * self.current_gradient_accumulation_steps / self.args.steps_per_generation

    def _total(self, values: torch.Tensor) -> torch.Tensor:
        return self.accelerator.reduce(values, reduction="sum")


def _joined(batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask of prompts and completions, (B, P + C)."""
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
    return ids, mask
