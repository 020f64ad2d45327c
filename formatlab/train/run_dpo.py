"""One run of DPO from a model on disk to a finished run folder, resumable at any moment."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from formatlab.models.lora import LoraSettings
from formatlab.models.saved import load_tokenizer
from formatlab.store.run_folder import RunFolder
from formatlab.train.documents import chosen_documents
from formatlab.train.dpo import Dpo
from formatlab.train.one_process import require_one_process
from formatlab.train.preference_pairs import dpo_row, preference_pairs, require_pairs
from formatlab.train.probe import Probe
from formatlab.train.run_fine_tuning import run_fine_tuning
from formatlab.world.prompt import Prompt
from formatlab.world.world import World

if TYPE_CHECKING:
    from formatlab.train.rollout_trainer import StepReport


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
    from formatlab.train.own_rollouts import own_rollouts

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
