import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from formatlab.train.sampler import Sampled, sample

EOS, PAD = 1, 0


class Other(LlamaForCausalLM):
    """A model that the lab's own forward pass leaves to transformers."""


@pytest.fixture(scope="module", params=[LlamaForCausalLM, Other], ids=["ours", "transformers"])
def model(request: pytest.FixtureRequest) -> LlamaForCausalLM:
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=12,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        pad_token_id=PAD,
        eos_token_id=EOS,
        initializer_range=0.6,
    )
    return request.param(config).eval()


def draw(model: LlamaForCausalLM, prompts: list[list[int]], **changes) -> list[Sampled]:
    options = {"limit": 8, "temperature": 1.0, "pad": PAD, "eos": [EOS]}
    options |= {"seeds": list(range(len(prompts)))} | changes
    return sample(model, prompts, **options)


def logits(model: LlamaForCausalLM, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0].double()  # (T, V)


def test_first_tokens_follow_the_models_distribution(model: LlamaForCausalLM):
    draws = 4000
    prompt = [5, 6, 7]
    tokens = Counter(s.tokens[0] for s in draw(model, [prompt] * draws, limit=1))
    expected = torch.softmax(logits(model, prompt)[-1], dim=-1)
    for token, probability in enumerate(expected.tolist()):
        error = math.sqrt(probability * (1 - probability) / draws)
        assert abs(tokens[token] / draws - probability) < 4.5 * error + 1e-3


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_divides_the_logits(model: LlamaForCausalLM, temperature: float):
    draws = 4000
    tokens = Counter(
        s.tokens[0] for s in draw(model, [[5, 6]] * draws, limit=1, temperature=temperature)
    )
    expected = torch.softmax(logits(model, [5, 6])[-1] / temperature, dim=-1)
    for token, probability in enumerate(expected.tolist()):
        error = math.sqrt(probability * (1 - probability) / draws)
        assert abs(tokens[token] / draws - probability) < 4.5 * error + 1e-3


def test_the_labs_forward_pass_draws_what_transformers_draws(tiny_base: Path, world):
    ours: Any = LlamaForCausalLM.from_pretrained(tiny_base / "model").eval()
    theirs: Any = Other.from_pretrained(tiny_base / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_base / "model")
    prompts = [
        tokenizer(problem.question + "\n")["input_ids"]
        for problem in world.problems("probe", 10)
        for _ in range(6)
    ]
    options = {"limit": 40, "pad": tokenizer.pad_token_id, "eos": [tokenizer.eos_token_id]}
    found, expected = draw(ours, prompts, **options), draw(theirs, prompts, **options)
    assert [s.tokens for s in found] == [s.tokens for s in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)
        assert one.entropies == pytest.approx(other.entropies, abs=1e-5)


def test_temperature_0_agrees_with_greedy_generate_of_transformers(tiny_base: Path, world):
    base: Any = AutoModelForCausalLM.from_pretrained(tiny_base / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_base / "model")
    texts = [problem.question + "\n" for problem in world.problems("probe", 20)]
    encoded = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left")
    with torch.no_grad():
        theirs = base.generate(**encoded, do_sample=False, max_new_tokens=30)
    ours = sample(
        base,
        [tokenizer(text)["input_ids"] for text in texts],
        seeds=range(20),
        limit=30,
        temperature=0,
        pad=tokenizer.pad_token_id,
        eos=[tokenizer.eos_token_id],
    )
    width = encoded["input_ids"].shape[1]
    for row, completion in zip(theirs[:, width:].tolist(), ours, strict=True):
        assert row[: len(completion.tokens)] == completion.tokens
        assert completion.ended == (tokenizer.eos_token_id in row)


def test_logprobs_and_entropies_are_those_of_a_forward_pass_at_temperature_1(
    model: LlamaForCausalLM,
):
    prompts = [[3, 4, 5], [9], [2, 2, 8, 4, 6]]
    for prompt, sampled in zip(prompts, draw(model, prompts, temperature=0.7), strict=True):
        logp = torch.log_softmax(logits(model, prompt + sampled.tokens), dim=-1)
        rows = logp[len(prompt) - 1 : -1]  # (C, V)
        chosen = rows.gather(1, torch.tensor(sampled.tokens)[:, None])[:, 0]
        assert sampled.logprobs == pytest.approx(chosen.tolist(), abs=1e-4)
        assert sampled.entropies == pytest.approx((-(rows.exp() * rows).sum(1)).tolist(), abs=1e-4)


def test_a_completion_ends_at_its_first_end_mark_or_at_the_limit(model: LlamaForCausalLM):
    sampled = draw(model, [[5]] * 300, limit=6)
    assert {s.ended for s in sampled} == {True, False}
    for s in sampled:
        assert s.ended == (s.tokens[-1] == EOS)
        assert EOS not in s.tokens[:-1]
        assert len(s.tokens) == 6 or s.ended
        assert len(s.tokens) == len(s.logprobs) == len(s.entropies)


def test_a_row_depends_on_its_own_seed_and_prompt_only(model: LlamaForCausalLM):
    prompts = [[3, 4], [5, 6, 7], [8], [9, 2]]
    together = draw(model, prompts, seeds=[10, 11, 12, 13])
    for index, prompt in enumerate(prompts):
        alone = draw(model, [prompt], seeds=[10 + index])[0]
        assert alone.tokens == together[index].tokens


def test_groups_of_one_prompt_give_what_single_rows_give(model: LlamaForCausalLM):
    grouped = draw(model, [[3, 4]] * 3 + [[5, 6, 7]] * 3)
    mixed = draw(model, [[3, 4], [5, 6, 7]] * 3, seeds=[0, 3, 1, 4, 2, 5])
    assert [s.tokens for s in grouped[:3]] == [s.tokens for s in mixed[::2]]
    assert [s.tokens for s in grouped[3:]] == [s.tokens for s in mixed[1::2]]


def test_the_global_random_state_is_left_alone(model: LlamaForCausalLM):
    before = torch.get_rng_state()
    draw(model, [[3, 4]] * 4)
    assert torch.equal(before, torch.get_rng_state())
