"""Answer tokens: all of the last answer and none of what leads to it, for every tokenizer."""

from random import Random
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from formatlab.observe.tagger import tag
from formatlab.train.on_policy.exploration import answer_span, answer_tokens
from formatlab.world.formats import FORMATS, Reading
from formatlab.world.mixture import Mixture
from formatlab.world.tokenizer import train_tokenizer
from formatlab.world.world import World

WORLD = World(
    mixture=Mixture(name="all", shares={form: 1 / len(FORMATS) for form in FORMATS}),
    max_steps=4,
    largest=200,
)
TEXTS = [
    *(document.solution for document in map(WORLD.document, range(300))),
    *["Die Lösung für 1234 Äpfel: 答案是 15。", "réponse : −1234 €", "The answer is 1,234 dollars."]
    * 20,
]
EOS = "<|im_end|>"


def world_tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(WORLD, vocabulary=300)


def byte_level(*, digits_apart: bool) -> PreTrainedTokenizerFast:
    """Byte-level BPE as GPT-2 has it, or as SmolLM2 has it: every digit a token."""
    tokenizer = Tokenizer(models.BPE())
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    parts = [pre_tokenizers.Digits(individual_digits=True), level] if digits_apart else [level]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=[EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=EOS)


def byte_fallback() -> PreTrainedTokenizerFast:
    """A vocabulary of characters with bytes to fall back on, as Llama 2 and Gemma have them."""
    known = [
        *"▁ABCDIJSTabcdefghijklmnopqrstuvwxyz0123456789.,:=+-*/<>{}[]()\\\"$`'#\n",
        "th",
        "is",
        "12",
    ]
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    vocabulary = {token: index for index, token in enumerate(["<unk>", *bytes_, *known])}
    merges = [("t", "h"), ("i", "s"), ("1", "2")]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.decoder = decoders.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=EOS)


@pytest.fixture(scope="module", params=["world", "digits apart", "digits merged", "bytes"])
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    match request.param:
        case "world":
            return world_tokenizer()
        case "bytes":
            return byte_fallback()
        case kind:
            return byte_level(digits_apart=kind == "digits apart")


def encode(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """A completion as it is sampled: with the mark of its end."""
    ids = cast(list[int], tokenizer(text, add_special_tokens=False)["input_ids"])
    assert decode(tokenizer, ids) == text
    return [*ids, cast(int, tokenizer.eos_token_id)]


def decode(tokenizer: PreTrainedTokenizerFast, ids: list[int]) -> str:
    return cast(str, tokenizer.decode(ids, skip_special_tokens=True))


def masked(tokenizer: PreTrainedTokenizerFast, ids: list[int], mask: list[bool]) -> str:
    return decode(tokenizer, [i for i, answer in zip(ids, mask, strict=True) if answer])


def outside(
    tokenizer: PreTrainedTokenizerFast, ids: list[int], mask: list[bool]
) -> tuple[str, str]:
    """The texts before and after the masked tokens."""
    first, after = mask.index(True), len(mask) - mask[::-1].index(True)
    assert all(mask[first:after]), "the answer is one piece"
    return decode(tokenizer, ids[:first]), decode(tokenizer, ids[after:])


@pytest.mark.parametrize("form", FORMATS)
def test_solutions_of_the_world(tokenizer: PreTrainedTokenizerFast, form: str) -> None:
    kinds = set()
    for index in range(60):
        text = WORLD.solution(WORLD.problem("rl", index), form, Random(index))
        reading = tag(text).reading
        assert reading is not None
        kinds.add(reading.code)
        ids = encode(tokenizer, text)
        mask = answer_tokens(ids, reading, tokenizer)
        assert len(mask) == len(ids)
        if reading.code:
            assert not any(mask)
            continue
        assert reading.content in masked(tokenizer, ids, mask)
        before, after = outside(tokenizer, ids, mask)
        start = text.rindex(reading.content)
        assert len(before) <= start
        assert text[:start].startswith(before)
        assert not any(map(str.isdigit, after))
        # No token is masked that holds nothing of the answer.
        assert len(text) - len(after) >= start + len(reading.content)
        inside = masked(tokenizer, ids, mask)
        assert len(inside) <= len(reading.content) + 8
        assert not mask[-1], "the mark of the end is no part of the answer"
    assert kinds == ({True} if form in ("program", "script", "tool_tags") else {False})


CASES = [
    ("The answer is 15. I checked 115 times, and 1,15 or 15.5.", "15", "15"),
    ("It is 7, no, 8. The answer is 7. 7", "7", "7"),
    ("The answer is **5** apples.", "5 apples", "5"),
    ('{"steps": [], "answer": 5e2}', "500.0", "5e2"),
    ("答案是 15。", "15", "15"),
    ("Lösung: größer, die Antwort: 1234 Äpfel", "1234 Äpfel", "1234 Äpfel"),
    ("Answer: ٥٣ 🍎🍏", "٥٣", "٥٣"),
    ("\\boxed{\\text{café} − 3} 🎉", "\\text{café} − 3", "\\text{café} − 3"),
    ("réponse : −1234 €", "−1234 €", "−1234 €"),
    ("An Apple a day. The answer is A, Anna.", "A", "A"),
]


@pytest.mark.parametrize(("text", "content", "answer"), CASES)
def test_last_answer_in_any_script(
    tokenizer: PreTrainedTokenizerFast, text: str, content: str, answer: str
) -> None:
    span = answer_span(text, content)
    assert span is not None
    assert text[slice(*span)] == answer
    ids = encode(tokenizer, text)
    mask = answer_tokens(ids, Reading(content=content), tokenizer)
    assert answer in masked(tokenizer, ids, mask)
    before, after = outside(tokenizer, ids, mask)
    assert before.rstrip("\ufffd") == text[: len(before.rstrip("\ufffd"))]
    assert len(before) <= span[0]
    assert len(after) <= len(text) - span[1]
    assert len(masked(tokenizer, ids, mask).strip()) <= len(answer) + 4


@pytest.mark.parametrize(
    ("text", "content"), [("no number", "5"), ("", "5"), ("15", "5"), ("x", ""), ("Anna", "A")]
)
def test_an_answer_that_does_not_stand_there(text: str, content: str) -> None:
    assert answer_span(text, content) is None
    tokenizer = byte_level(digits_apart=True)
    ids = encode(tokenizer, text)
    assert not any(answer_tokens(ids, Reading(content=content), tokenizer))


def test_nothing_is_masked_without_an_answer_or_where_code_gives_it() -> None:
    tokenizer = byte_level(digits_apart=True)
    ids = encode(tokenizer, "x = 3\nprint(x)")
    assert answer_tokens(ids, None, tokenizer) == [False] * len(ids)
    assert answer_tokens(ids, Reading(content="3", code=True), tokenizer) == [False] * len(ids)
    assert answer_tokens([], Reading(content="3"), tokenizer) == []


@pytest.fixture(scope="module")
def by_bytes() -> PreTrainedTokenizerFast:
    return byte_level(digits_apart=True)


@given(
    before=st.binary(max_size=12),
    answer=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6),
    after=st.binary(max_size=12),
    ends=st.integers(0, 2),
)
def test_byte_by_byte_around_broken_text(
    by_bytes: PreTrainedTokenizerFast, before: bytes, answer: str, after: bytes, ends: int
) -> None:
    """A model may write its tokens in any order, bytes that make no character among them."""
    letters = dict(zip(range(256), byte_letters(), strict=True))
    answer = f"<{answer.replace(chr(0xFFFD), '?')}>"
    written = [before.replace(b"<", b"."), answer.encode(), after.replace(b"<", b".")]
    ids = [by_bytes.convert_tokens_to_ids(letters[byte]) for byte in b"".join(written)]
    marks = [by_bytes.eos_token_id] * ends
    ids = [*ids[: len(written[0])], *marks, *ids[len(written[0]) :], *marks]
    mask = answer_tokens(ids, Reading(content=answer), by_bytes)
    start = len(written[0]) + ends
    expected = range(start, start + len(written[1]))
    assert [index for index, is_answer in enumerate(mask) if is_answer] == list(expected)


def byte_letters() -> list[str]:
    """The letter that byte-level BPE writes each byte with (Radford et al. 2019)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    other = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(other)) for byte in range(256)]


def test_a_long_completion_is_decoded_a_few_times_only(
    monkeypatch: pytest.MonkeyPatch, by_bytes: PreTrainedTokenizerFast
) -> None:
    ids = encode(by_bytes, "3 + 4 = 7. " * 200 + "The answer is 7. " + "So it is. " * 40)
    assert len(ids) > 1024
    calls: list[int] = []
    true_decode = by_bytes.decode

    def counted(*arguments, **options):
        calls.append(1)
        return true_decode(*arguments, **options)

    monkeypatch.setattr(by_bytes, "decode", counted)
    mask = answer_tokens(ids, Reading(content="7"), by_bytes)
    assert sum(mask) == 1
    assert len(calls) < 40
