"""The lab's forward pass of a Llama gives the numbers and the gradients of transformers' module."""

from typing import Any, NamedTuple

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from formatlab.models import llama
from formatlab.models.llama import Llama, is_plain_llama

CONFIG: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "tie_word_embeddings": True,
}


def model(**changes: Any) -> LlamaForCausalLM:
    torch.manual_seed(0)
    made = LlamaForCausalLM(LlamaConfig(**(CONFIG | changes)))
    for parameter in made.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)  # norms that are not 1
    return made


def batch() -> dict[str, Any]:
    """Prompts of 1 to 6 tokens, three of them asked several times; completions of 0 to 9 tokens.

    Two completions of a prompt are equal, two are empty, and another prompt has the same one.
    """
    torch.manual_seed(1)
    prompts = [[3, 4, 5], [7], [3, 4, 5], [9, 8, 7, 6, 5, 4], [7], [3, 4, 5], [4, 5], [7]]
    prompts += [[3, 4, 5], [9, 8, 7, 6, 5, 4], [9, 8, 7, 6, 5, 4], [4, 5]]
    lengths = [4, 9, 1, 3, 5, 9, 2, 9, 9, 0, 0, 9]
    count = len(prompts)
    ids, mask = torch.zeros(count, 6, dtype=torch.long), torch.zeros(count, 6, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, 6 - len(prompt) :] = torch.tensor(prompt)
        mask[row, 6 - len(prompt) :] = 1
    kept = (torch.arange(9) < torch.tensor(lengths)[:, None]).long()
    completions = torch.randint(3, 40, (count, 9))
    completions[[7, 11]] = completions[1].clone()
    return {
        "prompt_ids": ids,
        "prompt_mask": mask,
        "completion_ids": completions * kept,
        "completion_mask": kept,
    }


class Reference(NamedTuple):
    logprobs: torch.Tensor
    entropies: torch.Tensor
    states: torch.Tensor


def reference(module: LlamaForCausalLM, temperature: float) -> Reference:
    parts = batch()
    mask = torch.cat([parts["prompt_mask"], parts["completion_mask"]], dim=1)
    output = module.model(
        input_ids=torch.cat([parts["prompt_ids"], parts["completion_ids"]], dim=1),
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
    )
    kept = parts["completion_mask"]
    states = output.last_hidden_state[:, 5:-1]  # (B, C, D)
    logp = torch.log_softmax(module.lm_head(states) / temperature, dim=-1)
    chosen = logp.gather(2, parts["completion_ids"][..., None])[..., 0]
    return Reference(
        logprobs=chosen * kept,
        entropies=-(logp.exp() * logp).sum(-1) * kept,
        states=states * kept[..., None],
    )


FORMS = [
    pytest.param({}, id="as in the ladder"),
    pytest.param({"num_key_value_heads": 2}, id="shared keys"),
    pytest.param({"head_dim": 16, "tie_word_embeddings": False}, id="wide heads, own output"),
    pytest.param({"rms_norm_eps": 1e-2}, id="another epsilon"),
    pytest.param({"rope_parameters": {"rope_type": "default", "rope_theta": 50.0}}, id="theta"),
]


@pytest.mark.parametrize("tokens", [1, 4, 4_096], ids="tokens a bucket: {}".format)
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("form", FORMS)
def test_scores_and_gradients_are_those_of_transformers(
    form: dict[str, Any], temperature: float, tokens: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(llama, "_BUCKET_TOKENS", tokens)
    monkeypatch.setattr(llama, "_BLOCK_TOKENS", 5)
    module = model(**form)
    torch.manual_seed(2)
    weights = [torch.randn(12, 9), torch.randn(12, 9), torch.randn(12, 9, 32)]

    def seen(scores: Any) -> tuple[Any, dict[str, torch.Tensor]]:
        parts = (scores.logprobs, scores.entropies, scores.states)
        total = torch.stack([(p * w).sum() for p, w in zip(parts, weights, strict=True)]).sum()
        names, parameters = zip(*module.named_parameters(), strict=True)
        return scores, dict(zip(names, torch.autograd.grad(total, parameters), strict=True))

    ours, our_gradients = seen(
        Llama(module).score(**batch(), temperature=temperature, entropies=True)
    )
    theirs, their_gradients = seen(reference(module, temperature))
    torch.testing.assert_close(ours.logprobs, theirs.logprobs, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(ours.entropies, theirs.entropies, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(ours.states, theirs.states, atol=2e-5, rtol=1e-5)
    for name, gradient in their_gradients.items():
        torch.testing.assert_close(our_gradients[name], gradient, atol=2e-4, rtol=1e-4)


def test_a_gradient_of_log_probabilities_alone_needs_no_entropies():
    module = model()
    Llama(module).score(**batch(), temperature=1.0).logprobs.sum().backward()
    found = [p.grad for p in module.parameters()]
    module.zero_grad()
    reference(module, 1.0).logprobs.sum().backward()
    for gradient, parameter in zip(found, module.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, atol=2e-4, rtol=1e-4)


def documents() -> tuple[torch.Tensor, torch.Tensor]:
    """Documents of 1 to 9 tokens, padded on the right, and which of their tokens are learned."""
    torch.manual_seed(3)
    lengths = torch.tensor([[9], [4], [1], [6], [9]])
    begins = torch.tensor([[4], [0], [0], [5], [9]])  # one has nothing to be learned
    place = torch.arange(9)
    return torch.randint(3, 40, (5, 9)) * (place < lengths), (begins <= place) & (place < lengths)


@pytest.mark.parametrize("form", FORMS)
def test_losses_of_documents_and_gradients_are_those_of_transformers(form: dict[str, Any]):
    module = model(**form)
    ids, learned = documents()
    ours = Llama(module).losses(ids, learned)
    ours.mean().backward()
    found = {name: parameter.grad for name, parameter in module.named_parameters()}
    module.zero_grad()
    theirs = module(
        input_ids=ids,
        attention_mask=(ids > 0).long(),
        labels=ids.masked_fill(~learned, -100),
    ).loss
    theirs.backward()
    assert len(ours) == learned[:, 1:].sum()
    torch.testing.assert_close(ours.mean(), theirs, atol=2e-5, rtol=1e-5)
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, atol=2e-4, rtol=1e-4)


def test_losses_of_documents_stand_in_reading_order():
    module = model()
    ids, learned = documents()
    logp = torch.log_softmax(module(input_ids=ids).logits[:, :-1], dim=-1)
    of_all = -logp.gather(2, ids[:, 1:, None])[..., 0]
    torch.testing.assert_close(
        Llama(module).losses(ids, learned), of_all[learned[:, 1:]], atol=2e-5, rtol=1e-5
    )


def test_the_weights_are_those_that_the_module_has_now():
    module = model()
    before = Llama(module).score(**batch(), temperature=1.0).logprobs
    module.get_parameter("model.layers.1.self_attn.q_proj.weight").data *= 2
    after = Llama(module).score(**batch(), temperature=1.0).logprobs
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, reference(module, 1.0).logprobs, atol=2e-5, rtol=1e-5)


class Changed(LlamaForCausalLM):
    """Whatever a class derived from transformers' may do."""


@pytest.mark.parametrize(
    "other",
    [
        model(attention_bias=True),
        model(mlp_bias=True),
        model(attention_dropout=0.1),
        model(hidden_act="gelu"),
        model(rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}),
        model().bfloat16(),
        Changed(LlamaConfig(**CONFIG)),
        torch.nn.Sequential(model()),
    ],
    ids=["bias", "mlp bias", "dropout", "gelu", "rope", "bfloat16", "derived", "wrapped"],
)
def test_any_other_model_is_left_to_transformers(other: torch.nn.Module):
    assert is_plain_llama(model())
    assert not is_plain_llama(other)


def test_half_precision_is_left_to_transformers():
    with torch.autocast("cpu", torch.bfloat16):
        assert not is_plain_llama(model())
