"""The clipped policy loss that TRL gives for advantages of every token, against plain loops."""

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from trl.trainer.grpo_trainer import GRPOTrainer

from formatlab.train.on_policy.ppo_trainer import LabPpoTrainer


def stand_in(logprobs: torch.Tensor, *, epsilon: float, accumulation: int, parts: int) -> Any:
    """What of a trainer the loss asks for; its model gives `logprobs` (B, C)."""
    return SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (
            logprobs,
            torch.zeros_like(logprobs),
            None,
        ),
        accelerator=SimpleNamespace(
            num_processes=1, reduce=lambda values, **_: values, gather=lambda values: values
        ),
        args=SimpleNamespace(delta=None, steps_per_generation=parts),
        aux_loss_enabled=False,
        beta=0.0,
        current_gradient_accumulation_steps=accumulation,
        epsilon_high=epsilon,
        epsilon_low=epsilon,
        importance_sampling_level="token",
        loss_type="dapo",
        model=SimpleNamespace(training=True),
        off_policy_mask_threshold=None,
        top_entropy_quantile=1.0,
        use_vllm=False,
        _entropy_bonus_enabled=False,
        _metrics={"train": defaultdict(list)},
    )


@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    epsilon=st.sampled_from([0.1, 0.2]),
    accumulation=st.sampled_from([1, 2]),
    updates=st.sampled_from([1, 4]),
)
def test_policy_loss_is_the_mean_over_tokens_of_the_clipped_objective(
    seed: int, lengths: list[int], epsilon: float, accumulation: int, updates: int
):
    """Schulman et al. 2017, eq. 7; the step has twice as many tokens as this micro-batch."""
    numbers = np.random.default_rng(seed)
    shape = (len(lengths), max(lengths))
    new, old, advantages = (numbers.normal(scale=0.3, size=shape) for _ in range(3))
    mask = np.array([[t < n for t in range(shape[1])] for n in lengths])
    step_tokens = 2 * sum(lengths)
    trainer = stand_in(
        torch.tensor(new), epsilon=epsilon, accumulation=accumulation, parts=accumulation * updates
    )
    inputs = {
        "prompt_ids": torch.ones(len(lengths), 1, dtype=torch.long),
        "prompt_mask": torch.ones(len(lengths), 1, dtype=torch.long),
        "completion_ids": torch.ones(shape, dtype=torch.long),
        "completion_mask": torch.tensor(mask).long(),
        "advantages": torch.tensor(advantages),
        "old_per_token_logps": torch.tensor(old),
        "num_items_in_batch": torch.tensor(step_tokens),
    }
    found = GRPOTrainer._compute_loss(trainer, None, inputs)
    expected = 0.0
    for row, length in enumerate(lengths):
        for t in range(length):
            ratio = np.exp(new[row, t] - old[row, t])
            held = min(max(ratio, 1 - epsilon), 1 + epsilon)
            expected -= min(ratio * advantages[row, t], held * advantages[row, t])
    tokens_an_update = step_tokens / updates
    assert found.item() == pytest.approx(expected / tokens_an_update, abs=1e-12)
    # The value loss is divided by the same number.
    assert LabPpoTrainer._update_tokens(trainer, inputs).item() == tokens_an_update
