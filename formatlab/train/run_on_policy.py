"""One GRPO run from a model on disk to a finished run folder, resumable at any moment."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formatlab.errors import RunError
from formatlab.models.lora import LoraSettings
from formatlab.models.saved import load_saved, load_tokenizer
from formatlab.observe.recorder import Observation, rollout
from formatlab.store.run_folder import RunFolder
from formatlab.train.grpo import Grpo
from formatlab.train.probe import Probe
from formatlab.world.prompt import Prompt

if TYPE_CHECKING:
    from formatlab.train.grpo_trainer import StepReport


def probe_steps(settings: Grpo, probe: Probe) -> dict[int, float]:
    """Steps after which the policy is observed, with the epoch that each is.

    The base (step 0), the fractions of the first epoch rounded to whole steps, and the end of
    every epoch.
    """
    per_epoch = settings.steps_per_epoch
    fractions = {round(fraction * per_epoch) for fraction in probe.fractions}
    ends = {epoch * per_epoch for epoch in range(1, settings.epochs + 1)}
    return {step: step / per_epoch for step in sorted({0} | (fractions - {0}) | ends)}


def run_grpo(
    folder: RunFolder,
    *,
    model: Path,
    settings: Grpo,
    prompts: Sequence[Prompt],
    probe: Probe,
    probe_prompts: Sequence[Prompt],
    seed: int,
    lora: LoraSettings | None,
    report: "StepReport",
) -> None:
    """Train, going on from the newest whole checkpoint, and leave the policy in `policy/`.

    Rollouts and metrics later than that checkpoint are dropped and made again; on a CPU they come
    out the same, so a killed and resumed run equals one that ran through.

    Args:
        folder: the run folder.
        model: a transformers folder, the base.
        settings: of GRPO.
        prompts: one epoch; `settings.prompts` of them.
        probe: how to observe the policy.
        probe_prompts: what to observe it on.
        seed: decides the order of prompts and all training samples.
        lora: train an adapter; None for all weights.
        report: told about every step.
    """
    from datasets import Dataset
    from transformers import PrinterCallback

    from formatlab.train.grpo_trainer import (
        LabGrpoTrainer,
        ProbeCallback,
        grpo_config,
        newest_checkpoint,
    )
    from formatlab.train.policy import observe_policy

    steps = probe_steps(settings, probe)
    checkpoint = newest_checkpoint(folder.checkpoints)
    first_step = checkpoint[1] // settings.updates_per_step if checkpoint else 0
    folder.drop_rollouts_from(first_step)
    folder.drop_metrics_from(first_step)
    if not _complete(folder, settings, steps, first_step):  # somebody removed a file
        checkpoint, first_step = None, 0
        folder.drop_rollouts_from(0)
        folder.drop_metrics_from(0)

    tokenizer = load_tokenizer(model)
    base = None
    if lora is None and settings.kl_coefficient == 0:  # else TRL holds the base already
        base = load_saved(model).requires_grad_(False)
    trainer = LabGrpoTrainer(
        settings=settings,
        seed=seed,
        folder=folder,
        base=base,
        first_step=first_step,
        report=report,
        model=str(model),
        args=grpo_config(settings, output=folder.checkpoints, seed=seed),
        train_dataset=Dataset.from_list([_row(prompt) for prompt in prompts]),
        processing_class=tokenizer,
        peft_config=lora.config() if lora else None,
    )
    trainer.remove_callback(PrinterCallback)

    def observe(update: int) -> None:
        step = update // settings.updates_per_step
        policy = trainer.accelerator.unwrap_model(trainer.model)
        with trainer.accelerator.autocast():
            seen = observe_policy(
                policy, tokenizer, probe_prompts, probe, limit=settings.completion_length
            )
        write_probe(folder, seen, step=step, epoch=steps[step])

    if steps[0] not in folder.epochs("probe"):
        observe(0)
    trainer.add_callback(
        ProbeCallback(updates=[s * settings.updates_per_step for s in steps], probe=observe)
    )
    trainer.train(resume_from_checkpoint=str(checkpoint[0]) if checkpoint else None)
    trainer.flush()
    if not _complete(folder, settings, steps, settings.steps):
        raise RunError(
            f"{folder.path} lacks rollouts of its own run; run the same command again, and it is "
            "made anew"
        )
    _save_policy(trainer, folder)


def write_probe(
    folder: RunFolder, observations: Sequence[Observation], *, step: int, epoch: float
) -> None:
    """Write one probe's rollouts."""
    folder.write_rollouts(
        "probe",
        epoch,
        [
            rollout(o, run_id=folder.name, split="probe", step=step, epoch=epoch)
            for o in observations
        ],
    )


def _complete(folder: RunFolder, settings: Grpo, steps: dict[int, float], done: int) -> bool:
    """Whether the folder holds all training rollouts and probes of the first `done` steps."""
    rollouts = folder.rollouts("train", columns=["step"]).num_rows
    probed = folder.epochs("probe")
    due = [epoch for step, epoch in steps.items() if 0 < step <= done]
    return rollouts == done * settings.rollouts_per_step and all(e in probed for e in due)


def _row(prompt: Prompt) -> dict[str, str]:
    """A row of the training set, under the names that TRL and the reward read."""
    return {
        "prompt": prompt.text,
        "gold": prompt.gold,
        "prompt_id": prompt.id,
        "family": prompt.family,
    }


def _save_policy(trainer: Any, folder: RunFolder) -> None:
    """Write the policy (the adapter alone, where one was trained), whole or not at all."""
    unfinished, path = folder.path / ".policy-unfinished", folder.path / "policy"
    trainer.save_model(str(unfinished))
    if path.exists():
        shutil.rmtree(path)
    os.replace(unfinished, path)
