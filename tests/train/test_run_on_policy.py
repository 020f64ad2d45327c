"""On-policy runs as a whole: what is recorded is complete and true, and a kill changes nothing."""

import shutil
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import on_policy_process
import pytest
import torch
from forked_program import exit_status
from on_policy_process import ALGORITHMS, PROBE, SETTINGS, start, train
from safetensors.torch import load_file

from formatlab.models.llama import Llama, Scores
from formatlab.models.lora import LoraSettings
from formatlab.store.run_folder import RunFolder
from formatlab.store.weights import weights_digest
from formatlab.train import base_divergence, sampler
from formatlab.train.on_policy import rollout_trainer
from formatlab.train.on_policy.settings import OnPolicy
from formatlab.train.reward import Reward


class WholeRuns(dict[str, RunFolder]):
    """Runs that were not interrupted, by algorithm, each made when it is first asked for."""

    def __init__(self, base: Path, folder: Path) -> None:
        self._base, self._folder = base, folder

    def __missing__(self, algorithm: str) -> RunFolder:
        self[algorithm] = start(algorithm, self._base, self._folder / algorithm / "run")
        return self[algorithm]


@pytest.fixture(scope="module")
def whole_runs(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    return WholeRuns(tiny_base, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def whole_run(whole_runs: dict[str, RunFolder]) -> RunFolder:
    """A run of GRPO that was not interrupted."""
    return whole_runs["grpo"]


def rows(run: RunFolder, split: Any) -> list[dict[str, Any]]:
    return run.rollouts(split).to_pylist()


def metrics(run: RunFolder) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k != "seconds"} for line in run.metrics()]


def test_every_training_rollout_is_kept(whole_run: RunFolder):
    found = rows(whole_run, "train")
    assert len(found) == SETTINGS.steps * SETTINGS.rollouts_per_step
    for step in range(SETTINGS.steps):
        batch = [row for row in found if row["step"] == step]
        assert len(batch) == SETTINGS.rollouts_per_step
        assert {row["epoch"] for row in batch} == {step // SETTINGS.steps_per_epoch}
        prompts = [row["prompt_id"] for row in batch]
        assert len(set(prompts)) == SETTINGS.prompts_per_step
        samples = [(row["prompt_id"], row["sample"]) for row in batch]
        assert len(set(samples)) == SETTINGS.rollouts_per_step


def test_an_epoch_trains_on_every_prompt_once_in_an_order_of_its_own(whole_run: RunFolder):
    orders = []
    for epoch in range(SETTINGS.epochs):
        seen = [row["prompt_id"] for row in rows(whole_run, "train") if row["epoch"] == epoch]
        orders.append(seen[:: SETTINGS.group_size])
        assert len(set(orders[-1])) == len(orders[-1]) == SETTINGS.prompts
    assert set(orders[0]) == set(orders[1])
    assert orders[0] != orders[1]


def test_the_reward_is_correctness_and_the_base_is_sometimes_right(whole_run: RunFolder):
    found = rows(whole_run, "train")
    assert all(row["reward"] == float(row["correct"]) for row in found)
    assert {row["correct"] for row in found} == {True, False}


@pytest.mark.parametrize("scale_rewards", ["none", "group", "batch"])
def test_recorded_advantages_are_those_of_the_definition(
    tiny_base: Path, tmp_path: Path, scale_rewards: Any
):
    settings = replace(SETTINGS, epochs=1, scale_rewards=scale_rewards)
    run = train(tiny_base, tmp_path / "run", settings=settings)
    for step in range(settings.steps):
        batch = [row for row in rows(run, "train") if row["step"] == step]
        rewards = np.array([row["reward"] for row in batch])
        groups = rewards.reshape(-1, settings.group_size)
        expected = groups - groups.mean(axis=1, keepdims=True)
        if scale_rewards == "group":
            expected = expected / (groups.std(axis=1, ddof=1, keepdims=True) + 1e-4)
        if scale_rewards == "batch":
            expected = expected / (rewards.std(ddof=1) + 1e-4)
        advantages = [row["advantage"] for row in batch]
        assert advantages == pytest.approx(expected.ravel().tolist(), abs=1e-5)


def test_probes_ask_the_same_prompts_at_every_checkpoint(whole_run: RunFolder):
    steps = PROBE.steps(per_epoch=SETTINGS.steps_per_epoch, epochs=SETTINGS.epochs)
    assert whole_run.epochs("probe") == sorted(steps.values())
    asked = {
        epoch: [
            (r["prompt_id"], r["sample"]) for r in rows(whole_run, "probe") if r["epoch"] == epoch
        ]
        for epoch in steps.values()
    }
    assert all(prompts == asked[0.0] for prompts in asked.values())
    assert len(asked[0.0]) == PROBE.prompts * PROBE.samples
    trained = {row["prompt_id"] for row in rows(whole_run, "train")}
    assert not trained & {prompt for prompt, _ in asked[0.0]}


def test_metrics_have_a_line_a_step_that_agrees_with_the_rollouts(whole_run: RunFolder):
    lines = whole_run.metrics()
    assert [line["step"] for line in lines] == list(range(SETTINGS.steps))
    for line in lines:
        batch = [row for row in rows(whole_run, "train") if row["step"] == line["step"]]
        assert line["reward"] == pytest.approx(np.mean([row["reward"] for row in batch]))
        assert line["truncated"] == pytest.approx(np.mean([row["truncated"] for row in batch]))
        assert sum(line["share"].values()) == pytest.approx(1)
        for tag, share in line["share"].items():
            of_tag = [row["correct"] for row in batch if row["tag"] == tag]
            assert share == len(of_tag) / len(batch)
            assert line["accuracy"][tag] == pytest.approx(np.mean(of_tag))
        assert line["loss"] is not None
        assert line["grad_norm"] >= 0


def test_kl_to_the_base_is_logged_without_a_kl_coefficient_and_starts_at_0(whole_run: RunFolder):
    kl = [line["kl"] for line in whole_run.metrics()]
    assert kl[0] == pytest.approx(0, abs=1e-5)
    assert max(kl) > 1e-4


@pytest.mark.parametrize(
    ("settings", "lora"),
    [
        (SETTINGS, None),
        (replace(SETTINGS, kl_coefficient=0.05, entropy_coefficient=0.01), None),
        (replace(SETTINGS, ratio="sequence", loss_type="grpo", iterations=2), None),
        (replace(SETTINGS, temperature=0.8, sequences_per_update=8), None),
        (replace(SETTINGS, kl_coefficient=0.05, iterations=2), LoraSettings()),
        (ALGORITHMS["ppo"], None),
        (ALGORITHMS["ppo-critic"], None),
        (ALGORITHMS["rloo"], None),
    ],
    ids=["grpo", "kl", "passes", "temperature", "adapter", "ppo", "critic", "rloo"],
)
def test_the_labs_forward_pass_trains_as_the_modules_own_does(
    tiny_base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: OnPolicy,
    lora: LoraSettings | None,
):
    ours = train(tiny_base, tmp_path / "ours", settings=settings, lora=lora)
    for module in (base_divergence, rollout_trainer, sampler):
        monkeypatch.setattr(module, "is_plain_llama", lambda model: False)
    monkeypatch.setattr(rollout_trainer.RolloutTrainer, "_sampler_scores", False)
    theirs = train(tiny_base, tmp_path / "theirs", settings=settings, lora=lora)
    numbers = {"train": ("advantage", "logprob", "entropy"), "probe": ("logprob", "entropy")}
    for split, names in numbers.items():
        for one, other in zip(rows(ours, split), rows(theirs, split), strict=True):
            assert one["completion"] == other["completion"]
            assert one["reward"] == other["reward"]
            for name in names:
                assert one[name] == pytest.approx(other[name], abs=2e-3, rel=1e-3)
    for one, other in zip(metrics(ours), metrics(theirs), strict=True):
        for name in ("loss", "grad_norm", "kl"):
            assert one[name] == pytest.approx(other[name], abs=1e-5, rel=5e-3)
    file = "adapter_model.safetensors" if lora else "model.safetensors"
    weights, expected = (load_file(r.path / "policy" / file) for r in (ours, theirs))
    start = load_file(tiny_base / "model" / "model.safetensors")
    for name, value in expected.items():  # Adam makes steps of gradients that are mere rounding
        moved, apart = value - start.get(name, 0), weights[name] - value
        assert apart.norm() < 0.05 * moved.norm()


@pytest.mark.parametrize("algorithm", ["ppo", "rloo"])
def test_a_policy_that_is_only_paid_to_be_near_the_base_is_not_moved_by_rounding(
    tiny_base: Path, tmp_path: Path, algorithm: str
):
    settings = replace(ALGORITHMS[algorithm], prompts=4, epochs=1)  # a step
    run = train(tiny_base, tmp_path / "run", settings=settings, reward=Reward(kind="none"))
    weights, start = (
        load_file(folder / "model.safetensors")
        for folder in (run.path / "policy", tiny_base / "model")
    )
    assert all(torch.equal(weights[name], value) for name, value in start.items())


def test_rollouts_without_an_advantage_are_not_computed_again(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    scored: list[int] = []
    score = Llama.score

    def counted(llama: Llama, *parts: torch.Tensor, **asked: Any) -> Scores:
        if torch.is_grad_enabled():
            scored.append(len(parts[0]))
        return score(llama, *parts, **asked)

    monkeypatch.setattr(Llama, "score", counted)
    found = rows(train(tiny_base, tmp_path / "run"), "train")
    moving = Counter(row["step"] for row in found if row["advantage"])
    assert scored == [max(1, moving[step]) for step in range(SETTINGS.steps)]
    assert sum(scored) < len(found)


@pytest.mark.parametrize(
    ("algorithm", "kills"),
    [
        ("grpo", {"report:2": 2, "checkpoint:3": 4, "policy:1": 6}),
        ("grpo", {"probe:2": 1, "checkpoint:2": 2, "report:4": 5}),
        ("rloo", {"checkpoint:2": 2, "report:4": 5}),
        ("ppo", {"checkpoint:4": 4}),
        ("bonus", {"report:5": 5}),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_run_killed_and_resumed_again_and_again_equals_one_that_ran_through(
    tiny_base: Path,
    tmp_path: Path,
    whole_runs: dict[str, RunFolder],
    algorithm: str,
    kills: dict[str, int],
):
    """Moments are counted from the kill before; beside each: the steps that were done then."""
    whole_run, words = whole_runs[algorithm], (algorithm, tiny_base, tmp_path / "run")
    logged = []
    for moment, steps in kills.items():
        assert exit_status(on_policy_process.main, *words, moment) == -signal.SIGKILL
        logged.append(len(RunFolder.open(tmp_path / "run").metrics()))
        assert logged[-1] in (steps, steps - 1)
    assert exit_status(on_policy_process.main, *words, "none") == 0
    run = RunFolder.open(tmp_path / "run")
    # Says what was lost: at most what came after the last checkpoint.
    for again, lines in zip(run.resumes(), filter(None, logged), strict=True):
        assert again["lost"] == lines - again["step"] <= ALGORITHMS[algorithm].checkpoint_every
    for split in ("train", "probe"):
        assert rows(run, split) == rows(whole_run, split)
    assert metrics(run) == metrics(whole_run)
    ours, theirs = (load_file(r.path / "policy" / "model.safetensors") for r in (run, whole_run))
    assert all(ours[name].equal(theirs[name]) for name in theirs)


def test_the_same_seed_gives_the_same_run_with_a_critic_of_its_own(
    tiny_base: Path, tmp_path: Path, whole_runs: dict[str, RunFolder]
):
    """The others are made a second time above."""
    whole, again = whole_runs["ppo-critic"], start("ppo-critic", tiny_base, tmp_path / "run")
    assert rows(again, "train") == rows(whole, "train")
    assert metrics(again) == metrics(whole)
    assert weights_digest(again.path / "policy") == weights_digest(whole.path / "policy")


@pytest.mark.parametrize(
    "changes",
    [
        {"kl_coefficient": 0.05, "iterations": 2, "schedule": "cosine_with_min_lr", "warmup": 0.2},
        {"sequences_per_update": 8, "precision": "bfloat16", "entropy_coefficient": 0.01},
        {"ratio": "sequence", "loss_type": "luspo"},
        {"micro_batch": 4, "loss_type": "dapo"},
        *({"loss_type": name} for name in ("grpo", "bnpo", "cispo", "sapo", "vespo")),
    ],
    ids=str,
)
def test_options_run_and_record_the_same_number_of_rollouts(
    tiny_base: Path, tmp_path: Path, changes: dict[str, Any]
):
    settings = replace(SETTINGS, prompts=8, epochs=1, **changes)
    run = train(tiny_base, tmp_path / "run", settings=settings)
    assert len(rows(run, "train")) == settings.steps * settings.rollouts_per_step
    assert [line["step"] for line in run.metrics()] == [0, 1]


def test_an_adapter_is_trained_and_saved_alone(tiny_base: Path, tmp_path: Path):
    settings = replace(SETTINGS, epochs=1, learning_rate=1e-2)
    run = train(tiny_base, tmp_path / "run", settings=settings, lora=LoraSettings(rank=4))
    assert (run.path / "policy" / "adapter_model.safetensors").exists()
    assert not (run.path / "policy" / "model.safetensors").exists()
    kl = [line["kl"] for line in run.metrics()]
    assert kl[0] == pytest.approx(0, abs=1e-5)
    assert len(rows(run, "train")) == settings.steps * settings.rollouts_per_step


def test_kl_starts_at_0_in_half_precision_and_at_another_temperature_too(
    tiny_base: Path, tmp_path: Path
):
    settings = replace(SETTINGS, epochs=1, precision="bfloat16", temperature=0.7)
    kl = [line["kl"] for line in train(tiny_base, tmp_path / "run", settings=settings).metrics()]
    assert kl[0] == pytest.approx(0, abs=1e-6)


def test_a_run_that_lost_rollouts_is_made_anew(
    tiny_base: Path, tmp_path: Path, whole_run: RunFolder
):
    shutil.copytree(whole_run.path, tmp_path / "run")
    run = RunFolder.open(tmp_path / "run")
    next(run.path.glob("rollouts/split=train/epoch=000.parquet")).unlink()
    again = train(tiny_base, tmp_path / "run")
    assert rows(again, "train") == rows(whole_run, "train")
    assert metrics(again) == metrics(whole_run)


def test_a_run_whose_log_was_cut_short_is_made_anew(
    tiny_base: Path, tmp_path: Path, whole_run: RunFolder
):
    shutil.copytree(whole_run.path, tmp_path / "run")
    log = tmp_path / "run" / "metrics.jsonl"
    log.write_bytes(log.read_bytes()[:-20])
    again = train(tiny_base, tmp_path / "run")
    assert rows(again, "train") == rows(whole_run, "train")
    assert metrics(again) == metrics(whole_run)
