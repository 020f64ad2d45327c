"""The benchmark of pretraining: every contender learns from all documents."""

from pathlib import Path
from typing import get_args

import pytest

from benchmarks import pretraining
from formatlab.world.corpus import build_corpus
from formatlab.world.four_formats import FOUR_FORMATS
from formatlab.world.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    tokenizer = train_tokenizer(FOUR_FORMATS, 300)
    tokenizer.save_pretrained(folder)
    build_corpus(FOUR_FORMATS, tokenizer, tokens=10_000).save(folder / "corpus.npz")
    return folder


@pytest.mark.parametrize("who", get_args(pretraining.Who))
def test_a_turn_tells_tokens_a_second(
    who: pretraining.Who, documents: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pretraining, "MOST_TOKENS", 5_000)
    assert pretraining.rate(who=who, scale="0.04M", folder=str(documents)) > 0
