"""The tokenizer: nothing is lost, digits stand alone, and prompts join solutions cleanly."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from formatlab.errors import InputError
from formatlab.world.formats import FORMATS
from formatlab.world.mixture import Mixture
from formatlab.world.prompt import plain_prompt
from formatlab.world.tokenizer import EOS, PAD, load_tokenizer, train_tokenizer
from formatlab.world.world import World

WORLD = World(
    mixture=Mixture(name="all", shares={form: 1 / len(FORMATS) for form in FORMATS}), max_steps=4
)
DOCUMENTS = [WORLD.document(index) for index in range(20_000, 20_200)]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60).filter(
    lambda text: PAD not in text and EOS not in text
)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(WORLD)


def encode(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return tokenizer(text)["input_ids"]


def test_rendered_documents_come_back(tokenizer: PreTrainedTokenizerFast) -> None:
    for _, problem, solution in DOCUMENTS:
        document = plain_prompt(problem).text + solution
        assert tokenizer.decode(encode(tokenizer, document)) == document


def test_prompt_and_solution_make_the_document(tokenizer: PreTrainedTokenizerFast) -> None:
    for _, problem, solution in DOCUMENTS:
        prompt = plain_prompt(problem).text
        parts = encode(tokenizer, prompt) + encode(tokenizer, solution)
        assert parts == encode(tokenizer, prompt + solution)


def test_documents_are_short(tokenizer: PreTrainedTokenizerFast) -> None:
    documents = [plain_prompt(problem).text + solution for _, problem, solution in DOCUMENTS]
    tokens = sum(len(encode(tokenizer, document)) for document in documents)
    assert tokens < 0.5 * sum(map(len, documents))


@given(text=TEXT)
def test_any_text_comes_back(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    ids = encode(tokenizer, text)
    assert tokenizer.decode(ids) == text
    assert not set(tokenizer.all_special_ids) & set(ids)


@given(number=st.integers(0, 10**30), before=TEXT)
def test_every_digit_is_a_token(
    tokenizer: PreTrainedTokenizerFast, number: int, before: str
) -> None:
    digits = {encode(tokenizer, digit)[0]: digit for digit in "0123456789"}
    assert len(digits) == 10
    ids = encode(tokenizer, f"{before} {number}")
    ascii_digits = "".join(c for c in f"{before} {number}" if c in "0123456789")
    assert "".join(digits[i] for i in ids if i in digits) == ascii_digits


def test_the_two_marks(tokenizer: PreTrainedTokenizerFast) -> None:
    assert (tokenizer.pad_token, tokenizer.eos_token) == (PAD, EOS)
    assert tokenizer.pad_token_id == 0 and tokenizer.eos_token_id == 1
    assert tokenizer.padding_side == "left"
    assert tokenizer.decode([0, 0, *encode(tokenizer, "5 pens"), 1], skip_special_tokens=True) == (
        "5 pens"
    )


def test_nothing_is_added_to_a_text(tokenizer: PreTrainedTokenizerFast) -> None:
    assert encode(tokenizer, "") == []


@pytest.mark.parametrize("opener", [load_tokenizer, AutoTokenizer.from_pretrained])
def test_it_is_saved_as_an_ordinary_tokenizer(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path, opener
) -> None:
    tokenizer.save_pretrained(tmp_path)
    opened = opener(tmp_path)
    assert opened.get_vocab() == tokenizer.get_vocab()
    assert (opened.pad_token_id, opened.eos_token_id) == (0, 1)
    assert opened.padding_side == "left"
    texts = [solution for _, _, solution in DOCUMENTS] + ["naïve  ½ \n\t 12"]
    assert opened(texts)["input_ids"] == tokenizer(texts)["input_ids"]
    for ids, text in zip(opened(texts)["input_ids"], texts, strict=True):
        assert opened.decode(ids) == text


def test_the_same_world_has_the_same_tokenizer(tokenizer: PreTrainedTokenizerFast) -> None:
    again = train_tokenizer(WORLD)
    assert again.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()


def test_the_vocabulary_keeps_to_its_size() -> None:
    assert len(train_tokenizer(WORLD, vocabulary=300)) == 300


def test_a_vocabulary_without_room_for_the_bytes() -> None:
    with pytest.raises(InputError, match="vocabulary is 257; 256 bytes and 2 marks need 258"):
        train_tokenizer(WORLD, vocabulary=257)
