"""Making a base once, and finding it again in the runs folder."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formatlab.errors import RunError
from formatlab.models.scale import find_scale
from formatlab.store.atomic_file import explained_os_errors
from formatlab.store.config_hash import config_hash
from formatlab.store.run_folder import RunFolder
from formatlab.train.base import Base
from formatlab.train.environment import environment
from formatlab.train.pretrain import Report, held_out_loss, pretrain
from formatlab.train.step_metrics import accuracies
from formatlab.world.corpus import Corpus, build_corpus
from formatlab.world.prompt import plain_prompt
from formatlab.world.tokenizer import load_tokenizer, train_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

COMPLETION_LENGTH = 96
"""Most tokens of a completion when a base is probed; longer than any document's solution."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseFolder:
    """A finished base on disk."""

    path: Path
    """Folder of the transformers model and its tokenizer."""
    summary: dict[str, Any]
    """Parameters, shares of the corpus, held-out loss, accuracies, checksum."""


def find_base(base: Base, runs: Path) -> BaseFolder | None:
    """The finished base, if it is in the runs folder. Its name holds the hash of its settings.

    Raises:
        RunError: its weights are gone or changed.
    """
    path = runs / "bases" / base.name
    summary = RunFolder.open(path).summary if (path / "config.json").exists() else None
    if summary is None:
        return None
    if checksum(path / "model") != summary["sha256"]:
        raise RunError(
            f"the base in {path} is damaged: its weights are gone or not those that were made; "
            "remove the folder, and the same command makes it again"
        )
    return BaseFolder(path=path / "model", summary=summary)


def make_base(base: Base, runs: Path, report: Report) -> BaseFolder:
    """Pretrain a base, measure it and mark it done; an interrupted one goes on where it was."""
    from formatlab.models.saved import load_saved
    from formatlab.train.policy import observe_policy, write_probe

    folder = RunFolder.create(runs / "bases" / base.name, config=base.config, env=environment())
    corpus, tokenizer = _corpus(base, runs, report)
    if not (folder.path / "model").exists():
        pretrain(base, folder, corpus, tokenizer, report)
    model = load_saved(folder.path / "model")
    prompts = [plain_prompt(p) for p in base.world.problems("probe", base.probe.prompts)]
    seen = observe_policy(model, tokenizer, prompts, base.probe, limit=COMPLETION_LENGTH)
    write_probe(folder, seen, step=0, epoch=0.0)
    accuracy = accuracies(seen)
    scale = find_scale(base.scale)
    summary = {
        "parameters": scale.parameters(len(tokenizer)),
        "non_embedding_parameters": scale.non_embedding_parameters(len(tokenizer)),
        "tokens": len(corpus.tokens),
        "documents": len(corpus),
        "document_shares": corpus.document_shares(),
        "token_shares": corpus.token_shares(),
        "held_out_loss": held_out_loss(base.world, model, tokenizer),
        "accuracy": accuracy,
        "undertrained": all(
            accuracy.get(name, 0.0) < base.pretraining.accuracy_floor
            for name in base.world.mixture.shares
        ),
        "sha256": checksum(folder.path / "model"),
    }
    folder.mark_done(summary)
    return BaseFolder(path=folder.path / "model", summary=summary)


def checksum(model: Path) -> str:
    """SHA-256 of a model's weights: of the file that holds them, or of several in a row."""
    whole = hashlib.sha256()
    for path in sorted([*model.glob("*.safetensors"), *model.glob("*.bin")]):
        with path.open("rb") as file:
            while block := file.read(2**20):
                whole.update(block)
    return whole.hexdigest()


def _corpus(base: Base, runs: Path, report: Report) -> "tuple[Corpus, PreTrainedTokenizerFast]":
    """The corpus and tokenizer of a base, shared by all scales and seeds of a world."""
    config = {
        "world": base.config["world"],
        "tokens": base.pretraining.tokens,
        "vocabulary": base.pretraining.vocabulary,
    }
    folder = runs / "corpora" / config_hash(config)
    if not folder.exists():
        report(0, 1, "writing documents")
        tokenizer = train_tokenizer(base.world, base.pretraining.vocabulary)
        corpus = build_corpus(base.world, tokenizer, tokens=base.pretraining.tokens)
        with explained_os_errors(folder):
            unfinished = folder.with_name(f".{folder.name}-{os.getpid()}")
            unfinished.mkdir(parents=True, exist_ok=True)
            try:
                corpus.save(unfinished / "corpus.npz")
                tokenizer.save_pretrained(unfinished)
                os.replace(unfinished, folder)
            except OSError:
                if not folder.exists():  # else another worker was faster, with equal documents
                    raise
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return Corpus.load(folder / "corpus.npz"), load_tokenizer(folder)
