"""Rewards, bonuses and engines in real runs: what is recorded is what was trained on."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from on_policy_process import SETTINGS, SMALL, train
from safetensors.torch import load_file

from formatlab.errors import InputError, RunError
from formatlab.models.lora import LoraSettings
from formatlab.store.run_folder import RunFolder
from formatlab.train.on_policy.engine import Engine
from formatlab.train.on_policy.exploration import Exploration
from formatlab.train.on_policy.grpo_trainer import LabGrpoTrainer
from formatlab.train.on_policy.settings import Ppo, Rloo
from formatlab.train.reward import Reward

SHORT = replace(SETTINGS, epochs=1)


def steps(run: RunFolder) -> list[list[dict[str, Any]]]:
    found = defaultdict(list)
    for row in run.rollouts("train").to_pylist():
        found[row["step"]].append(row)
    return [found[step] for step in sorted(found)]


def test_a_random_reward_pays_as_many_rollouts_of_a_step_as_are_right(
    tiny_base: Path, tmp_path: Path
):
    run = train(tiny_base, tmp_path / "run", settings=SHORT, reward=Reward(kind="random"))
    for step in steps(run):
        assert sum(row["reward"] for row in step) == sum(row["correct"] for row in step)
    rows = [row for step in steps(run) for row in step]
    assert any(row["reward"] != float(row["correct"]) for row in rows)


def test_without_any_reward_the_policy_stays_what_it_was_to_the_last_bit(
    tiny_base: Path, tmp_path: Path
):
    run = train(tiny_base, tmp_path / "run", settings=SHORT, reward=Reward(kind="none"))
    after = load_file(run.path / "policy" / "model.safetensors")
    before = load_file(tiny_base / "model" / "model.safetensors")
    assert all(after[name].equal(before[name]) for name in before)
    probes = [run.rollouts("probe", epoch=epoch) for epoch in (0.0, 1.0)]
    base, last = (probe["completion"].to_pylist() for probe in probes)
    assert base == last


def test_an_inverted_reward_pays_what_is_wrong(tiny_base: Path, tmp_path: Path):
    run = train(tiny_base, tmp_path / "run", settings=SHORT, reward=Reward(kind="inverted"))
    rows = run.rollouts("train").to_pylist()
    assert all(row["reward"] == float(not row["correct"]) for row in rows)


def test_an_injected_error_pays_wrong_answers_of_its_format_alone(tiny_base: Path, tmp_path: Path):
    reward = Reward(false_positives={"direct": 1.0})
    rows = train(tiny_base, tmp_path / "run", settings=SHORT, reward=reward).rollouts("train")
    wrong = [row for row in rows.to_pylist() if not row["correct"]]
    assert {row["reward"] for row in wrong if row["tag"] == "direct"} == {1.0}
    assert {row["reward"] for row in wrong if row["tag"] != "direct"} <= {0.0}


@pytest.mark.parametrize("kl_coefficient", [0.0, 0.5])
def test_rloo_compares_a_rollout_with_the_others_of_its_group(
    tiny_base: Path, tmp_path: Path, kl_coefficient: float
):
    options = {k: getattr(SHORT, k) for k in ("learning_rate", "prompts", "prompts_per_step")}
    settings = Rloo(
        **options,
        group_size=4,
        epochs=1,
        completion_length=24,
        kl_coefficient=kl_coefficient,
    )
    first = steps(train(tiny_base, tmp_path / "run", settings=settings))[0]
    rewards = np.array([row["reward"] for row in first]).reshape(-1, 4)
    others = (rewards.sum(1, keepdims=True) - rewards) / 3
    # At the first step policy and base are one, so that KL takes nothing off.
    expected = (rewards - others).ravel().tolist()
    assert [row["advantage"] for row in first] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("over", ["answer", "format"])
def test_a_batch_bonus_is_added_to_the_advantage(tiny_base: Path, tmp_path: Path, over: Any):
    bonus = Exploration(bonus="batch", over=over, coefficient=0.5)
    run = train(tiny_base, tmp_path / "run", settings=SHORT, exploration=bonus)
    plain = train(tiny_base, tmp_path / "plain", settings=SHORT)
    with_bonus, without = steps(run)[0], steps(plain)[0]
    column = "answer" if over == "answer" else "tag"
    groups = [with_bonus[start : start + 4] for start in range(0, len(with_bonus), 4)]
    bonuses = [
        0.0
        if all(other["correct"] for other in group)
        else -0.5 / 4 * sum(other[column] == row[column] for other in group) + 0.5 / 4
        for group in groups
        for row in group
    ]
    for row, before, expected in zip(with_bonus, without, bonuses, strict=True):
        assert row["completion"] == before["completion"]  # the first step samples the base
        added = row["advantage"] - before["advantage"]
        if over == "format":
            assert added == pytest.approx(expected, abs=1e-5)
        else:  # kept from the tokens of the answer, so that the mean over tokens is nearer to 0
            assert expected - 1e-5 <= added <= 1e-5
    assert run.metrics()[0]["bonus"] == pytest.approx(np.mean(bonuses))


def test_a_bonus_works_with_ppo(tiny_base: Path, tmp_path: Path):
    settings = Ppo(
        learning_rate=1e-3,
        prompts=8,
        prompts_per_step=4,
        group_size=4,
        epochs=1,
        completion_length=24,
    )
    bonus = Exploration(bonus="ucb_mean")
    run = train(tiny_base, tmp_path / "run", settings=settings, exploration=bonus)
    assert all("bonus" in line for line in run.metrics())


def test_what_trl_samples_itself_is_recorded_too(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(LabGrpoTrainer, "_lab_samples", False)
    run = train(tiny_base, tmp_path / "run", settings=SHORT)
    rows = run.rollouts("train").to_pylist()
    assert len(rows) == SHORT.steps * SHORT.rollouts_per_step
    assert {(row["logprob"], row["entropy"]) for row in rows} == {(None, None)}
    assert {row["correct"] for row in rows} == {True, False}
    assert all(line["entropy"] is None and line["kl"] is not None for line in run.metrics())


def test_vllm_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("formatlab.train.on_policy.engine.find_spec", lambda _: None)
    with pytest.raises(InputError, match="vLLM is not installed"):
        Engine(vllm="colocate").check_installed()
    with pytest.raises(InputError, match="vllm_memory"):
        Engine(vllm_memory=1.5)


def test_weights_that_are_gone_stop_the_run_with_the_reason(tiny_base: Path, tmp_path: Path):
    settings = replace(SETTINGS, learning_rate=1e38, gradient_clip=1e38, warmup=0.0)
    with pytest.raises(RunError, match=r"(?i)not (a )?finite|NaN|number"):
        train(tiny_base, tmp_path / "run", settings=settings)
    run = RunFolder.open(tmp_path / "run")
    assert run.metrics()[-1]["events"][0]["kind"] == "not_finite"
    assert len(run.metrics()) < settings.steps


@pytest.mark.parametrize(
    "changes", [{"ratio": "sequence", "loss_type": "grpo"}, {"loss_type": "cispo"}], ids=str
)
def test_a_bonus_works_with_other_losses(tiny_base: Path, tmp_path: Path, changes: Any):
    settings, bonus = replace(SHORT, **changes), Exploration(bonus="ucb_constant")
    run = train(tiny_base, tmp_path / "run", settings=settings, exploration=bonus)
    assert all(line["bonus"] != 0 and line["loss"] is not None for line in run.metrics())


def test_rloo_trains_an_adapter(tiny_base: Path, tmp_path: Path):
    settings = Rloo(**{**SMALL, "epochs": 1, "learning_rate": 1e-2}, kl_coefficient=0.01)
    run = train(tiny_base, tmp_path / "run", settings=settings, lora=LoraSettings(rank=4))
    assert (run.path / "policy" / "adapter_model.safetensors").exists()
    assert run.metrics()[0]["kl"] == pytest.approx(0, abs=1e-5)
    assert run.metrics()[-1]["kl"] > 1e-5
