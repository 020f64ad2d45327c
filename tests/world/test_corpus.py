"""Corpora: an exact number of tokens, made of whole documents."""

from contextlib import closing
from itertools import islice
from pathlib import Path
from subprocess import Popen
from typing import Any

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from formatlab.errors import InputError
from formatlab.world import corpus as corpus_module
from formatlab.world.corpus import Corpus, build_corpus
from formatlab.world.mixture import Mixture
from formatlab.world.prompt import plain_prompt
from formatlab.world.tokenizer import train_tokenizer
from formatlab.world.world import World

WORLD = World(
    mixture=Mixture(
        name="four", shares={"program": 0.25, "tool_tags": 0.15, "latex": 0.25, "prose": 0.35}
    ),
    families=("chain",),
    max_steps=2,
)
# few long documents among many short ones
UNEVEN = World(
    mixture=Mixture(name="uneven", shares={"prose": 0.03, "direct": 0.97}),
    families=("chain", "comparison"),
    max_steps=4,
)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(WORLD)


def decode(tokenizer: PreTrainedTokenizerFast, ids: list[int]) -> str:
    text = tokenizer.decode(ids)
    assert isinstance(text, str)
    return text


def documents(corpus: Corpus) -> list[list[int]]:
    return [part.tolist() for part in np.split(corpus.tokens, corpus.offsets[1:-1])]


@pytest.mark.parametrize("tokens", [5_000, 5_001, 7_919, *range(10_000, 10_006), 65_537])
def test_the_budget_is_met_to_the_token(tokenizer: PreTrainedTokenizerFast, tokens: int) -> None:
    corpus = build_corpus(WORLD, tokenizer, tokens=tokens)
    assert len(corpus.tokens) == corpus.offsets[-1] == tokens
    assert corpus.tokens.dtype == np.uint16


@pytest.mark.parametrize("tokens", [20_001, 60_007])
def test_uneven_documents_meet_the_budget_too(
    tokenizer: PreTrainedTokenizerFast, tokens: int
) -> None:
    assert len(build_corpus(UNEVEN, tokenizer, tokens=tokens).tokens) == tokens


def test_documents_are_whole_and_end_once(tokenizer: PreTrainedTokenizerFast) -> None:
    corpus = build_corpus(WORLD, tokenizer, tokens=30_011)
    written = {
        plain_prompt(problem).text + solution: form
        for form, problem, solution in (WORLD.document(index) for index in range(3 * len(corpus)))
    }
    eos = tokenizer.eos_token_id
    assert isinstance(eos, int)
    for ids, prompt_length, form in zip(
        documents(corpus), corpus.prompt_lengths, corpus.formats, strict=True
    ):
        assert ids[-1] == eos and ids.count(eos) == 1
        text = decode(tokenizer, ids[:-1])
        assert written[text] == corpus.format_names[form]
        assert decode(tokenizer, ids[:prompt_length]).endswith("?\n")
        assert prompt_length < len(ids) - 1


def test_documents_come_in_order_from_the_start(tokenizer: PreTrainedTokenizerFast) -> None:
    corpus = build_corpus(WORLD, tokenizer, tokens=10_000, start=50)
    for index, ids in enumerate(documents(corpus)[:40]):
        _, problem, solution = WORLD.document(50 + index)
        assert decode(tokenizer, ids[:-1]) == plain_prompt(problem).text + solution


def test_shares_are_those_of_the_documents(tokenizer: PreTrainedTokenizerFast) -> None:
    corpus = build_corpus(WORLD, tokenizer, tokens=100_000)
    counts = dict.fromkeys(corpus.format_names, 0)
    tokens = dict.fromkeys(corpus.format_names, 0)
    for ids, form in zip(documents(corpus), corpus.formats, strict=True):
        counts[corpus.format_names[form]] += 1
        tokens[corpus.format_names[form]] += len(ids)
    assert corpus.document_shares() == pytest.approx(
        {f: n / len(corpus) for f, n in counts.items()}
    )
    assert corpus.token_shares() == pytest.approx({f: n / 100_000 for f, n in tokens.items()})
    assert corpus.document_shares() == pytest.approx(dict(WORLD.mixture.shares), abs=0.05)


def test_a_part_holds_the_documents_that_are_named(tokenizer: PreTrainedTokenizerFast) -> None:
    corpus = build_corpus(WORLD, tokenizer, tokens=10_000)
    chosen = np.array([7, 0, 31])
    part = corpus.part(chosen)
    assert documents(part) == [documents(corpus)[index] for index in chosen]
    assert len(part.tokens) == part.offsets[-1]
    assert part.tokens.dtype == corpus.tokens.dtype
    for name in ("prompt_lengths", "formats"):
        assert getattr(part, name).tolist() == getattr(corpus, name)[chosen].tolist()
    assert sum(part.document_shares().values()) == pytest.approx(1)


def test_a_corpus_is_the_same_every_time(tokenizer: PreTrainedTokenizerFast) -> None:
    one = build_corpus(WORLD, tokenizer, tokens=12_345)
    two = build_corpus(WORLD, tokenizer, tokens=12_345)
    assert one.tokens.tobytes() == two.tokens.tobytes()
    assert one.offsets.tobytes() == two.offsets.tobytes()


@pytest.mark.parametrize("killed", [False, True])
def test_further_processes_write_the_same_documents(
    tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    eos = tokenizer.eos_token_id
    assert isinstance(eos, int)
    writer = corpus_module._Writer(WORLD, tokenizer.backend_tokenizer, eos, 7)
    started: list[Popen[Any]] = []

    def start(*arguments: Any, **options: Any) -> Popen[Any]:
        started.append(Popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(corpus_module, "Popen", start)
    with (
        closing(corpus_module._documents(writer, 1)) as alone,
        closing(corpus_module._documents(writer, 3)) as together,
    ):
        first = next(together)
        assert len(started) == 2
        for process in started if killed else ():
            process.kill()
            process.wait()
        found = [first, *islice(together, 5 * corpus_module._CHUNK)]
        assert [document.tokens.tolist() for document in found] == [
            document.tokens.tolist() for document in islice(alone, len(found))
        ]
    assert all(process.returncode is not None for process in started)


def test_a_large_corpus_is_that_of_one_process(
    tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = build_corpus(WORLD, tokenizer, tokens=30_000)
    monkeypatch.setattr(corpus_module, "_WORTH_A_PROCESS", 30_000)
    together = build_corpus(WORLD, tokenizer, tokens=30_000)
    assert together.tokens.tolist() == alone.tokens.tolist()
    assert together.formats.tolist() == alone.formats.tolist()


@pytest.mark.parametrize(
    ("cores", "tokens", "processes"),
    [(1, 30_000, 1), (3, 30_000, 3), (64, 30_000, 4), (3, 20_000, 1)],
)
def test_a_large_corpus_takes_a_process_for_each_core_up_to_four(
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    tokens: int,
    processes: int,
) -> None:
    taken: list[int] = []
    documents = corpus_module._documents

    def alone(writer: Any, processes: int) -> Any:
        taken.append(processes)
        return documents(writer, 1)

    monkeypatch.setattr(corpus_module, "_documents", alone)
    monkeypatch.setattr(corpus_module, "_WORTH_A_PROCESS", 30_000)
    monkeypatch.setattr(corpus_module, "available_cores", lambda: cores)
    build_corpus(WORLD, tokenizer, tokens=tokens)
    assert taken == [processes]


def test_a_saved_corpus_is_read_back(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    corpus = build_corpus(WORLD, tokenizer, tokens=10_000)
    corpus.save(tmp_path / "corpus.npz")
    opened = Corpus.load(tmp_path / "corpus.npz")
    for name in ("tokens", "offsets", "prompt_lengths", "formats"):
        one, two = getattr(corpus, name), getattr(opened, name)
        assert one.dtype == two.dtype and one.tolist() == two.tolist()
    assert opened.format_names == corpus.format_names
    assert opened.token_shares() == corpus.token_shares()


@pytest.mark.parametrize("tokens", [-5, 0, 1, 10])
def test_a_budget_below_any_document(tokenizer: PreTrainedTokenizerFast, tokens: int) -> None:
    with pytest.raises(InputError, match=f"add up to {tokens} tokens; give a budget of at least"):
        build_corpus(WORLD, tokenizer, tokens=tokens)


def test_the_budget_that_the_message_names_is_enough(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InputError) as caught:
        build_corpus(WORLD, tokenizer, tokens=1)
    least = int(str(caught.value).split("at least ")[1].split()[0].replace(",", ""))
    assert len(build_corpus(WORLD, tokenizer, tokens=least).tokens) == least
