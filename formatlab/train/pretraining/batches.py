"""Pretraining batches: whole documents, padded, in an order that the seed alone decides."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from formatlab.train.pretraining.base import RECIPE, LossOn

if TYPE_CHECKING:
    import torch

    from formatlab.world.corpus import Corpus

IGNORED = -100
"""Label of a position that the loss leaves out."""


def batch_order(corpus: "Corpus", *, batch: int, seed: int) -> list[np.ndarray]:
    """Document indices of every batch of one pass; each document stands in exactly one."""
    random = np.random.default_rng([seed, 0xBA7C4])
    order = random.permutation(len(corpus))
    lengths = np.diff(corpus.offsets)
    batches: list[np.ndarray] = []
    size = RECIPE.sorted_batches * batch
    for start in range(0, len(order), size):
        window = order[start : start + size]
        window = window[np.argsort(lengths[window], kind="stable")]
        parts = [window[i : i + batch] for i in range(0, len(window), batch)]
        batches += [parts[i] for i in random.permutation(len(parts))]
    return batches


def steps_until(corpus: "Corpus", order: list[np.ndarray], fraction: float) -> int:
    """Steps after which at least a fraction of the corpus's tokens has been seen."""
    lengths = np.diff(corpus.offsets)
    seen = np.cumsum([lengths[documents].sum() for documents in order])  # (steps,)
    return int(np.searchsorted(seen, fraction * seen[-1])) + 1


def batches(
    corpus: "Corpus", order: list[np.ndarray], *, first: int, pad: int, loss_on: LossOn
) -> Iterator[tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]]:
    """(input ids, attention mask, labels), each (B, T), from batch number `first` on."""
    import torch

    for indices in order[first:]:
        lengths = corpus.offsets[indices + 1] - corpus.offsets[indices]
        width = int(lengths.max())
        ids = np.full((len(indices), width), pad, dtype=np.int64)  # (B, T)
        labels = np.full((len(indices), width), IGNORED, dtype=np.int64)  # (B, T)
        for row, (index, length) in enumerate(zip(indices, lengths, strict=True)):
            document = corpus.tokens[corpus.offsets[index] : corpus.offsets[index + 1]]
            start = int(corpus.prompt_lengths[index]) if loss_on == "solution" else 0
            ids[row, :length] = document
            labels[row, start:length] = document[start:]
        mask = (np.arange(width) < lengths[:, None]).astype(np.int64)  # (B, T)
        yield torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(labels)
