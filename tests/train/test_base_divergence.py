"""The divergence from the base: against its formula, and whatever is padded."""

from pathlib import Path

import pytest
import tiny_llama
import torch

from formatlab.models.model import load_saved
from formatlab.train.base_divergence import kl_to_base

PROMPTS = [[5, 6, 7], [8], [9, 10]]
COMPLETIONS = [[11, 12], [13, 14, 15, 16], [17]]


def naive(policy: torch.nn.Module, base: torch.nn.Module, temperature: float) -> float:
    """k3 one completion at a time, without padding."""
    terms: list[float] = []
    for prompt, completion in zip(PROMPTS, COMPLETIONS, strict=True):
        ids = torch.tensor([prompt + completion])
        with torch.no_grad():
            ours, theirs = (
                (model(input_ids=ids).logits[0].double() / temperature).log_softmax(-1)
                for model in (policy, base)
            )  # (T, V)
        for at, token in enumerate(completion, start=len(prompt) - 1):
            difference = (theirs[at, token] - ours[at, token]).item()
            terms.append(torch.tensor(difference).exp().item() - difference - 1)
    return sum(terms) / len(terms)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("batch", [1, 2, 8])
def test_it_is_the_mean_of_k3_over_completion_tokens(
    tiny_base: Path, temperature: float, batch: int
):
    base, policy = (load_saved(tiny_base / "model") for _ in range(2))
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in policy.parameters():
            weight += 0.02 * torch.randn_like(weight)
    found = kl_to_base(
        policy, base, PROMPTS, COMPLETIONS, temperature=temperature, pad=0, batch=batch
    )
    assert found == pytest.approx(naive(policy, base, temperature), rel=1e-3)
    assert found > 1e-3


def test_a_policy_does_not_diverge_from_itself():
    model = tiny_llama.tiny_model()
    found = kl_to_base(model, model, PROMPTS, COMPLETIONS, temperature=1.0, pad=0, batch=2)
    assert found == pytest.approx(0, abs=1e-7)
