"""The critic by itself: which states it values, in which precision, and where it is kept."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_llama import tiny_model
from torch import nn

from formatlab.train.on_policy.critic import Critic, last_hidden_states, predicting, trunk_of


def test_a_token_is_valued_before_it_is_written():
    """A prompt of three tokens and a completion of two; a state is its place."""
    critic = Critic(width=1)
    critic.weight.data.fill_(1.0)
    critic.bias.data.fill_(0.5)
    places = torch.arange(5.0).expand(4, 5)[..., None]  # (B, P + C, H)
    assert critic(predicting(places, length=2)).tolist() == [[2.5, 3.5]] * 4


def test_a_new_critic_values_everything_at_0():
    assert (Critic(width=3)(torch.randn(2, 4, 3)) == torch.zeros(2, 4)).all()


def test_values_are_float32_in_half_precision_too():
    critic = Critic(width=8)
    nn.init.normal_(critic.weight)
    states = torch.randn(2, 4, 8).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        values = critic(states)
    assert values.dtype == torch.float32
    assert values.equal(critic(states.float()))


@pytest.mark.parametrize("own_trunk", [False, True])
def test_a_critic_is_read_back_as_it_was_written(tmp_path: Path, own_trunk: bool):
    written, read = (
        Critic(width=64, trunk=trunk_of(tiny_model()) if own_trunk else None) for _ in range(2)
    )
    for parameter in written.parameters():
        nn.init.normal_(parameter) if parameter.dim() else parameter.data.fill_(2.0)
    written.save(tmp_path)
    read.load(tmp_path)
    theirs = read.state_dict()
    assert all(theirs[name].equal(value) for name, value in written.state_dict().items())


def test_hidden_states_are_those_below_the_head_and_only_while_they_are_asked_for():
    model = tiny_model()
    ids = torch.randint(5, 50, (2, 7))
    with last_hidden_states(trunk_of(model)) as seen:
        logits = model(ids).logits
    model(ids)
    (hidden,) = seen
    head: Any = model.get_output_embeddings()
    torch.testing.assert_close(head(hidden), logits)


def test_the_trunk_of_an_adapted_model_has_its_adapters():
    model = get_peft_model(tiny_model(), LoraConfig(r=2, target_modules=["q_proj"]))  # pyright: ignore[reportArgumentType]
    names = [name for name, _ in trunk_of(model).named_parameters()]
    assert any("lora_A" in name for name in names)
    assert not any("lm_head" in name for name in names)
