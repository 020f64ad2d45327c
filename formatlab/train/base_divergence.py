"""The divergence of a policy from the base, measured on completions that the policy sampled."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch

from formatlab.models.llama import Llama, is_plain_llama


@torch.no_grad()
def kl_to_base(
    policy: Any,
    base: Any | None,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    *,
    temperature: float,
    pad: int,
    batch: int,
) -> float:
    """Mean over completion tokens of the k3 estimate of KL(policy || base), in nats.

    Args:
        policy: the model that sampled the completions.
        base: the frozen base; None where it is the policy without its adapter.
        prompts: token ids, one list a completion.
        completions: token ids.
        temperature: of the sampling.
        pad: id used for padding.
        batch: most completions in one forward pass.
    """
    total, tokens = 0.0, 0
    for start in range(0, len(prompts), batch):
        ids, mask = padded(
            prompts[start : start + batch],
            completions[start : start + batch],
            pad=pad,
            device=policy.device,
        )
        length = max(map(len, completions[start : start + batch]))  # C
        options = {"length": length, "temperature": temperature, "batch": batch}
        ours = completion_logprobs(policy, ids, mask, **options)  # (b, C)
        with nullcontext() if base is not None else policy.disable_adapter():
            theirs = completion_logprobs(base or policy, ids, mask, **options)
        sampled = mask[:, -length:].bool()
        total += k3(ours, theirs)[sampled].sum().item()
        tokens += int(sampled.sum())
    return total / tokens


def k3(policy: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    """The k3 estimate of KL(policy || base) at tokens that the policy sampled, in nats.

    exp(d) - d - 1 with d = log base - log policy (Schulman 2020), both at the sampling temperature,
    as in TRL's own metric: that is the distribution that was sampled.

    Args:
        policy: log-probabilities of the tokens under the policy, of any shape.
        base: the same under the base.
    """
    difference = base - policy
    return difference.exp() - difference - 1


def completion_logprobs(
    model: Any,
    ids: torch.Tensor,
    mask: torch.Tensor,
    *,
    length: int,
    temperature: float,
    batch: int,
) -> torch.Tensor:
    """Log-probabilities of the last `length` tokens of every row, (b, length).

    Args:
        model: a causal language model.
        ids: prompts, padded on the left, and completions, padded on the right, (b, P + C).
        mask: 1 where a token is no padding, (b, P + C).
        length: C.
        temperature: divides the logits.
        batch: most rows in one forward pass.
    """
    if is_plain_llama(model):
        parts = (ids[:, :-length], mask[:, :-length], ids[:, -length:], mask[:, -length:])
        return Llama(model).score(*parts, temperature=temperature).logprobs
    rows = []
    for part, kept in zip(ids.split(batch), mask.split(batch), strict=True):
        logits = model(
            input_ids=part,
            attention_mask=kept,
            position_ids=(kept.cumsum(1) - 1).clamp(min=0),
            logits_to_keep=length + 1,
        ).logits[:, :-1]  # (b, C, V)
        logp = torch.log_softmax(logits.float() / temperature, dim=-1)
        rows.append(logp.gather(2, part[:, -length:, None])[..., 0])
    return torch.cat(rows)


def padded(
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    *,
    pad: int,
    device: torch.device,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask (b, P + C) of prompts padded on the left and completions padded on the right."""
    before, after = max(map(len, prompts)), max(map(len, completions))
    ids, mask = [], []
    for prompt, completion in zip(prompts, completions, strict=True):
        left, right = before - len(prompt), after - len(completion)
        ids.append([pad] * left + [*prompt, *completion] + [pad] * right)
        mask.append([0] * left + [1] * (len(prompt) + len(completion)) + [0] * right)
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)
