"""How fast bases are pretrained, beside a plain loop and beside transformers' Trainer.

    python -m benchmarks.pretraining [--scales 0.13M 1.9M] [--rounds 3]

All train a new model of a scale on the same documents, once, with batches of the same size, on one
thread. The lab pretrains as for a study. The plain loop has the lab's batches and transformers'
model, which takes labels and gives a loss, and PyTorch's AdamW. The Trainer pads documents and
groups them by length itself. Values are tokens of documents (padding is none) a second of processor
time; a first turn with one batch, which warms up, is left out.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from benchmarks.turns import Row, in_process, table
from formatlab.models.model import silence_libraries
from formatlab.models.scale import Scale, find_scale
from formatlab.store.run_folder import RunFolder
from formatlab.train.pretraining.base import Base, Pretraining
from formatlab.train.pretraining.batches import IGNORED, batch_order, batches
from formatlab.train.pretraining.pretrain import new_model, pretrain
from formatlab.world.corpus import Corpus, build_corpus
from formatlab.world.four_formats import FOUR_FORMATS
from formatlab.world.tokenizer import load_tokenizer, train_tokenizer

Who = Literal["lab", "plain loop", "Trainer"]
WORK = 8e10
"""Parameters times tokens of a turn: some seconds, at every scale."""
MOST_TOKENS = 200_000


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scales", nargs="+", default=["0.13M", "1.9M"])
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender")
    options = parser.parse_args(arguments)
    print(table(pretraining_rows(options.scales, options.rounds), values="tokens a second"))


def pretraining_rows(scales: Sequence[str], rounds: int) -> list[Row]:
    """Tokens a second of processor time.

    Args:
        scales: names of scales.
        rounds: turns of each contender.
    """
    rates: dict[tuple[str, Who], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        tokenizer = train_tokenizer(FOUR_FORMATS, Pretraining.vocabulary)
        tokenizer.save_pretrained(folder)
        build_corpus(FOUR_FORMATS, tokenizer, tokens=MOST_TOKENS).save(folder / "corpus.npz")
        for scale in scales:
            for number in range(rounds):
                for who in get_args(Who):
                    asked = {"who": who, "scale": scale, "folder": made}
                    found: float = in_process(rate, asked)
                    rates[scale, who].append(found)
                    print(f"{scale}, round {number + 1}, {who}: {found:,.0f} a second", flush=True)
    return [
        Row(what=f"pretraining {scale}", who=who, values=values, more_is_better=True)
        for (scale, who), values in rates.items()
    ]


def rate(*, who: Who, scale: str, folder: str) -> float:
    """Tokens a second that a contender learns from.

    Args:
        who: the contender.
        scale: name of the scale.
        folder: where the documents and their tokenizer are.
    """
    silence_libraries()
    train = {"lab": _lab, "plain loop": _plain_loop, "Trainer": _trainer}[who]
    size, tokenizer = find_scale(scale), load_tokenizer(Path(folder))
    tokens = min(MOST_TOKENS, round(WORK / size.parameters(len(tokenizer))))
    corpus = Corpus.load(Path(folder) / "corpus.npz")
    few = _first(corpus, size.batch_documents)
    many = _first(corpus, int(np.searchsorted(corpus.offsets, tokens)))
    with tempfile.TemporaryDirectory() as outputs:
        train(size, few, tokenizer, Path(outputs) / "few")
        start = time.process_time()
        train(size, many, tokenizer, Path(outputs) / "many")
        return len(many.tokens) / (time.process_time() - start)


def _first(corpus: Corpus, documents: int) -> Corpus:
    end = corpus.offsets[documents]
    return Corpus(
        tokens=corpus.tokens[:end],
        offsets=corpus.offsets[: documents + 1],
        prompt_lengths=corpus.prompt_lengths[:documents],
        formats=corpus.formats[:documents],
        format_names=corpus.format_names,
    )


def _lab(scale: Scale, corpus: Corpus, tokenizer: Any, output: Path) -> None:
    settings = Pretraining(tokens=len(corpus.tokens), checkpoint_every=1_000_000)
    base = Base(world=FOUR_FORMATS, scale=scale.name, pretraining=settings)
    folder = RunFolder.create(output, config={}, env={})
    pretrain(base, folder, corpus, tokenizer, lambda done, total, note: None)


def _plain_loop(scale: Scale, corpus: Corpus, tokenizer: Any, output: Path) -> None:
    import torch

    model: Any = new_model(scale, tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=scale.learning_rate, fused=True)
    order = batch_order(corpus, batch=scale.batch_documents, seed=0)
    pad = tokenizer.pad_token_id
    for ids, mask, labels in batches(corpus, order, first=0, pad=pad, loss_on="solution"):
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(output)


def _trainer(scale: Scale, corpus: Corpus, tokenizer: Any, output: Path) -> None:
    from datasets import Dataset
    from transformers import DataCollatorForSeq2Seq, PrinterCallback, Trainer, TrainingArguments

    rows = []
    for index, prompt in enumerate(corpus.prompt_lengths):
        ids = corpus.tokens[corpus.offsets[index] : corpus.offsets[index + 1]].tolist()
        rows.append({"input_ids": ids, "labels": [IGNORED] * int(prompt) + ids[int(prompt) :]})
    trainer = Trainer(
        model=new_model(scale, tokenizer),
        args=TrainingArguments(
            output_dir=str(output),
            per_device_train_batch_size=scale.batch_documents,
            learning_rate=scale.learning_rate,
            num_train_epochs=1,
            train_sampling_strategy="group_by_length",
            logging_steps=20,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
        ),
        train_dataset=Dataset.from_list(rows),
        data_collator=DataCollatorForSeq2Seq(tokenizer),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    from benchmarks import pretraining

    pretraining.main()  # a turn's process finds its function by the module's name
