"""The fast path learns as stock TRL does: curves over five seeds, side by side."""

from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any, cast

import pytest
import torch
from datasets import Dataset
from on_policy_process import SETTINGS, WORLD, train
from scipy.stats import mannwhitneyu
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from formatlab.models.model import load_tokenizer
from formatlab.train.on_policy.engine import Engine
from formatlab.train.reward import Reward, RewardFunction
from formatlab.train.trl_arguments import on_policy_arguments
from formatlab.world.prompt import plain_prompt

CURVE = replace(SETTINGS, epochs=8, group_size=8, prompts_per_step=6, checkpoint_every=100)
"""16 steps of 48 rollouts."""
SEEDS = range(5)


def of_the_lab(base: Path, folder: Path, seed: int) -> list[float]:
    """Mean reward of each step."""
    return [line["reward"] for line in train(base, folder, settings=CURVE, seed=seed).metrics()]


def of_stock_trl(base: Path, folder: Path, seed: int) -> list[float]:
    prompts = [plain_prompt(problem) for problem in WORLD.problems("rl", CURVE.prompts)]
    arguments = on_policy_arguments(CURVE, Engine(), output=folder, seed=seed, processes=1)
    tokenizer = load_tokenizer(base / "model")
    cut: list[bool] = []  # as the lab tells its reward, too
    paid = RewardFunction(Reward(), seeds=range, truncated=lambda: cut)

    def reward(completions: list[str], completion_ids: list[list[int]], **row: Any) -> list[float]:
        cut[:] = [ids[-1] != tokenizer.eos_token_id for ids in completion_ids]
        return paid(completions, gold=row["gold"])

    trainer = GRPOTrainer(
        model=str(base / "model"),
        reward_funcs=cast(Any, reward),
        args=GRPOConfig(**arguments),
        train_dataset=Dataset.from_list([{"prompt": p.text, "gold": p.gold} for p in prompts]),
        processing_class=tokenizer,
    )
    trainer.train()
    return [line["reward"] for line in trainer.state.log_history if "reward" in line]


def test_the_lab_learns_as_fast_as_stock_trl(tiny_base: Path, tmp_path: Path):
    torch.set_num_threads(1)
    ours, theirs = (
        [curve(tiny_base, tmp_path / f"{curve.__name__}-{seed}", seed) for seed in SEEDS]
        for curve in (of_the_lab, of_stock_trl)
    )
    steps = CURVE.steps
    assert {len(curve) for curve in (*ours, *theirs)} == {steps}
    for curves in (ours, theirs):  # it is learned at all
        assert all(mean(curve[-4:]) > mean(curve[:4]) for curve in curves)
    for part in (slice(0, steps // 2), slice(steps // 2, steps)):
        lab, stock = ([mean(curve[part]) for curve in curves] for curves in (ours, theirs))
        assert mannwhitneyu(lab, stock).pvalue > 0.05
        assert mean(lab) == pytest.approx(mean(stock), abs=0.1)
