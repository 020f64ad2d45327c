"""The lab on the device that torch finds: a GPU where there is one, else the CPU."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from on_policy_process import SETTINGS, train

from formatlab.models.llama import Llama
from formatlab.models.model import best_device, load_saved, load_tokenizer
from formatlab.store.run_folder import RunFolder
from formatlab.train.sampler import sample
from formatlab.world.world import World

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def model(tiny_base: Path) -> Any:
    return load_saved(tiny_base / "model")


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> Any:
    return load_tokenizer(tiny_base / "model")


@pytest.fixture(scope="module")
def texts(world: World) -> list[str]:
    return [problem.question + "\n" for problem in world.problems("probe", 20)]


def options(tokenizer: Any) -> dict[str, Any]:
    return {"pad": tokenizer.pad_token_id, "eos": [tokenizer.eos_token_id]}


def test_the_base_was_made_here(model: Any, tiny_base: Path):
    assert model.device.type == best_device().type
    assert max(RunFolder.open(tiny_base).summary["accuracy"].values()) > 0.2  # pyright: ignore[reportOptionalSubscript]


def test_greedy_completions_are_those_of_transformers(model: Any, tokenizer: Any, texts: list[str]):
    encoded = tokenizer(texts, return_tensors="pt", padding=True).to(model.device)
    with torch.no_grad():
        theirs = model.generate(**encoded, do_sample=False, max_new_tokens=30)
    ours = sample(
        model,
        [tokenizer(text)["input_ids"] for text in texts],
        seeds=range(len(texts)),
        limit=30,
        temperature=0,
        **options(tokenizer),
    )
    width = encoded["input_ids"].shape[1]
    for row, completion in zip(theirs[:, width:].tolist(), ours, strict=True):
        assert row[: len(completion.tokens)] == completion.tokens


def test_log_probabilities_and_gradients_are_those_of_transformers(
    model: Any, tokenizer: Any, texts: list[str]
):
    prompts = [tokenizer(text)["input_ids"] for text in texts for _ in range(4)]
    sampled = sample(
        model, prompts, seeds=range(len(prompts)), limit=30, temperature=1.0, **options(tokenizer)
    )
    batch = tokenizer.pad({"input_ids": prompts}, return_tensors="pt").to(model.device)
    width = max(len(of.tokens) for of in sampled)
    ids = torch.full((len(prompts), width), tokenizer.pad_token_id)
    mask, expected = torch.zeros_like(ids), torch.zeros(ids.shape)
    for row, of in enumerate(sampled):
        ids[row, : len(of.tokens)] = torch.tensor(of.tokens)
        mask[row, : len(of.tokens)] = 1
        expected[row, : len(of.tokens)] = torch.tensor(of.logprobs)
    ids, mask = ids.to(model.device), mask.to(model.device)
    scores = Llama(model).score(
        batch["input_ids"], batch["attention_mask"], ids, mask, temperature=1.0
    )
    torch.testing.assert_close(scores.logprobs.detach().cpu(), expected, atol=1e-4, rtol=0)
    whole = torch.cat([batch["attention_mask"], mask], dim=1)
    logits = model(
        input_ids=torch.cat([batch["input_ids"], ids], dim=1),
        attention_mask=whole,
        position_ids=(whole.cumsum(1) - 1).clamp(min=0),
        logits_to_keep=width + 1,
    ).logits[:, :-1]
    theirs = torch.log_softmax(logits, dim=-1).gather(2, ids[..., None])[..., 0] * mask
    torch.testing.assert_close(scores.logprobs, theirs, atol=1e-4, rtol=0)
    of_ours, of_theirs = (
        torch.autograd.grad(of.sum(), list(model.parameters())) for of in (scores.logprobs, theirs)
    )
    for one, other in zip(of_ours, of_theirs, strict=True):
        scale = other.abs().max().item()
        torch.testing.assert_close(one, other, atol=1e-3 * scale, rtol=0)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_trains_and_records(precision: Any, tiny_base: Path, tmp_path: Path):
    run = train(tiny_base, tmp_path / "run", settings=replace(SETTINGS, precision=precision))
    lines = run.metrics()
    assert len(lines) == SETTINGS.steps
    assert run.count_rollouts("train") == SETTINGS.steps * SETTINGS.rollouts_per_step
    assert lines[0]["kl"] == pytest.approx(0, abs=1e-4 if precision == "float32" else 0.02)
    assert all(math.isfinite(line["loss"]) for line in lines)
