"""Answer tokens: which tokens of a completion say its answer.

A bonus for rare answers is kept from them. The gradient then moves what leads to the answer; with
it on the answer itself the policy would only swap the last number.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

import regex

from formatlab.observe.number import read_number
from formatlab.world.formats.format import Reading
from formatlab.world.formats.limits import NUMBER

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_NUMBER = regex.compile(NUMBER)
_UNFINISHED = "\N{REPLACEMENT CHARACTER}"
"""What a tokenizer decodes the first bytes of a character to."""


def answer_tokens(
    tokens: Sequence[int], reading: Reading | None, tokenizer: "PreTrainedTokenizerBase"
) -> list[bool]:
    """Tell for each token of a completion whether it holds a part of the answer.

    That is the last place in the text that says what the format reads as the answer; a token that
    holds a part of it and something else counts. None is one where there is no answer, or where it
    is computed by code: then all of the text leads to it.

    Args:
        tokens: the completion, marks such as the end of the sequence included.
        reading: where its format puts the answer, `Tag.reading`; None where it gives none.
        tokenizer: what decodes the tokens.
    """
    mask = [False] * len(tokens)
    if reading is None or reading.code:
        return mask
    ids = list(tokens)

    def decoded(count: int) -> str:
        text = tokenizer.decode(
            ids[:count], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        assert isinstance(text, str), "one list of tokens is one text"
        return text

    def finished(count: int) -> int:
        """How many characters are whole after so many tokens. Never falls as they grow."""
        return len(decoded(count).rstrip(_UNFINISHED))

    span = answer_span(decoded(len(ids)), reading.content)
    if span is None:
        return mask
    start, end = span
    counts = range(len(ids) + 1)
    after = bisect_left(counts, end, key=finished)
    # The token that completes the first character, and those before it that began it.
    first = bisect_left(counts, start + 1, key=finished) - 1
    while first > 0 and len(decoded(first)) > start:
        first -= 1
    return [first <= index < after for index in range(len(ids))]


def answer_span(text: str, answer: str) -> tuple[int, int] | None:
    """Where a text says an answer for the last time: first character, and the one after the last.

    A number inside a longer one is not it, nor a word inside a longer one. Where the answer does
    not stand there as it was read (markup inside it was left out, or JSON writes it in another way)
    it is the last number with the same value; None where there is none either.
    """
    if not answer:
        return None
    bounded = _not_after(answer[0]) + regex.escape(answer) + _not_before(answer[-1])
    last = None  # neither pattern needs a time limit: both go through a text once
    for match in regex.compile(bounded, cache_pattern=False).finditer(text):
        last = match
    if last is None and (value := read_number(answer)) is not None:
        for match in _NUMBER.finditer(text):
            number = read_number(match[0])
            if number is not None and number.value == value.value:
                last = match
    return None if last is None else last.span()


def _not_after(first: str) -> str:
    """What keeps a match from beginning inside a number or, in Latin letters, a word."""
    if first.isdigit():
        return r"(?<!\d)(?<!\d[.,])"
    return "(?<![A-Za-z])" if first.isascii() and first.isalpha() else ""


def _not_before(last: str) -> str:
    """What keeps a match from ending inside a number or, in Latin letters, a word."""
    if last.isdigit():
        return r"(?!\d|[.,]\d)"
    return "(?![A-Za-z])" if last.isascii() and last.isalpha() else ""
