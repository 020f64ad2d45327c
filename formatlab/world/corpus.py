"""Corpora: tokenised pretraining documents that add up to an exact number of tokens."""

import pickle
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from pathlib import Path
from subprocess import PIPE, Popen
from typing import IO, TYPE_CHECKING, NamedTuple, cast
from zipfile import BadZipFile

import numpy as np

from formatlab.errors import InputError, RunError
from formatlab.world.added_formats import is_added
from formatlab.world.cores import available_cores
from formatlab.world.formats import FORMATS
from formatlab.world.prompt import plain_prompt
from formatlab.world.world import World

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

VERSION = 1
"""Raised when a corpus takes other documents of the same world."""

_CHUNK = 512
"""Documents written and tokenised at a time."""
_WORTH_A_PROCESS = 500_000
"""Tokens from which on further processes write documents too: they take a second to start."""
_MOST_PROCESSES = 4
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

    def part(self, documents: np.ndarray) -> "Corpus":
        """The corpus of some of the documents, in the order of their indices given."""
        lengths = np.diff(self.offsets)[documents]
        starts = self.offsets[documents]
        ends = starts + lengths
        return replace(
            self,
            tokens=np.concatenate([self.tokens[a:b] for a, b in zip(starts, ends, strict=True)]),
            offsets=np.cumsum([0, *lengths], dtype=np.int64),
            prompt_lengths=self.prompt_lengths[documents],
            formats=self.formats[documents],
        )

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


class _Document(NamedTuple):
    tokens: np.ndarray
    length: int
    prompt_length: int
    form: int


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
    eos = tokenizer.eos_token_id
    assert isinstance(eos, int)
    writer = _Writer(world, tokenizer.backend_tokenizer, eos, start)
    processes = 1
    # A further process lacks the formats that an experiment adds.
    added = any(is_added(type(FORMATS[form])) for form in world.mixture.shares)
    if tokens >= _WORTH_A_PROCESS and not added:
        processes = min(available_cores(), _MOST_PROCESSES)
    with closing(_documents(writer, processes)) as stream:
        chosen = _chosen(stream, tokens)
    return Corpus(
        tokens=np.concatenate([document.tokens for document in chosen]),
        offsets=np.cumsum([0, *(document.length for document in chosen)], dtype=np.int64),
        prompt_lengths=np.array([document.prompt_length for document in chosen], dtype=np.uint16),
        formats=np.array([document.form for document in chosen], dtype=np.uint8),
        format_names=tuple(world.mixture.shares),
    )


def _chosen(stream: Iterator[_Document], tokens: int) -> list[_Document]:
    """The first documents of the stream, and of the next ones those that make up the sum."""
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
    return chosen


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes and tokenises documents a chunk at a time: the tokenizer is faster on many."""

    world: World
    tokenizer: "Tokenizer"
    eos: int
    start: int

    def chunk(self, number: int) -> list[_Document]:
        """Chunk `number` of the stream of documents."""
        first = self.start + number * _CHUNK
        written = list(islice(self.world.documents(first), _CHUNK))
        prompts = self._ids([plain_prompt(problem).text for _, problem, _ in written])
        solutions = self._ids([solution for _, _, solution in written])
        names = tuple(self.world.mixture.shares)
        documents = []
        for (form, _, _), prompt, solution in zip(written, prompts, solutions, strict=True):
            ids = np.array([*prompt, *solution, self.eos], dtype=np.uint16)
            documents.append(_Document(ids, len(ids), len(prompt), names.index(form)))
        return documents

    def _ids(self, texts: list[str]) -> list[list[int]]:
        encodings = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]


def _documents(writer: _Writer, processes: int) -> Generator[_Document, None, None]:
    """Endless documents in their order; the processes, this one among them, take turns.

    The others are programs of their own: processes of `multiprocessing` would begin with the
    caller's script, and a script without a guard would wait for itself.
    """
    others = [_started(writer, turn, processes) for turn in range(1, processes)]
    try:
        for number in count():
            turn = number % processes
            if turn == 0:
                yield from writer.chunk(number)
                continue
            try:
                yield from pickle.load(cast(IO[bytes], others[turn - 1].stdout))
            except (EOFError, pickle.UnpicklingError):  # it died
                yield from writer.chunk(number)
    finally:
        for other in others:
            with other:  # closes its pipe, and waits for it
                other.kill()


_PROGRAM = "import sys; sys.path[:] = {path!r}; from {module} import write_turns; write_turns()"
"""The program of a further process, which finds the same modules as this one."""


def _started(writer: _Writer, turn: int, processes: int) -> "Popen[bytes]":
    """Start a process that writes chunks number `turn`, `turn + processes` and so on."""
    other = Popen(
        [sys.executable, "-c", _PROGRAM.format(path=sys.path, module=__name__)],
        stdin=PIPE,
        stdout=PIPE,
        process_group=0,  # Ctrl-C ends the reader alone
    )
    with suppress(OSError), cast(IO[bytes], other.stdin) as stdin:
        pickle.dump((writer, turn, processes), stdin)
    return other


def write_turns() -> None:
    """What a further process does, until nobody reads any more."""
    writer, turn, processes = pickle.load(sys.stdin.buffer)
    with suppress(OSError):
        for number in count(turn, processes):
            pickle.dump(writer.chunk(number), sys.stdout.buffer)
            sys.stdout.buffer.flush()


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
