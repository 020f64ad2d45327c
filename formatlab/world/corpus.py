"""Corpora: tokenised pretraining documents that add up to an exact number of tokens."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from formatlab.errors import InputError, RunError
from formatlab.world.prompt import plain_prompt
from formatlab.world.world import World

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VERSION = 1
"""Raised when a corpus takes other documents of the same world."""

_CHUNKS = (256, 4_096)
"""Documents tokenised at first, and the most at a time: small corpora need few."""
_ENDING = 32
"""Lengths of the longest document at which the end of a corpus begins."""
_CANDIDATES = 1_024
"""Most documents that its last ones are chosen from, so that the budget is met to the token."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Documents as one flat array; document `i` is `tokens[offsets[i]:offsets[i + 1]]`."""

    tokens: np.ndarray
    """(N,) uint16 token ids; every document ends in the end-of-sequence token."""
    offsets: np.ndarray
    """(D + 1,) int64."""
    prompt_lengths: np.ndarray
    """(D,) uint16: how many tokens of each document are its question."""
    formats: np.ndarray
    """(D,) uint8 indices into `format_names`."""
    format_names: tuple[str, ...]
    """The formats of the mixture, in its order."""

    def __len__(self) -> int:
        """Number of documents."""
        return len(self.offsets) - 1

    def document_shares(self) -> dict[str, float]:
        """Realised share of each format among the documents."""
        counts = np.bincount(self.formats, minlength=len(self.format_names))
        return dict(zip(self.format_names, (counts / len(self)).tolist(), strict=True))

    def token_shares(self) -> dict[str, float]:
        """Realised share of each format among the tokens."""
        lengths = np.diff(self.offsets)
        counts = np.bincount(self.formats, weights=lengths, minlength=len(self.format_names))
        return dict(zip(self.format_names, (counts / len(self.tokens)).tolist(), strict=True))

    def save(self, path: Path) -> None:
        """Write one `.npz` file."""
        with path.open("wb") as file:
            np.savez(
                file,
                tokens=self.tokens,
                offsets=self.offsets,
                prompt_lengths=self.prompt_lengths,
                formats=self.formats,
                format_names=np.array(self.format_names),
            )

    @classmethod
    def load(cls, path: Path) -> "Corpus":
        """Read what `save` wrote.

        Raises:
            RunError: the file is damaged.
        """
        try:
            with np.load(path) as data:
                return cls(
                    tokens=data["tokens"],
                    offsets=data["offsets"],
                    prompt_lengths=data["prompt_lengths"],
                    formats=data["formats"],
                    format_names=tuple(data["format_names"].tolist()),
                )
        except (BadZipFile, KeyError, OSError, ValueError, EOFError) as error:
            raise RunError(
                f"the corpus {path} is damaged ({error}); without its folder it is written again"
            ) from error


@dataclass(frozen=True, kw_only=True, slots=True)
class _Document:
    form: int
    tokens: np.ndarray
    prompt_length: int

    @property
    def length(self) -> int:
        return len(self.tokens)


def build_corpus(
    world: World, tokenizer: "PreTrainedTokenizerFast", *, tokens: int, start: int = 0
) -> Corpus:
    """Tokenise documents of the world until they hold exactly `tokens` tokens.

    The last few documents are picked from the next ones so that the sum comes out; none is cut.

    Args:
        world: where the documents come from.
        tokenizer: the world's tokenizer.
        tokens: exact number of tokens, questions, solutions and end marks together.
        start: index of the first document, to draw a corpus disjoint from another.

    Raises:
        InputError: a budget too small to be met by whole documents.
    """
    names = tuple(world.mixture.shares)
    stream = _documents(world, tokenizer, names, start)
    chosen: list[_Document] = []
    remaining, longest = tokens, 0
    for document in stream:
        longest = max(longest, document.length)
        if remaining < _ENDING * longest:
            candidates = chain([document], islice(stream, _CANDIDATES))
            ending = _exact(candidates, remaining) if remaining > 0 else None
            if ending is None:
                raise InputError(
                    f"corpus: no whole documents add up to {tokens:,} tokens; "
                    f"give a budget of at least {100 * longest:,} tokens"
                )
            chosen += ending
            break
        chosen.append(document)
        remaining -= document.length
    return Corpus(
        tokens=np.concatenate([document.tokens for document in chosen]),
        offsets=np.cumsum([0, *(document.length for document in chosen)], dtype=np.int64),
        prompt_lengths=np.array([document.prompt_length for document in chosen], dtype=np.uint16),
        formats=np.array([document.form for document in chosen], dtype=np.uint8),
        format_names=names,
    )


def _documents(
    world: World, tokenizer: "PreTrainedTokenizerFast", names: tuple[str, ...], start: int
) -> Iterator[_Document]:
    """Tokenised documents, a chunk at a time because the tokenizer is faster on many."""
    stream = world.documents(start)
    eos = tokenizer.eos_token_id
    size, most = _CHUNKS
    while True:
        chunk = list(islice(stream, size))
        size = min(2 * size, most)
        prompts = tokenizer([plain_prompt(problem).text for _, problem, _ in chunk])["input_ids"]
        solutions = tokenizer([solution for _, _, solution in chunk])["input_ids"]
        for (form, _, _), prompt, solution in zip(chunk, prompts, solutions, strict=True):
            yield _Document(
                form=names.index(form),
                tokens=np.array([*prompt, *solution, eos], dtype=np.uint16),
                prompt_length=len(prompt),
            )


def _exact(documents: Iterable[_Document], total: int) -> list[_Document] | None:
    """Documents whose lengths sum to `total`, from as early in the stream as can be (subset sum).

    None where there are none.
    """
    candidates: list[_Document] = []
    reached: dict[int, tuple[int, int]] = {0: (-1, -1)}  # sum -> (candidate, sum before it)
    for index, document in enumerate(documents):
        candidates.append(document)
        for before in [s for s in reached if s + document.length <= total]:
            reached.setdefault(before + document.length, (index, before))
        if total in reached:
            break
    else:
        return None
    picked: list[_Document] = []
    while total:
        index, total = reached[total]
        picked.append(candidates[index])
    return picked[::-1]
