"""PPO's settings: what they refuse, what they record, and the original paper's."""

from dataclasses import fields
from typing import Any

import pytest

from formatlab.errors import InputError
from formatlab.train.on_policy.settings import OnPolicy, Ppo, echo_chamber_grpo, echo_chamber_ppo


@pytest.mark.parametrize(
    "changes",
    [
        {"gae_lambda": 1.01},
        {"gae_lambda": -0.1},
        {"discount": 1.5},
        {"value_clip": 0.0},
        {"value_coefficient": -1.0},
        {"critic_learning_rate": 0.0},
        {"iterations": 0},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_by_name(changes: dict[str, Any]):
    (name,) = changes
    with pytest.raises(InputError, match=f"ppo: {name} is"):
        Ppo(**changes)


def test_a_batch_is_learned_from_several_times_unless_told_otherwise():
    assert Ppo().updates_per_step == 4
    assert Ppo(iterations=1, sequences_per_update=64).updates_per_step == 8


def test_every_setting_that_decides_the_result_is_recorded():
    recorded = Ppo(critic="model", optimiser="sgd", learning_rate=1.0).config
    assert set(recorded) == {f.name for f in fields(Ppo)} - {"checkpoint_every"}
    assert recorded["critic"] == "model"


def test_the_original_papers_ppo_is_its_grpo_but_for_what_is_ppos():
    ppo, grpo = echo_chamber_ppo(), echo_chamber_grpo()
    for field in fields(OnPolicy):
        assert getattr(ppo, field.name) == getattr(grpo, field.name), field.name
    assert (ppo.gae_lambda, ppo.discount, ppo.clip_epsilon, ppo.value_clip) == (0.95, 1, 0.2, 0.2)
    assert (ppo.critic, ppo.critic_learning_rate, ppo.learning_rate) == ("model", 7e-6, 1e-6)
    assert ppo.kl_coefficient == 1e-3
    assert echo_chamber_ppo(prompts=64).steps == 10
