"""How far a policy has moved from the base, measured on completions that it sampled."""

from collections.abc import Sequence
from typing import Any

import torch


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

    k3 = exp(d) - d - 1 with d = log base - log policy (Schulman 2020), both at the sampling
    temperature, as for the other algorithms.

    Args:
        policy: what sampled the completions.
        base: the frozen base; None where it is the policy without its adapter.
        prompts: token ids, one list a completion.
        completions: token ids.
        temperature: of the sampling.
        pad: id used for padding.
        batch: most completions in one forward pass.
    """
    total, tokens = 0.0, 0
    for start in range(0, len(prompts), batch):
        part = prompts[start : start + batch], completions[start : start + batch]
        ours, mask = _logprobs(policy, *part, temperature=temperature, pad=pad)  # (b, C)
        if base is not None:
            theirs, _ = _logprobs(base, *part, temperature=temperature, pad=pad)
        else:
            with policy.disable_adapter():
                theirs, _ = _logprobs(policy, *part, temperature=temperature, pad=pad)
        difference = (theirs - ours)[mask]
        total += (difference.exp() - difference - 1).sum().item()
        tokens += len(difference)
    return total / tokens


def _logprobs(
    model: Any,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    *,
    temperature: float,
    pad: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities (b, C) of the completions' tokens, and which of them there are."""
    before, after = max(map(len, prompts)), max(map(len, completions))
    ids = torch.tensor(
        [
            [pad] * (before - len(p)) + [*p, *c] + [pad] * (after - len(c))
            for p, c in zip(prompts, completions, strict=True)
        ],
        device=model.device,
    )  # (b, P + C)
    places = torch.arange(before + after, device=model.device)[None]
    first = torch.tensor([before - len(p) for p in prompts], device=model.device)[:, None]
    end = torch.tensor([before + len(c) for c in completions], device=model.device)[:, None]
    mask = (places >= first) & (places < end)
    logits = model(
        input_ids=ids,
        attention_mask=mask.long(),
        position_ids=(mask.long().cumsum(1) - 1).clamp(min=0),
        logits_to_keep=after + 1,
    ).logits[:, :-1]  # (b, C, V)
    logp = torch.log_softmax(logits.float() / temperature, dim=-1)
    return logp.gather(2, ids[:, -after:, None])[..., 0], mask[:, -after:]
