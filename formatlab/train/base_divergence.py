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
        total += k3(ours, theirs)[mask].sum().item()
        tokens += int(mask.sum())
    return total / tokens


def k3(policy: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    """The k3 estimate of KL(policy || base) at tokens that the policy drew, in nats.

    exp(d) - d - 1 with d = log base - log policy (Schulman 2020), both at the sampling temperature,
    as in TRL's own metric: the samples are from that policy.

    Args:
        policy: log-probabilities of the tokens under the policy, of any shape.
        base: the same under the base.
    """
    difference = base - policy
    return difference.exp() - difference - 1


@torch.no_grad()
def completion_logprobs(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, *, length: int, temperature: float
) -> torch.Tensor:
    """Log-probabilities of the last `length` tokens of every row, (b, length).

    Args:
        model: a causal language model.
        ids: prompts, padded on the left, and completions, padded on the right, (b, P + C).
        mask: 1 where a token is no padding, (b, P + C).
        length: C.
        temperature: divides the logits.
    """
    logits = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        logits_to_keep=length + 1,
    ).logits[:, :-1]  # (b, C, V)
    logp = torch.log_softmax(logits.float() / temperature, dim=-1)
    return logp.gather(2, ids[:, -length:, None])[..., 0]


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
    logp = completion_logprobs(model, ids, mask.long(), length=after, temperature=temperature)
    return logp, mask[:, -after:]
