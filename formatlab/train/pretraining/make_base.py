"""Making a base once, and finding it again in the runs folder."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from formatlab.errors import FormatlabError, RunError
from formatlab.models.scale import find_scale
from formatlab.store.atomic_file import explained_os_errors, sync
from formatlab.store.lock import locked
from formatlab.store.run_folder import RunFolder
from formatlab.store.runs_folder import put_aside
from formatlab.store.weights import weights_digest
from formatlab.train.environment import environment
from formatlab.train.metrics import RolloutSummary
from formatlab.train.pretraining.base import RECIPE, Base, corpus_name, kept_model
from formatlab.train.pretraining.batches import batch_order, steps_until
from formatlab.train.pretraining.pretrain import Report, held_out_loss, pretrain
from formatlab.world.corpus import Corpus, build_corpus
from formatlab.world.prompt import plain_prompt
from formatlab.world.tokenizer import load_tokenizer, train_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseFolder:
    """A finished base on disk."""

    path: Path
    """Folder of the transformers model and its tokenizer."""
    summary: dict[str, Any]
    """Parameters, shares of the corpus, held-out loss, accuracies, checksum."""


def finished_base(base: Base, runs: Path) -> BaseFolder:
    """The base, which has to be made. Its name holds the hash of its settings.

    Raises:
        InputError: it is not there.
        RunError: it is not finished.
    """
    folder = RunFolder.open(runs / "bases" / base.name)
    summary = folder.summary
    if summary is None:
        raise RunError(f"the base in {folder.path} is not finished; run the same command again")
    return BaseFolder(path=folder.path / "model", summary=summary)


def make_base(base: Base, runs: Path, report: Report) -> BaseFolder:
    """Pretrain a base, measure it and mark it done; an interrupted one goes on where it was.

    The model of an intermediate base is taken from the whole base's folder, which is finished.
    """
    from formatlab.models.model import load_saved
    from formatlab.train.policy import observe_policy

    folder = RunFolder.create(runs / "bases" / base.name, config=base.config, env=environment())
    corpus, tokenizer = _corpus(base, runs, report)
    if not (folder.path / "model").exists():
        if base.after < 1:
            _take_kept(base, folder, runs)
        else:
            pretrain(base, folder, corpus, tokenizer, report)
    model = load_saved(folder.path / "model")
    prompts = [plain_prompt(p) for p in base.world.problems("probe", base.probe.prompts)]
    rows = observe_policy(
        model,
        tokenizer,
        prompts,
        base.probe,
        limit=RECIPE.completion_length,
        run_id=folder.name,
        step=0,
        epoch=0.0,
    )
    folder.write_rollouts("probe", 0.0, rows)
    accuracy = RolloutSummary(rows).accuracy
    scale, seen = find_scale(base.scale), corpus
    if base.after < 1:
        order = batch_order(corpus, batch=scale.batch_documents, seed=base.seed)
        seen = corpus.part(np.concatenate(order[: steps_until(corpus, order, base.after)]))
    summary = {
        "parameters": scale.parameters(len(tokenizer)),
        "non_embedding_parameters": scale.non_embedding_parameters(len(tokenizer)),
        "tokens": len(seen.tokens),
        "documents": len(seen),
        "document_shares": seen.document_shares(),
        "token_shares": seen.token_shares(),
        "held_out_loss": held_out_loss(base.world, model, tokenizer),
        "accuracy": accuracy,
        "undertrained": all(
            accuracy.get(name, 0.0) < base.pretraining.accuracy_floor
            for name in base.world.mixture.shares
        ),
        "sha256": weights_digest(folder.path / "model"),
        "kept": {path.name: weights_digest(path) for path in sorted(folder.path.glob("model-*"))},
    }
    folder.mark_done(summary)
    return BaseFolder(path=folder.path / "model", summary=summary)


def _take_kept(base: Base, folder: RunFolder, runs: Path) -> None:
    """Copy the model that the whole pretraining kept; it appears whole or not at all."""
    kept = finished_base(base.whole, runs).path.with_name(kept_model(base.after))
    unfinished = folder.path / ".model-unfinished"
    with explained_os_errors(folder.path):
        shutil.copytree(kept, unfinished, dirs_exist_ok=True)
        os.replace(unfinished, folder.path / "model")


def _corpus(base: Base, runs: Path, report: Report) -> "tuple[Corpus, PreTrainedTokenizerFast]":
    """The corpus and tokenizer of a base, shared by all scales and seeds of a world."""
    folder = runs / "corpora" / corpus_name(base.config)

    def waiting(owner: str) -> None:
        report(0, 1, f"waiting for {owner}, who writes the documents")

    with locked(folder, wait=True, waiting=waiting):
        if folder.exists():
            try:
                return Corpus.load(folder / "corpus.npz"), load_tokenizer(folder)
            except FormatlabError as error:
                there = put_aside(folder, runs)
                report(0, 1, f"{error}; written again, the old folder is {there}")
        report(0, 1, "writing documents")
        tokenizer = train_tokenizer(base.world, base.pretraining.vocabulary)
        corpus = build_corpus(base.world, tokenizer, tokens=base.pretraining.tokens)
        unfinished = folder.with_name(f".{folder.name}-unfinished")
        with explained_os_errors(folder):
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            corpus.save(unfinished / "corpus.npz")
            tokenizer.save_pretrained(unfinished)
            for path in unfinished.iterdir():
                sync(path)
            os.replace(unfinished, folder)
    return corpus, tokenizer
