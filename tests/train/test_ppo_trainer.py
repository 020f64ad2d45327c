"""PPO runs on a tiny model: the critic learns, is looked after, and stays out of the policy."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from on_policy_process import SMALL, WORLD, train
from safetensors.torch import load_file
from transformers import TrainerCallback

from formatlab.errors import InputError
from formatlab.models.lora import LoraSettings
from formatlab.models.model import load_saved, load_tokenizer, silence_libraries
from formatlab.observe.grader import Grade
from formatlab.store.run_folder import RunFolder
from formatlab.train.on_policy import ppo_trainer
from formatlab.train.on_policy.critic import CRITIC_FILE, value_losses
from formatlab.train.on_policy.engine import Engine
from formatlab.train.on_policy.exploration import Exploration
from formatlab.train.on_policy.ppo_trainer import LabPpoTrainer
from formatlab.train.on_policy.settings import Ppo
from formatlab.train.reward import Reward
from formatlab.train.trl_arguments import on_policy_arguments
from formatlab.world.prompt import plain_prompt

SETTINGS = Ppo(**SMALL, iterations=2, kl_coefficient=0.01)
BOTH = pytest.mark.parametrize("critic", ["head", "model"])


LEARNABLE: dict[str, Any] = {
    "prompts": 32,
    "prompts_per_step": 16,
    "epochs": 5,
    "iterations": 4,
    "warmup": 0.1,
    "checkpoint_every": 100,
}
"""Ten steps of 64 rollouts."""


class PaidForDirect(Reward):
    """Pays for a format, which can be foreseen; right answers of so small a base cannot."""

    def pay(self, grades: Sequence[Grade], seeds: Sequence[int]) -> list[float]:
        return [float(grade.tag.format == "direct") for grade in grades]


class Stopped(Exception):
    """Ends a run in the middle."""


def stopping_after(step: int) -> Any:
    def report(done: int, _line: dict[str, Any]) -> None:
        if done == step:
            raise Stopped

    return report


def rows(run: RunFolder) -> list[dict[str, Any]]:
    return run.rollouts("train").to_pylist()


def metrics(run: RunFolder) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k != "seconds"} for line in run.metrics()]


def assert_same(run: RunFolder, other: RunFolder) -> None:
    assert rows(run) == rows(other)
    assert metrics(run) == metrics(other)
    ours, theirs = (load_file(r.path / "policy" / "model.safetensors") for r in (run, other))
    assert all(ours[name].equal(theirs[name]) for name in theirs)


def trainer(base: Path, folder: Path, settings: Ppo) -> LabPpoTrainer:
    torch.set_num_threads(1)
    silence_libraries()
    path = base / "model"
    made = LabPpoTrainer(
        settings=settings,
        args=LabPpoTrainer.trl_config(
            **on_policy_arguments(settings, Engine(), output=folder / "c", seed=1, processes=1)
        ),
        model=str(path),
        base=load_saved(path).requires_grad_(False),
        folder=RunFolder.create(folder, config={"name": "small"}, env={}),
        first_step=0,
        report=lambda *_: None,
        seed=1,
        train_dataset=Dataset.from_list(
            [
                {"prompt": p.text, "gold": p.gold, "prompt_id": p.id, "family": p.family}
                for p in map(plain_prompt, WORLD.problems("rl", settings.prompts))
            ]
        ),
        processing_class=load_tokenizer(path),
        reward=Reward(),
        exploration=Exploration(),
        engine=Engine(),
    )
    numbers = torch.Generator().manual_seed(0)
    head = made._critic.weight
    head.data = torch.randn(head.shape, generator=numbers) * 0.1  # so that the trunk is reached
    return made


class Gradients(TrainerCallback):
    """Keeps the gradients of the first update."""

    def __init__(self, critic: torch.nn.Module) -> None:
        self.critic = critic
        self.seen: dict[str, torch.Tensor] = {}

    def on_pre_optimizer_step(
        self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any
    ) -> None:
        if self.seen:
            return
        for module in (model, self.critic):
            for name, parameter in module.named_parameters():
                if parameter.grad is not None:
                    self.seen[name] = parameter.grad.clone()


@pytest.fixture(scope="module", params=["head", "model"])
def whole_run(
    request: pytest.FixtureRequest, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Ppo, RunFolder]:
    """A run that was not interrupted, with either critic."""
    settings = replace(SETTINGS, critic=request.param)
    return settings, train(tiny_base, tmp_path_factory.mktemp("whole") / "run", settings=settings)


@BOTH
def test_value_loss_falls_and_values_come_to_foretell_returns(
    tiny_base: Path, tmp_path: Path, critic: Any
):
    """The policy hardly moves, and the format it is paid for shows early in a completion."""
    settings = replace(
        SETTINGS,
        critic=critic,
        gae_lambda=1.0,  # targets that do not depend on the critic
        learning_rate=1e-5,
        critic_learning_rate=1e-2 if critic == "head" else 3e-3,
        **LEARNABLE,
    )
    run = train(tiny_base, tmp_path / "run", settings=settings, reward=PaidForDirect())
    lines = run.metrics()
    assert lines[0]["explained_variance"] == pytest.approx(0, abs=1e-5)  # values start at 0
    assert lines[0]["value_mean"] == 0
    early, late = lines[:2], lines[-4:]
    loss = [np.mean([line["value_loss"] for line in part]) for part in (early, late)]
    assert loss[1] < 0.7 * loss[0]
    assert np.mean([line["explained_variance"] for line in late]) > 0.3


@BOTH
def test_the_policy_learns_what_it_is_paid_for(tiny_base: Path, tmp_path: Path, critic: Any):
    settings = replace(SETTINGS, critic=critic, **LEARNABLE)
    run = train(tiny_base, tmp_path / "run", settings=settings, reward=PaidForDirect())
    rewards = [line["reward"] for line in run.metrics()]
    assert np.mean(rewards[:2]) < 0.6
    assert np.mean(rewards[-2:]) > 0.85


def test_a_run_stopped_in_any_epoch_and_resumed_equals_one_that_ran_through(
    tiny_base: Path, tmp_path: Path, whole_run: tuple[Ppo, RunFolder]
):
    settings, whole = whole_run
    assert settings.steps_per_epoch == 3
    for step in (2, 5):
        with pytest.raises(Stopped):
            train(tiny_base, tmp_path / "run", settings=settings, report=stopping_after(step))
    assert_same(train(tiny_base, tmp_path / "run", settings=settings), whole)


def test_the_critic_is_in_the_checkpoint_and_nowhere_in_the_policy(
    tiny_base: Path, whole_run: tuple[Ppo, RunFolder]
):
    _, run = whole_run
    (checkpoint,) = run.checkpoints.glob("checkpoint-*")
    critic = load_file(checkpoint / CRITIC_FILE)
    assert critic["weight"].abs().max() > 0
    base, policy = (
        load_file(p / "model.safetensors") for p in (tiny_base / "model", run.path / "policy")
    )
    assert set(policy) == set(base)
    assert not (run.path / "policy" / CRITIC_FILE).exists()
    trunk = {name for name in critic if name.startswith("trunk.")}
    assert bool(trunk) == (whole_run[0].critic == "model")


def test_metrics_tell_of_the_critic_and_of_the_price_of_leaving_the_base(
    whole_run: tuple[Ppo, RunFolder],
):
    lines = whole_run[1].metrics()
    assert lines[0]["kl_penalty"] == pytest.approx(0, abs=1e-6)  # the policy is the base
    assert any(line["kl_penalty"] != 0 for line in lines[1:])
    for line in lines:
        assert line["value_loss"] > 0
        assert line["explained_variance"] <= 1


@pytest.mark.parametrize("whitened", [True, False])
def test_before_the_critic_knows_anything_an_advantage_is_the_reward(
    tiny_base: Path, tmp_path: Path, whitened: bool
):
    settings = replace(
        SETTINGS, gae_lambda=1.0, kl_coefficient=0.0, epochs=1, whiten_advantages=whitened
    )
    run = train(tiny_base, tmp_path / "run", settings=settings)
    first = [row for row in rows(run) if row["step"] == 0]
    rewards = np.array([row["reward"] for row in first])
    expected = rewards
    if whitened:
        by_token = np.repeat(rewards, [row["tokens"] for row in first])
        expected = (rewards - by_token.mean()) / by_token.std(ddof=1)
    assert [row["advantage"] for row in first] == pytest.approx(expected.tolist(), abs=1e-5)


@BOTH
@pytest.mark.parametrize("sequences_per_update", [None, 8])
def test_an_update_has_the_same_gradient_however_it_is_split(
    tiny_base: Path, tmp_path: Path, critic: Any, sequences_per_update: int | None
):
    settings = replace(
        SETTINGS,
        critic=critic,
        prompts=4,
        epochs=1,
        gradient_clip=0.0,
        sequences_per_update=sequences_per_update,
    )
    found, losses = [], []
    for micro_batch in (16, 2):
        made = trainer(
            tiny_base, tmp_path / str(micro_batch), replace(settings, micro_batch=micro_batch)
        )
        gradients = Gradients(made._critic)
        made.add_callback(gradients)
        made.train()
        found.append(gradients.seen)
        losses.append(made._folder.metrics()[0]["value_loss"])
    assert set(found[0]) == set(found[1]) > {"weight", "bias", "model.norm.weight"}
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], rtol=1e-4, atol=1e-6)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@BOTH
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_before_any_update_values_are_what_they_were_when_the_rollouts_were_sampled(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, critic: Any, precision: Any
):
    """Rollouts are shuffled in between, and each has to meet its own values again."""
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def watched(values: torch.Tensor, *, old: torch.Tensor, **rest: Any) -> torch.Tensor:
        seen.append((values.detach(), old))
        return value_losses(values, old=old, **rest)

    monkeypatch.setattr(ppo_trainer, "value_losses", watched)
    settings = replace(SETTINGS, critic=critic, precision=precision, prompts=4, epochs=1)
    trainer(tiny_base, tmp_path / "run", replace(settings, micro_batch=8)).train()
    for values, old in seen[:2]:  # the micro-batches of the first update
        torch.testing.assert_close(values, old, rtol=1e-4, atol=1e-5)
        assert old.std() > 0.01


def test_the_value_loss_reaches_the_trunk_of_a_head_and_not_past_a_separate_critic(
    tiny_base: Path, tmp_path: Path
):
    """Without a reward and before any update, the policy loss has no gradient of its own."""
    found = {}
    for critic in ("head", "model"):
        settings = replace(
            SETTINGS, critic=critic, prompts=4, epochs=1, gradient_clip=0.0, kl_coefficient=0.0
        )
        made = trainer(tiny_base, tmp_path / critic, settings)
        made._advantages = lambda batch, rewards, self=made: (  # pyright: ignore[reportAttributeAccessIssue]
            0 * LabPpoTrainer._advantages(self, batch, rewards)
        )
        gradients = Gradients(made._critic)
        made.add_callback(gradients)
        made.train()
        found[critic] = gradients.seen
    name = "model.norm.weight"
    assert found["head"][name].abs().max() > 0
    assert found["model"][name].abs().max() == 0
    assert found["model"]["trunk.norm.weight"].abs().max() > 0


def test_the_critic_has_its_own_rate_and_its_gradient_is_clipped_and_forgotten(
    tiny_base: Path, tmp_path: Path
):
    settings = replace(
        SETTINGS,
        prompts=4,
        epochs=1,
        critic_learning_rate=0.5,
        gradient_clip=1e-3,
        warmup=0.0,
        micro_batch=4,
    )
    made = trainer(tiny_base, tmp_path / "run", settings)
    gradients = Gradients(made._critic)
    made.add_callback(gradients)
    made.train()
    head = torch.cat([gradients.seen["weight"], gradients.seen["bias"][None]])
    assert head.norm().item() == pytest.approx(1e-3, rel=1e-2)
    assert all(p.grad is None for p in made._critic.parameters())
    optimizer: Any = made.optimizer
    assert [group["lr"] for group in optimizer.param_groups] == [1e-3, 1e-3, 0.5]


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bfloat16", "critic": "model", "sequences_per_update": 8, "micro_batch": 4},
        {
            "precision": "bfloat16",
            "critic": "head",
            "schedule": "cosine_with_min_lr",
            "critic_learning_rate": 1e-2,
            "warmup": 0.2,
        },
        {"entropy_coefficient": 0.01, "whiten_advantages": False},
    ],
    ids=str,
)
def test_options_run_and_record_the_same_number_of_rollouts(
    tiny_base: Path, tmp_path: Path, changes: dict[str, Any]
):
    settings = replace(SETTINGS, epochs=1, **changes)
    run = train(tiny_base, tmp_path / "run", settings=settings)
    assert len(rows(run)) == settings.steps * settings.rollouts_per_step
    lines = run.metrics()
    assert [line["step"] for line in lines] == list(range(settings.steps))
    assert all(line["value_loss"] > 0 for line in lines)
    assert lines[0]["kl"] == pytest.approx(0, abs=1e-5)


@BOTH
def test_an_adapter_is_trained_beside_a_whole_critic_and_saved_alone(
    tiny_base: Path, tmp_path: Path, critic: Any
):
    settings = replace(SETTINGS, critic=critic, learning_rate=1e-2)
    folder, lora = tmp_path / "run", LoraSettings(rank=4)
    with pytest.raises(Stopped):
        train(tiny_base, folder, settings=settings, lora=lora, report=stopping_after(4))
    run = train(tiny_base, folder, settings=settings, lora=lora)
    whole = train(tiny_base, tmp_path / "whole", settings=settings, lora=lora)
    assert metrics(run) == metrics(whole)
    assert (run.path / "policy" / "adapter_model.safetensors").exists()
    assert not (run.path / "policy" / "model.safetensors").exists()
    assert not (run.path / "policy" / CRITIC_FILE).exists()
    (checkpoint,) = run.checkpoints.glob("checkpoint-*")
    assert not any("lora" in name for name in load_file(checkpoint / CRITIC_FILE))
    lines = run.metrics()
    assert lines[0]["kl"] == pytest.approx(0, abs=1e-5)
    assert max(line["kl"] for line in lines) > 1e-5
    assert len(rows(run)) == settings.steps * settings.rollouts_per_step


def test_sharding_is_refused_with_what_to_do(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(LabPpoTrainer, "sharded", True)
    with pytest.raises(InputError, match="DeepSpeed or FSDP; launch it without them"):
        trainer(tiny_base, tmp_path / "run", SETTINGS)
