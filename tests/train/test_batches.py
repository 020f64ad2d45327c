import numpy as np
import pytest

from formatlab.train.pretraining.batches import IGNORED, batch_order, batches
from formatlab.world.corpus import Corpus


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    random = np.random.default_rng(0)
    lengths = random.integers(3, 20, size=517)
    offsets = np.concatenate([[0], lengths.cumsum()])
    return Corpus(
        tokens=random.integers(2, 50, size=offsets[-1]).astype(np.uint16),
        offsets=offsets,
        prompt_lengths=random.integers(1, 3, size=517).astype(np.uint16),
        formats=np.zeros(517, dtype=np.uint8),
        format_names=("direct",),
    )


def test_every_document_stands_in_exactly_one_batch(corpus: Corpus):
    order = batch_order(corpus, batch=32, seed=1)
    assert sorted(np.concatenate(order).tolist()) == list(range(517))
    assert max(map(len, order)) == 32


def test_the_order_is_the_seeds(corpus: Corpus):
    first = [o.tolist() for o in batch_order(corpus, batch=32, seed=1)]
    assert first == [o.tolist() for o in batch_order(corpus, batch=32, seed=1)]
    assert first != [o.tolist() for o in batch_order(corpus, batch=32, seed=2)]


def test_sorting_inside_windows_keeps_padding_small(corpus: Corpus):
    order = batch_order(corpus, batch=32, seed=1)
    masks = [mask for _, mask, _ in batches(corpus, order, first=0, pad=0, loss_on="solution")]
    assert sum(m.sum().item() for m in masks) == len(corpus.tokens)
    assert sum(m.sum().item() for m in masks) > 0.9 * sum(m.numel() for m in masks)


@pytest.mark.parametrize("loss_on", ["solution", "document"])
def test_labels_cover_what_is_to_be_learned_and_nothing_else(corpus: Corpus, loss_on):
    order = batch_order(corpus, batch=8, seed=1)[:3]
    stream = batches(corpus, order, first=0, pad=0, loss_on=loss_on)
    for indices, (ids, mask, labels) in zip(order, stream, strict=True):
        for row, index in enumerate(indices):
            document = corpus.tokens[corpus.offsets[index] : corpus.offsets[index + 1]].tolist()
            start = int(corpus.prompt_lengths[index]) if loss_on == "solution" else 0
            assert ids[row][mask[row].bool()].tolist() == document
            assert labels[row][labels[row] != IGNORED].tolist() == document[start:]


def test_a_later_start_gives_the_rest(corpus: Corpus):
    order = batch_order(corpus, batch=32, seed=1)
    whole = [
        ids.tolist() for ids, _, _ in batches(corpus, order, first=0, pad=0, loss_on="solution")
    ]
    rest = [
        ids.tolist() for ids, _, _ in batches(corpus, order, first=5, pad=0, loss_on="solution")
    ]
    assert whole[5:] == rest
