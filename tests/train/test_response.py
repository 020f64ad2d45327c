"""The response of format shares to an update, on a model of two formats whose gradient is known."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from formatlab.train.response import PARTS, Sampled, deciding_tokens, responses

CODE, TEXT, END, BODY = 1, 2, 3, 4
SETTINGS = {"learning_rate": 1e-3, "temperature": 1.0, "loss_type": "dr_grpo"}
CONFIG = {"algorithm": "grpo", "settings": SETTINGS}


class Table(nn.Module):
    """Logits of the next token by the token before, with no other weights."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(6, 6))
        self.device = torch.device("cpu")

    def forward(self, input_ids: torch.Tensor, **other: Any) -> SimpleNamespace:
        kept = other["logits_to_keep"]
        return SimpleNamespace(logits=self.logits[input_ids][:, -kept:])


def rollouts(
    *, code_right: float, text_right: float, bodies: tuple[int, int] = (1, 1), count: int = 2_048
) -> list[Sampled]:
    """Half of them begin with CODE, half with TEXT; as many are right as said."""
    generator = np.random.default_rng(0)
    found = []
    for number in range(count):
        code = bool(generator.integers(2))
        body = bodies[0 if code else 1]
        found.append(
            Sampled(
                prompt_id=f"p{number // 8}",
                prompt=[5],
                completion=[CODE if code else TEXT, *[BODY] * body, END],
                tag="code" if code else "text",
                correct=bool(generator.random() < (code_right if code else text_right)),
            )
        )
    return found


@pytest.mark.parametrize("bodies", [(1, 1), (9, 1)])
def test_the_format_that_is_right_more_often_gains(bodies: tuple[int, int]) -> None:
    found = responses(Table(), rollouts(code_right=0.9, text_right=0.3, bodies=bodies), CONFIG)
    for name in ("adamw", "sgd"):
        assert found["code"][name] > 5 * found["code"][f"{name}_error"] > 0
        assert found["code"][name] == pytest.approx(-found["text"][name], rel=0.2)


def test_it_is_the_change_that_an_update_makes() -> None:
    """Where all gradients have one sign, AdamW moves a logit by the learning rate."""
    found = responses(Table(), rollouts(code_right=0.9, text_right=0.3), CONFIG)
    assert found["code"]["adamw"] == pytest.approx(1e-3, rel=0.05)
    slower = {**CONFIG, "settings": {**SETTINGS, "learning_rate": 1e-4}}
    again = responses(Table(), rollouts(code_right=0.9, text_right=0.3), slower)
    assert again["code"]["adamw"] == pytest.approx(found["code"]["adamw"] / 10, rel=0.05)


def test_formats_that_are_equally_right_do_not_move() -> None:
    found = responses(Table(), rollouts(code_right=0.5, text_right=0.5), CONFIG)
    assert abs(found["code"]["sgd"]) < 4 * found["code"]["sgd_error"]


def test_a_mean_over_tokens_moves_long_formats_less() -> None:
    """With code of ten tokens more, its right rollouts count less where each loss is a mean."""
    sampled = rollouts(code_right=0.9, text_right=0.3, bodies=(10, 0))
    config = {**CONFIG, "settings": {**SETTINGS, "loss_type": "grpo"}}
    model = Table()
    gains = [responses(model, sampled, of)["code"] for of in (CONFIG, config)]
    summed, mean = (of["sgd"] / of["sgd_error"] for of in gains)
    assert summed > 0 < mean


def test_the_model_is_as_it_was() -> None:
    model = Table().train()
    before = model.logits.detach().clone()
    responses(model, rollouts(code_right=0.9, text_right=0.3), CONFIG)
    assert torch.equal(model.logits, before)
    assert model.training
    assert model.logits.grad is None


def test_too_few_prompts_give_none() -> None:
    sampled = rollouts(code_right=0.9, text_right=0.3, count=8 * (PARTS - 1))
    assert responses(Table(), sampled, CONFIG) == {}


def test_a_format_is_decided_where_all_that_begin_alike_have_it() -> None:
    def of(tag: str, *completion: int) -> Sampled:
        return Sampled(prompt_id="p", prompt=[5], completion=[*completion], tag=tag, correct=True)

    sampled = [of("a", 1, 1, 3), of("b", 1, 2, 3), of("c", 2, 2, 3), of("d", 4), of("e", 4)]
    assert deciding_tokens(sampled) == [2, 2, 1, 1, 1]
