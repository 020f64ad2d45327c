"""The starting model's own rollouts: what SFT and DPO choose their examples from."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from formatlab.models.saved import load_saved
from formatlab.observe.recorder import rollout
from formatlab.store.rollout import Rollout, rollouts_from_table
from formatlab.store.run_folder import RunFolder
from formatlab.train.fine_tuning import FineTuning
from formatlab.train.half_precision import half_precision
from formatlab.train.policy import observe_policy
from formatlab.train.probe import Probe
from formatlab.world.problem import digest
from formatlab.world.prompt import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PART = 4_096
"""Rollouts in one file: what a kill costs at most."""


def own_rollouts(
    folder: RunFolder,
    *,
    model: Path,
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[Prompt],
    settings: FineTuning,
    seed: int,
) -> list[Rollout]:
    """Give `settings.samples` rollouts of every prompt, sampling those the folder lacks.

    They are recorded as training rollouts of step 0. The draws depend on the prompt, the number of
    the sample and the seed alone, so SFT and DPO of one model and seed look through the same ones.
    """
    per_part = max(1, _PART // settings.samples)
    probe = Probe(
        samples=settings.samples,
        temperature=settings.temperature,
        batch=settings.micro_batch,
        seed=digest("own rollouts", seed),
    )
    policy = None
    for part, start in enumerate(range(0, len(prompts), per_part)):
        chunk = prompts[start : start + per_part]
        there = folder.rollouts("train", epoch=0.0, part=part, columns=["prompt_id"])
        if there.num_rows == len(chunk) * settings.samples:
            continue
        if policy is None:
            folder.remove_checkpoints()  # nothing is gone on from that saw other rollouts
            policy = load_saved(model)
        with half_precision(settings.precision, policy.device.type):
            seen = observe_policy(policy, tokenizer, chunk, probe, limit=settings.completion_length)
        rows = [
            rollout(
                replace(one, reward=float(one.grade.correct)),
                run_id=folder.name,
                split="train",
                step=0,
                epoch=0.0,
            )
            for one in seen
        ]
        folder.write_rollouts("train", 0.0, rows, part=part)
    return rollouts_from_table(folder.rollouts("train", epoch=0.0))
