"""A run of SFT or DPO, from a model on disk to its policy; a killed one resumes.

The examples are gathered first: rendered documents, or the starting model's own rollouts. They are
the same at every start, so that a resumed run learns from the same ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from formatlab.errors import RunError
from formatlab.models.model import load_tokenizer
from formatlab.train.checkpoints import is_complete, resume
from formatlab.train.fine_tuning.examples import (
    Example,
    PreferencePairs,
    chosen_documents,
    dpo_row,
    own_rollouts,
    preference_pairs,
    render_documents,
    require_pairs,
    right_answers,
    sft_row,
)
from formatlab.train.health import note_events
from formatlab.train.stage import StageInputs

if TYPE_CHECKING:
    from formatlab.train.fine_tuning.settings import Dpo, FineTuning, Sft

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


def run_sft(settings: Sft, inputs: StageInputs) -> None:
    """Gather the examples, train on them, and leave the policy in `policy/`.

    Raises:
        InputError: documents of a model that has no world.
        RunError: too few examples, or training cannot continue.
    """
    tokenizer = load_tokenizer(inputs.model)
    examples, counted = _examples(settings, inputs)
    about = {"examples": len(examples), **counted}
    run_fine_tuning(settings, inputs, [sft_row(one, tokenizer) for one in examples], about=about)


def run_dpo(settings: Dpo, inputs: StageInputs) -> None:
    """Sample the starting model, pair its rollouts, train on the pairs, and leave `policy/`.

    Raises:
        InputError: chosen documents of a model that has no world.
        RunError: too few pairs, or training cannot continue.
    """
    tokenizer = load_tokenizer(inputs.model)
    found = _pairs(settings, inputs, settings.toward)
    pairs = found.pairs[: settings.examples]
    about = {"examples": len(pairs), "skipped": found.skipped}
    run_fine_tuning(settings, inputs, [dpo_row(pair, tokenizer) for pair in pairs], about=about)


def run_fine_tuning(
    settings: FineTuning,
    inputs: StageInputs,
    rows: Sequence[Mapping[str, list[int]]],
    *,
    about: Mapping[str, Any],
) -> None:
    """Train from the newest whole checkpoint on, and leave `policy/`.

    Args:
        settings: of SFT or DPO.
        inputs: what the stage is given.
        rows: tokenised examples or pairs, the same at every start.
        about: what is known of the rows, for the first step's line.

    Raises:
        RunError: training cannot continue; the message says why.
    """
    from formatlab.train.fine_tuning.trainer import fine_tuning_trainer
    from formatlab.train.policy import AfterUpdates, observe_stage, save_policy

    folder = inputs.folder
    per_pass = settings.updates_per_pass(len(rows))
    probes = inputs.probe.steps(per_epoch=per_pass, epochs=settings.epochs)
    # The rollouts that the examples come from are of step 0, and stay.
    complete = partial(is_complete, folder, probes=probes, rollouts_per_step=None)
    checkpoint, _ = resume(folder, complete, first_rollouts=1)
    tokenizer = load_tokenizer(inputs.model)
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
        inputs.report(update, line)
        if fatal:
            raise RunError(fatal)

    trainer = fine_tuning_trainer(
        settings,
        rows,
        model=inputs.model,
        tokenizer=tokenizer,
        lora=inputs.lora,
        output=folder.checkpoints,
        seed=inputs.seed,
        logged=logged,
    )

    def observe(step: int) -> None:
        policy: Any = trainer.accelerator.unwrap_model(trainer.model)
        with trainer.accelerator.autocast():
            limit = settings.completion_length
            observe_stage(inputs, policy, tokenizer, limit=limit, step=step, epoch=probes[step])

    if probes[0] not in folder.epochs("probe"):
        observe(0)
    calls: dict[int, Callable[[], None]] = {step: partial(observe, step) for step in probes}
    trainer.add_callback(AfterUpdates(calls))
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    save_policy(trainer, folder)


def _examples(settings: Sft, inputs: StageInputs) -> tuple[list[Example], dict[str, int]]:
    """The examples of SFT, and what else the first line says of them."""
    if settings.source == "documents":
        return render_documents(inputs.world, inputs.prompts, settings, inputs.seed), {}
    if settings.source == "preferred":
        assert settings.toward is not None, "the settings are checked"
        found = _pairs(settings, inputs, settings.toward)
        chosen = [pair.chosen for pair in found.pairs[: settings.examples]]
        return chosen, {"skipped": found.skipped}
    rows = own_rollouts(settings, inputs)
    examples = right_answers(rows, settings.formats)[: settings.examples]
    if len(examples) < settings.batch:
        kind = f"tagged {' or '.join(settings.formats)}, " if settings.formats else ""
        raise RunError(
            f"sft: {len(examples)} of {len(rows)} rollouts of the starting model are {kind}right, "
            f"well formed and distinct, and one update needs {settings.batch}. Take more prompts "
            "or samples, a smaller batch, or documents"
        )
    return examples, {}


def _pairs(settings: Sft | Dpo, inputs: StageInputs, toward: str) -> PreferencePairs:
    """The pairs of the starting model's rollouts, enough of them for one update."""
    documents = None
    if settings.chosen == "documents":
        documents = chosen_documents(inputs.world, inputs.prompts, toward, inputs.seed)
    rows = own_rollouts(settings, inputs)
    found = preference_pairs(rows, toward=toward, documents=documents)
    require_pairs(found, stage=settings.name, toward=toward, least=settings.batch)
    return found
