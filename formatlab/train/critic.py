"""The critic of PPO: what it is worth to stand before each token of a completion.

It lives outside of the policy, so a policy's folder or adapter never holds any of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel, TrainerCallback

CRITIC_FILE = "critic.safetensors"
"""Where a checkpoint keeps the critic's weights."""


class Critic(nn.Module):
    """A linear head on hidden states: those of the policy, or of a trunk of the critic's own.

    The head starts at 0. So the first values are 0, the first advantages are discounted sums of
    rewards and nothing else, and a start needs no random numbers.
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

    def forward(self, hidden: torch.Tensor, length: int) -> torch.Tensor:
        """Values of a completion's states, in float32.

        Args:
            hidden: hidden states of prompt and completion, (B, P + C, H).
            length: C.

        Returns:
            The value before each token, read where the token is predicted from, (B, C).
        """
        with torch.autocast(hidden.device.type, enabled=False):
            return hidden[:, -length - 1 : -1].float() @ self.weight + self.bias

    def save(self, folder: Path) -> None:
        """Write all weights into a checkpoint."""
        save_file({k: v.contiguous() for k, v in self.state_dict().items()}, folder / CRITIC_FILE)

    def load(self, folder: Path) -> None:
        """Read all weights back."""
        self.load_state_dict(load_file(folder / CRITIC_FILE))


class CriticUpdate(TrainerCallback):
    """Does for the critic what the trainer does for its own model around an optimiser's step.

    Gradients are averaged over processes here rather than by wrapping the critic: a wrapper would
    reduce them after every micro-batch, in an order that two wrapped modules must agree on.
    """

    def __init__(self, critic: Critic, *, accelerator: Accelerator, gradient_clip: float) -> None:
        """Look after `critic`, whose gradient's norm is held at `gradient_clip` (0: not at all)."""
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
        """Forget the gradients that the step has used."""
        self._critic.zero_grad()


def trunk_of(model: nn.Module) -> PreTrainedModel:
    """The part of a causal language model below its head, adapters in it included."""
    from peft import PeftModel

    whole = model.get_base_model() if isinstance(model, PeftModel) else model
    return cast(PreTrainedModel, cast(PreTrainedModel, whole).base_model)


@contextmanager
def last_hidden_states(trunk: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collect what the trunk's last layer gives, (B, T, H), one entry a forward pass."""
    seen: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        seen.append(output.last_hidden_state)

    handle = trunk.register_forward_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()
