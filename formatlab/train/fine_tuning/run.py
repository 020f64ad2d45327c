"""A run of SFT or DPO over examples that stand: probes, metrics, resume and the policy.

One run of SFT from a model on disk to a finished run folder, resumable at any moment.

One run of DPO from a model on disk to a finished run folder, resumable at any moment.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formatlab.errors import RunError
from formatlab.models.lora import LoraSettings
from formatlab.models.model import load_tokenizer
from formatlab.store.run_folder import RunFolder
from formatlab.train.checkpoints import newest_checkpoint
from formatlab.train.environment import require_one_process
from formatlab.train.fine_tuning.examples import (
    Example,
    chosen_documents,
    dpo_row,
    preference_pairs,
    render_documents,
    require_pairs,
    right_answers,
    sft_row,
)
from formatlab.train.fine_tuning.settings import Dpo, FineTuning, Sft
from formatlab.train.health import note_events
from formatlab.train.probe import Probe
from formatlab.world.prompt import Prompt
from formatlab.world.world import World

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from formatlab.train.on_policy.rollout_trainer import StepReport

LOGGED = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "lr",
    "mean_token_accuracy": "token_accuracy",
    "rewards/margins": "margin",
    "rewards/accuracies": "margin_accuracy",
    "rewards/chosen": "reward_chosen",
    "rewards/rejected": "reward_rejected",
    "logps/chosen": "logprob_chosen",
    "logps/rejected": "logprob_rejected",
}
"""What TRL logs of an update, and what `metrics.jsonl` calls it. The last four are means over the
sequences of the batch: of beta times the log-ratio to the reference model, and of the policy's
log-probability in nats, which DPO may lower for the chosen ones too."""


def run_fine_tuning(
    folder: RunFolder,
    rows: Sequence[Mapping[str, list[int]]],
    *,
    model: Path,
    settings: FineTuning,
    probe: Probe,
    probe_prompts: Sequence[Prompt],
    seed: int,
    lora: LoraSettings | None,
    report: "StepReport",
    about: Mapping[str, Any],
) -> None:
    """Train on the rows, going on from the newest whole checkpoint, and leave `policy/`.

    Args:
        folder: the run folder.
        rows: tokenised examples or pairs, the same at every start.
        model: a transformers folder, the starting model.
        settings: of SFT or DPO.
        probe: how to observe the policy.
        probe_prompts: what to observe it on.
        seed: decides the order of examples.
        lora: train an adapter; None for all weights.
        report: told about every step.
        about: what is known of the rows, for the first step's line.

    Raises:
        RunError: training could not go on; the message says why.
    """
    from formatlab.train.fine_tuning.trainer import fine_tuning_trainer
    from formatlab.train.policy import AfterUpdates, observe_policy, save_policy

    per_pass = settings.updates_per_pass(len(rows))
    moments = probe.steps(per_epoch=per_pass, epochs=settings.epochs)
    before = len(folder.metrics())
    checkpoint = newest_checkpoint(folder.checkpoints)
    done = checkpoint[1] if checkpoint else 0
    folder.drop_metrics_from(done)
    due = {epoch for step, epoch in moments.items() if 0 < step <= done}
    if len(folder.metrics()) < done or not due <= set(folder.epochs("probe")):
        checkpoint, done = None, 0  # somebody removed a file
        folder.drop_metrics_from(0)
    # The rollouts that the examples come from are of step 0 and stay.
    folder.drop_rollouts_from(max(done, 1))
    if before:
        folder.note_resumed(step=done, lost=before - done)

    tokenizer = load_tokenizer(model)
    started = time.perf_counter()
    lines = folder.metrics()

    def logged(update: int, logs: dict[str, float]) -> None:
        nonlocal started
        now, step = time.perf_counter(), update - 1
        line = {
            "step": step,
            "epoch": step / per_pass,
            **{ours: logs[theirs] for theirs, ours in LOGGED.items() if theirs in logs},
            "seconds": now - started,
            **(about if step == 0 else {}),
        }
        started = now
        lines.append(line)
        fatal = note_events(lines, rewarded=False)
        folder.append_metrics(line)
        report(update, line)
        if fatal:
            raise RunError(fatal)

    trainer = fine_tuning_trainer(
        settings,
        rows,
        model=model,
        tokenizer=tokenizer,
        lora=lora,
        output=folder.checkpoints,
        seed=seed,
        logged=logged,
    )

    def observe(step: int) -> None:
        policy: Any = trainer.accelerator.unwrap_model(trainer.model)
        with trainer.accelerator.autocast():
            rows = observe_policy(
                policy,
                tokenizer,
                probe_prompts,
                probe,
                limit=settings.completion_length,
                run_id=folder.name,
                step=step,
                epoch=moments[step],
            )
        folder.write_rollouts("probe", moments[step], rows)

    if moments[0] not in folder.epochs("probe"):
        observe(0)
    calls: dict[int, Callable[[], None]] = {step: partial(observe, step) for step in moments}
    trainer.add_callback(AfterUpdates(calls))
    trainer.train(resume_from_checkpoint=str(checkpoint[0]) if checkpoint else None)
    save_policy(trainer, folder)


def run_sft(
    folder: RunFolder,
    *,
    model: Path,
    settings: Sft,
    prompts: Sequence[Prompt],
    probe: Probe,
    probe_prompts: Sequence[Prompt],
    seed: int,
    lora: LoraSettings | None,
    report: "StepReport",
    world: World | None = None,
) -> None:
    """Gather the examples, train on them, and leave the policy in `policy/`.

    Args:
        folder: the run folder.
        model: a transformers folder, the starting model.
        settings: of SFT.
        prompts: what examples are made for; `settings.prompts` of them.
        probe: how to observe the policy.
        probe_prompts: what to observe it on.
        seed: decides examples, their order and all samples.
        lora: train an adapter; None for all weights.
        report: told about every step.
        world: what renders documents; None for real models.

    Raises:
        InputError: documents of a model that has no world.
        RunError: too few examples.
    """
    require_one_process(settings.name)
    tokenizer = load_tokenizer(model)
    examples, skipped = _examples(folder, model, tokenizer, settings, prompts, seed, world)
    run_fine_tuning(
        folder,
        [sft_row(example, tokenizer) for example in examples],
        model=model,
        settings=settings,
        probe=probe,
        probe_prompts=probe_prompts,
        seed=seed,
        lora=lora,
        report=report,
        about={"examples": len(examples)} | skipped,
    )


def _examples(
    folder: RunFolder,
    model: Path,
    tokenizer: "PreTrainedTokenizerBase",
    settings: Sft,
    prompts: Sequence[Prompt],
    seed: int,
    world: World | None,
) -> tuple[list[Example], dict[str, Any]]:
    """The examples, and what else the first line says of them."""
    if settings.source == "documents":
        return render_documents(world, prompts, settings, seed), {}
    from formatlab.train.fine_tuning.examples import own_rollouts

    toward = settings.toward or ""
    documents = None
    if settings.source == "preferred" and settings.chosen == "documents":
        documents = chosen_documents(world, prompts, toward, seed)
    rows = own_rollouts(
        folder, model=model, tokenizer=tokenizer, prompts=prompts, settings=settings, seed=seed
    )
    if settings.source == "preferred":
        found = preference_pairs(rows, toward=toward, documents=documents)
        require_pairs(found, stage="sft", toward=toward, least=settings.batch)
        chosen = [pair.chosen for pair in found.pairs[: settings.examples]]
        return chosen, {"skipped": found.skipped}
    examples = right_answers(rows, settings.formats)[: settings.examples]
    if len(examples) < settings.batch:
        kind = f"tagged {' or '.join(settings.formats)}, " if settings.formats else ""
        raise RunError(
            f"sft: {len(examples)} of {len(rows)} rollouts of the starting model are {kind}right, "
            f"well formed and distinct, and one update needs {settings.batch}. Take more prompts "
            "or samples, a smaller batch, or documents"
        )
    return examples, {}


def run_dpo(
    folder: RunFolder,
    *,
    model: Path,
    settings: Dpo,
    prompts: Sequence[Prompt],
    probe: Probe,
    probe_prompts: Sequence[Prompt],
    seed: int,
    lora: LoraSettings | None,
    report: "StepReport",
    world: World | None = None,
) -> None:
    """Sample the starting model, pair its rollouts, train on the pairs, and leave `policy/`.

    Args:
        folder: the run folder.
        model: a transformers folder, the starting model and the reference.
        settings: of DPO.
        prompts: what pairs are made for; `settings.prompts` of them.
        probe: how to observe the policy.
        probe_prompts: what to observe it on.
        seed: decides pairs, their order and all samples.
        lora: train an adapter, the reference being the model without it; None for all weights.
        report: told about every step.
        world: what renders documents; None for real models.

    Raises:
        InputError: chosen documents of a model that has no world.
        RunError: too few pairs.
    """
    from formatlab.train.fine_tuning.examples import own_rollouts

    require_one_process(settings.name)
    documents = None
    if settings.chosen == "documents":
        documents = chosen_documents(world, prompts, settings.toward, seed)
    tokenizer = load_tokenizer(model)
    rows = own_rollouts(
        folder, model=model, tokenizer=tokenizer, prompts=prompts, settings=settings, seed=seed
    )
    found = preference_pairs(rows, toward=settings.toward, documents=documents)
    require_pairs(found, stage="dpo", toward=settings.toward, least=settings.batch)
    pairs = found.pairs[: settings.examples]
    run_fine_tuning(
        folder,
        [dpo_row(pair, tokenizer) for pair in pairs],
        model=model,
        settings=settings,
        probe=probe,
        probe_prompts=probe_prompts,
        seed=seed,
        lora=lora,
        report=report,
        about={"examples": len(pairs), "skipped": found.skipped},
    )
