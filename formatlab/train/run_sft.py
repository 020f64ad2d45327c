"""One run of SFT from a model on disk to a finished run folder, resumable at any moment."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formatlab.errors import RunError
from formatlab.models.lora import LoraSettings
from formatlab.models.saved import load_tokenizer
from formatlab.store.run_folder import RunFolder
from formatlab.train.documents import chosen_documents, render_documents
from formatlab.train.examples import Example, right_answers, sft_row
from formatlab.train.one_process import require_one_process
from formatlab.train.preference_pairs import preference_pairs, require_pairs
from formatlab.train.probe import Probe
from formatlab.train.run_fine_tuning import run_fine_tuning
from formatlab.train.sft import Sft
from formatlab.world.prompt import Prompt
from formatlab.world.world import World

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from formatlab.train.rollout_trainer import StepReport


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
    from formatlab.train.own_rollouts import own_rollouts

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
