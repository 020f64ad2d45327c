"""Trials: small pieces of the lab's real work, done to see what they cost on this machine.

Each trial does its work with the code that runs do it with, on a model with weights just drawn.
Such a model never ends a completion by itself. So it is given as many end marks as it takes for
completions to become as long, in the mean, as the solutions of the world's documents. How long
those of a trained model are is not known before; so an estimate says "about".
"""

import gc
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from formatlab.launch.estimates.memory import gpu_peak, peak_memory, reset_peak
from formatlab.models.model import best_device
from formatlab.models.scale import find_scale
from formatlab.store.config import config_hash
from formatlab.world.prompt import Prompt, plain_prompt
from formatlab.world.world import World

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from formatlab.world.corpus import Corpus

LONGEST = 4.0
"""Seconds that the largest part of a trial should take. What takes longer is done at two smaller
sizes, and its cost at full size is that of a line through them."""
_DOCUMENTS = 400
"""Documents that are written to see how long that takes."""
_CORPUS = 200_000
"""Tokens of what trials pretrain on: some thousand documents."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a piece of work costs."""

    seconds: float
    memory: int
    """Most bytes that the process held, libraries and all."""
    gpu_memory: int = 0
    """Most bytes that it held of a GPU, beside CUDA's context; 0 on a CPU."""
    tokens: float = 0.0
    """Of a document: how long it is in the mean."""


@dataclass(frozen=True, kw_only=True)
class Trial(ABC):
    """A piece of work to be measured, in a process that does nothing else."""

    @property
    @abstractmethod
    def label(self) -> str:
        """What people call it."""

    @property
    @abstractmethod
    def key(self) -> str:
        """Equal for trials that cost the same."""

    @abstractmethod
    def measure(self) -> Cost:
        """Do it."""


@dataclass(frozen=True, kw_only=True)
class StartTrial(Trial):
    """The start of a worker: what it takes until the libraries are there."""

    @property
    def label(self) -> str:
        """The same for all."""
        return "starting a worker"

    @property
    def key(self) -> str:
        """The same for all."""
        return "start"

    def measure(self) -> Cost:
        """Import what a run imports; only the first trial of a process can tell."""
        import formatlab.train.fine_tuning.settings
        import formatlab.train.fine_tuning.trainer
        import formatlab.train.on_policy.grpo_trainer
        import formatlab.train.on_policy.run  # noqa: F401

        return Cost(seconds=time.process_time(), memory=peak_memory())


@dataclass(frozen=True, kw_only=True)
class DocumentTrial(Trial):
    """The writing and tokenising of one document of a world."""

    world: World
    vocabulary: int

    @property
    def label(self) -> str:
        """The world's mixture."""
        return f"documents of {self.world.mixture.name}"

    @property
    def key(self) -> str:
        """The world's."""
        return f"document {_world_key(self.world, self.vocabulary)}"

    def measure(self) -> Cost:
        """Write some."""
        tokenizer, corpus = some_documents(self.world, self.vocabulary)
        began = time.process_time()
        documents = list(islice(self.world.documents(), _DOCUMENTS))
        tokenizer([plain_prompt(document.problem).text for document in documents])
        tokenizer([document.solution for document in documents])
        seconds = (time.process_time() - began) / _DOCUMENTS
        tokens = len(corpus.tokens) / len(corpus)
        return Cost(seconds=seconds, memory=peak_memory(), tokens=tokens)


@dataclass(frozen=True, kw_only=True)
class GradeTrial(Trial):
    """The tagging and grading of one solution of a world; untrained models write none."""

    world: World

    @property
    def label(self) -> str:
        """The world's mixture."""
        return f"grading of {self.world.mixture.name}"

    @property
    def key(self) -> str:
        """The world's."""
        return f"grade {_world_key(self.world, 0)}"

    def measure(self) -> Cost:
        """Grade some."""
        from formatlab.observe.grader import grade

        documents = list(islice(self.world.documents(), _DOCUMENTS))
        began = time.perf_counter()
        for document in documents:
            grade(document.solution, document.problem.answer)
        seconds = (time.perf_counter() - began) / _DOCUMENTS
        return Cost(seconds=seconds, memory=peak_memory())


@dataclass(frozen=True, kw_only=True)
class ScaleTrial(Trial):
    """What is done with a model of a scale."""

    world: World
    vocabulary: int
    scale: str
    threads: int

    @property
    def key(self) -> str:
        """World, scale, threads, and what else decides the cost."""
        rest = config_hash(self._rest())
        return f"{self.label}, {self.threads} threads {rest} {self._world_key}"

    @property
    def _world_key(self) -> str:
        return _world_key(self.world, self.vocabulary)

    @abstractmethod
    def _rest(self) -> dict[str, Any]:
        """What else decides the cost, ready for JSON."""

    @abstractmethod
    def _at(self, size: int, place: Path, model: Path) -> float:
        """Do the work at a size, and give the seconds of it.

        Args:
            size: of what the work is measured in: documents, completions, prompts.
            place: an empty folder.
            model: a transformers folder.
        """

    @property
    @abstractmethod
    def _sizes(self) -> list[int]:
        """Sizes that the work can be done at, the full one last."""

    def _clock(self) -> float:
        """Seconds; of computing where one thread does it all, which others' work can't lengthen."""
        alone = self.threads == 1 and best_device().type == "cpu"
        return time.process_time() if alone else time.perf_counter()

    def measure(self) -> Cost:
        """Do the work at small sizes, and at full size if it can be done in seconds."""
        import torch

        torch.set_num_threads(self.threads)
        tokenizer, corpus = some_documents(self.world, self.vocabulary)
        solution = len(corpus.tokens) / len(corpus) - float(corpus.prompt_lengths.mean())
        with TemporaryDirectory(prefix="formatlab-trial-") as folder:
            model = Path(folder) / "model"
            _save_untrained(self.scale, tokenizer, solution, model)
            count = 0

            def at(size: int) -> Cost:
                nonlocal count
                count += 1
                place = Path(folder) / str(count)
                gc.collect()
                reset_peak()
                seconds = self._at(size, place, model)
                return Cost(seconds=seconds, memory=peak_memory(), gpu_memory=gpu_peak())

            return at_full_size(at, self._sizes)


def at_full_size(measure: Callable[[int], Cost], sizes: list[int]) -> Cost:
    """The cost of work at full size: measured if that takes seconds, else told from smaller sizes.

    Args:
        measure: does the work at a size.
        sizes: that it can be done at, the full one last.
    """
    first = measure(sizes[0])  # longer than the next ones: libraries set themselves up
    if first.seconds * sizes[-1] / sizes[0] <= LONGEST or len(sizes) < 3:
        return measure(sizes[-1])
    costs = [(size, measure(size)) for size in sizes[:2]]
    if costs[-1][1].seconds * sizes[-1] / sizes[1] <= LONGEST:
        return measure(sizes[-1])
    (few, cheap), (many, dear) = costs
    further = (sizes[-1] - many) / (many - few)

    def full(first: float, second: float) -> float:
        return second + further * max(0.0, second - first)

    return Cost(
        seconds=full(cheap.seconds, dear.seconds),
        memory=round(full(cheap.memory, dear.memory)),
        gpu_memory=round(full(cheap.gpu_memory, dear.gpu_memory)),
    )


def quarters(full: int) -> list[int]:
    """A sixteenth, a quarter and the whole, as far as these are whole numbers."""
    return [full // part for part in (16, 4, 1) if full % part == 0]


def first_documents(corpus: "Corpus", documents: int) -> "Corpus":
    """The first documents of a corpus, or all of them."""
    count = min(documents, len(corpus))
    return replace(
        corpus,
        tokens=corpus.tokens[: corpus.offsets[count]],
        offsets=corpus.offsets[: count + 1],
        prompt_lengths=corpus.prompt_lengths[:count],
        formats=corpus.formats[:count],
    )


def rl_prompts(world: World, count: int) -> list[Prompt]:
    """The first training prompts."""
    return [plain_prompt(problem) for problem in world.problems("rl", count)]


_written: dict[str, "tuple[PreTrainedTokenizerFast, Corpus]"] = {}


def some_documents(world: World, vocabulary: int) -> "tuple[PreTrainedTokenizerFast, Corpus]":
    """A tokenizer and some thousand documents of a world, written once a process."""
    from formatlab.world.corpus import build_corpus
    from formatlab.world.tokenizer import train_tokenizer

    key = _world_key(world, vocabulary)
    if key not in _written:
        tokenizer = train_tokenizer(world, vocabulary)
        _written[key] = tokenizer, build_corpus(world, tokenizer, tokens=_CORPUS)
    return _written[key]


def _world_key(world: World, vocabulary: int) -> str:
    return config_hash({"world": asdict(world) | {"seed": 0}, "vocabulary": vocabulary})


def _save_untrained(
    scale: str, tokenizer: "PreTrainedTokenizerFast", length: float, path: Path
) -> None:
    """Save a model of a scale whose completions are so many tokens long in the mean.

    All tokens are about equally likely, so one in `length` of them is made an end mark.
    """
    from formatlab.train.pretraining.pretrain import new_model, save_model

    model: Any = new_model(find_scale(scale), tokenizer)
    ends = range(len(tokenizer) - round(len(tokenizer) / length), len(tokenizer))
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, *ends]
    save_model(model, tokenizer, path)
