"""PPO's critic, and the advantages, returns and losses computed from its values.

The critic estimates the return from each token of a completion on. It is kept outside the policy,
so that no folder or adapter of a policy holds any of it.

Shapes are (B, T): B completions of at most T tokens, padded on the right; `mask` is 1 on a
completion's tokens. An episode ends with the last token of a completion, also where the completion
was cut at the length limit: no value is bootstrapped there.

Where a sum over all completions of a step is needed, `total` adds a tensor up over the processes of
a distributed run; on one process it changes nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel, TrainerCallback

Total = Callable[[torch.Tensor], torch.Tensor]
"""Sum of a tensor over all processes."""

_EPSILON = 1e-8
"""Added to the variance that advantages are divided by, as TRL's PPO did."""


def one_process(values: torch.Tensor) -> torch.Tensor:
    """The sum over processes where there is one."""
    return values


def token_rewards(
    scores: torch.Tensor,
    *,
    policy: torch.Tensor,
    base: torch.Tensor,
    kl_coefficient: float,
    mask: torch.Tensor,
) -> torch.Tensor:
    """The reward of every token: the score on the last one, less the KL penalty of each.

    r_t = [t is last] score - kl_coefficient (log policy_t - log base_t), the k1 estimate of
    KL(policy || base) (Ziegler et al. 2019, section 2; Schulman 2020, "Approximating KL
    Divergence").

    Args:
        scores: reward of the whole completion, (B,).
        policy: log-probabilities of the tokens under the policy that sampled them, (B, T).
        base: the same under the base, (B, T).
        kl_coefficient: penalty per nat.
        mask: (B, T).
    """
    kept = mask.bool()
    rewards = (-kl_coefficient * (policy - base)).masked_fill(~kept, 0)  # (B, T)
    return rewards + scores[:, None] * _is_last(kept)


def generalised_advantage(
    rewards: torch.Tensor,
    values: torch.Tensor,
    *,
    discount: float,
    gae_lambda: float,
    mask: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Advantages and returns (Schulman et al. 2016, arXiv 1506.02438, eq. 16).

    A_t = sum over l of (discount * gae_lambda)^l delta_{t+l}, with
    delta_t = r_t + discount * V_{t+1} - V_t. The return is A_t + V_t, the target of V_t.

    Args:
        rewards: (B, T).
        values: V_t, the value before token t, (B, T).
        discount: gamma.
        gae_lambda: between 0 (one-step errors) and 1 (sums of rewards).
        mask: (B, T).

    Returns:
        Advantages (B, T) and returns (B, T), 0 where the mask is 0.
    """
    rewards, values = rewards.masked_fill(mask == 0, 0), values.masked_fill(mask == 0, 0)
    after = torch.nn.functional.pad(values[:, 1:], (0, 1))  # (B, T), V_{t+1}
    delta = (rewards + discount * after - values).masked_fill(mask == 0, 0)
    advantages = torch.zeros_like(delta)
    running = torch.zeros_like(delta[:, 0])  # (B,)
    for t in reversed(range(delta.shape[1])):
        running = delta[:, t] + discount * gae_lambda * running
        advantages[:, t] = running
    return advantages, advantages + values


def whiten(values: torch.Tensor, mask: torch.Tensor, total: Total = one_process) -> torch.Tensor:
    """Values with mean 0 and variance 1 over the tokens of all completions, 0 elsewhere.

    The variance is the unbiased one and has 1e-8 added, as in TRL's PPO.
    """
    kept = mask.to(values.dtype)
    mean, variance, count = _moments(values, kept, total)
    unbiased = variance * count / (count - 1).clamp(min=1)
    return (values - mean) * torch.rsqrt(unbiased + _EPSILON) * kept


def value_losses(
    values: torch.Tensor, *, old: torch.Tensor, returns: torch.Tensor, clip: float
) -> torch.Tensor:
    """Loss of every token's value, (B, T): half the larger of two squared errors.

    One is the value's, the other that of the value clipped to within `clip` of its value when the
    completion was sampled (Schulman et al.'s PPO code; Huang et al. 2022, "The 37 Implementation
    Details of Proximal Policy Optimization", detail 9).
    """
    clipped = old + (values - old).clamp(-clip, clip)
    return 0.5 * torch.maximum((values - returns) ** 2, (clipped - returns) ** 2)


def explained_variance(
    values: torch.Tensor, returns: torch.Tensor, mask: torch.Tensor, total: Total = one_process
) -> float:
    """1 - Var(returns - values) / Var(returns) over all tokens; NaN where returns don't vary.

    1: the values predict the returns; 0: no better than a constant; below 0: worse.
    """
    kept = mask.to(values.dtype)
    _, unexplained, _ = _moments(returns - values, kept, total)
    _, variance, _ = _moments(returns, kept, total)
    return (1 - unexplained / variance).item() if variance > 0 else float("nan")


def masked_mean(values: torch.Tensor, mask: torch.Tensor, total: Total = one_process) -> float:
    """Mean over the tokens of all completions."""
    mean, _, _ = _moments(values, mask.to(values.dtype), total)
    return mean.item()


def _moments(
    values: torch.Tensor, kept: torch.Tensor, total: Total
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean, variance (dividing by the count) and count, of the values where `kept` is 1."""
    count = total(kept.sum()).clamp(min=1)
    mean = total((values * kept).sum()) / count
    variance = total(((values - mean) ** 2 * kept).sum()) / count
    return mean, variance, count


def _is_last(kept: torch.Tensor) -> torch.Tensor:
    """Where a completion's last token is, (B, T)."""
    return kept & ~torch.nn.functional.pad(kept[:, 1:], (0, 1))


CRITIC_FILE = "critic.safetensors"
"""Where a checkpoint keeps the critic's weights."""


class Critic(nn.Module):
    """A linear head on hidden states: those of the policy, or of a trunk of the critic's own.

    The head starts at 0, so the first values are 0, the first advantages are discounted sums of
    rewards, and no random numbers are drawn.
    """

    def __init__(self, width: int, trunk: PreTrainedModel | None = None) -> None:
        """Make the head.

        Args:
            width: size of a hidden state.
            trunk: a language model without its head, where the critic has one of its own.
        """
        super().__init__()
        self.trunk = trunk
        self.weight = nn.Parameter(torch.zeros(width))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """The value before each token, in float32, (B, C).

        Args:
            states: the hidden states that the tokens are predicted from, (B, C, H).
        """
        with torch.autocast(states.device.type, enabled=False):
            return states.float() @ self.weight + self.bias

    def save(self, folder: Path) -> None:
        """Write all weights into a checkpoint."""
        save_file({k: v.contiguous() for k, v in self.state_dict().items()}, folder / CRITIC_FILE)

    def load(self, folder: Path) -> None:
        """Read all weights back."""
        self.load_state_dict(load_file(folder / CRITIC_FILE))


class CriticUpdate(TrainerCallback):
    """Averages, clips and clears the critic's gradients around a step of the optimiser.

    Gradients are averaged over processes here rather than by wrapping the critic: a wrapper would
    reduce them after every micro-batch, in an order that two wrapped modules must agree on.
    """

    def __init__(self, critic: Critic, *, accelerator: Accelerator, gradient_clip: float) -> None:
        """Clip the norm of the gradient of `critic` at `gradient_clip`; 0: do not clip."""
        self._critic = critic
        self._accelerator = accelerator
        self._gradient_clip = gradient_clip

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Average the gradients over processes and clip them."""
        parameters = [p for p in self._critic.parameters() if p.grad is not None]
        if self._accelerator.num_processes > 1:
            for parameter in parameters:
                mean = self._accelerator.reduce(parameter.grad, reduction="mean")
                parameter.grad = cast(torch.Tensor, mean)
        if self._gradient_clip > 0:
            nn.utils.clip_grad_norm_(parameters, self._gradient_clip)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Clear the gradients that the step has used."""
        self._critic.zero_grad()


def trunk_of(model: nn.Module) -> PreTrainedModel:
    """The part of a causal language model below its head, adapters in it included."""
    from peft import PeftModel

    whole = model.get_base_model() if isinstance(model, PeftModel) else model
    return cast(PreTrainedModel, cast(PreTrainedModel, whole).base_model)


def predicting(hidden: torch.Tensor, length: int) -> torch.Tensor:
    """The states (B, C, H) that the last `length` (C) tokens are predicted from.

    Args:
        hidden: states of prompt and completion, (B, P + C, H).
        length: C.
    """
    return hidden[:, -length - 1 : -1]


@contextmanager
def last_hidden_states(trunk: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collect the outputs of the trunk's last layer, (B, T, H), one entry a forward pass."""
    seen: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        seen.append(output.last_hidden_state)

    handle = trunk.register_forward_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()
