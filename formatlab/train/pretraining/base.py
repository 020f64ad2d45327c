"""A base: the pretrained model before RL, and everything that decides it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Literal

from formatlab.errors import InputError
from formatlab.models.scale import find_scale
from formatlab.observe import grader
from formatlab.store.config import config_hash
from formatlab.train.probe import Probe
from formatlab.train.rules import RULES
from formatlab.world import corpus, prompt, tokenizer
from formatlab.world.added_formats import added_formats
from formatlab.world.world import World

LossOn = Literal["solution", "document"]

ACCURACY_FLOOR = 0.05
"""A base that is right less often than this in every format is undertrained."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """What decides a base and is no setting; it is part of the base's configuration."""

    version: int = 4
    """Raised when the code of pretraining makes another base of the same settings."""
    context: int = 256
    """Longest sequence of a ladder model, in tokens; documents of the world are far shorter."""
    adam_betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's decay of the first and of the second moment."""
    muon_momentum: float = 0.95
    """Muon's decay of the mean gradient."""
    sorted_batches: int = 16
    """Batches sorted by length together: little padding, and batches still mix all lengths."""
    held_out_documents: int = 64
    """Problems that the held-out loss is measured on, each written in every format."""
    completion_length: int = 96
    """Most tokens of a completion of the probe; longer than any document's solution."""


RECIPE = Recipe()


def corpus_name(base: Mapping[str, Any]) -> str:
    """Name of the corpus that a base is made from.

    Args:
        base: the base's configuration; that of an earlier version lacks `documents`.
    """
    settings = base["pretraining"]
    return config_hash(
        {
            "world": base["world"],
            "tokens": settings["tokens"],
            "vocabulary": settings["vocabulary"],
            **{name: base[name] for name in ("documents", "added_formats") if name in base},
        }
    )


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """How every base of a study is pretrained. Learning rate and batch follow from the scale."""

    tokens: int
    """Exact number of tokens seen, the same at every scale."""
    vocabulary: int = 512
    """Most tokens the vocabulary may have."""
    loss_on: LossOn = "solution"
    """Which tokens are learned: the solutions, or whole documents."""
    warmup: float = 0.02
    """Share of the steps over which the learning rate rises; after it falls linearly to zero."""
    weight_decay: float = 0.1
    """On matrices only."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient."""
    checkpoint_every: int = 500
    """Steps between checkpoints."""
    accuracy_floor: float = ACCURACY_FLOOR
    """A base whose accuracy is below this in every format is marked undertrained."""
    kept: tuple[float, ...] = ()
    """Fractions of the tokens after which the model is kept as a base of its own."""

    def __post_init__(self) -> None:
        """Check the budget."""
        if self.tokens < 1:
            raise InputError(f"pretraining: tokens is {self.tokens}; it must be positive")
        if self.checkpoint_every < 1:
            raise InputError(
                f"pretraining: checkpoint_every is {self.checkpoint_every}; it must be positive"
            )
        if not 258 <= self.vocabulary <= 65_536:
            raise InputError(
                f"pretraining: vocabulary is {self.vocabulary}; from 258 (every byte and two "
                "marks) to 65,536"
            )
        for name in ("warmup", "accuracy_floor"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"pretraining: {name} is {getattr(self, name)}; from 0 to below 1")
        if self.gradient_clip <= 0:
            raise InputError(
                f"pretraining: gradient_clip is {self.gradient_clip}; it must be positive"
            )
        if any(low >= high for low, high in pairwise((0, *self.kept, 1))):
            raise InputError(
                f"pretraining: kept is {self.kept}; fractions between 0 and 1, each once, the "
                "smallest first"
            )

    @property
    def config(self) -> dict[str, Any]:
        """Everything that decides the result, ready for JSON."""
        left_out = {"checkpoint_every"} if self.kept else {"checkpoint_every", "kept"}
        return {k: v for k, v in asdict(self).items() if k not in left_out}

    @property
    def fractions(self) -> tuple[float, ...]:
        """Fractions of the tokens that its bases have seen; the last one is 1."""
        return (*self.kept, 1.0)


@dataclass(frozen=True, kw_only=True)
class Base:
    """The pretrained model before RL: decided by world, scale, pretraining and seed."""

    world: World
    scale: str
    pretraining: Pretraining
    probe: Probe = Probe()
    """How the finished base is observed."""
    seed: int = 0
    """Seed of initial weights and of the order of documents."""
    after: float = 1.0
    """Fraction of the pretraining's tokens that it has seen. The learning rate of an intermediate
    base, below 1, has not fallen to zero yet."""

    def __post_init__(self) -> None:
        """Check that its pretraining keeps it."""
        if self.after not in self.pretraining.fractions:
            raise InputError(
                f"base: after is {self.after}; its pretraining keeps "
                f"{', '.join(map(str, self.pretraining.fractions))}"
            )

    @property
    def whole(self) -> "Base":
        """The base at the end of the same pretraining."""
        return replace(self, after=1.0)

    @property
    def config(self) -> dict[str, Any]:
        """Everything that decides the result, ready for JSON."""
        added = added_formats()
        return {
            "kind": "base",
            "world": self.world.config,
            "documents": {
                "prompt_version": prompt.VERSION,
                "tokenizer_version": tokenizer.VERSION,
                "tokenizer_documents": tokenizer.TRAINING_DOCUMENTS,
                "corpus_version": corpus.VERSION,
            },
            "scale": find_scale(self.scale).config,
            "recipe": asdict(RECIPE),
            "grading_version": grader.VERSION,
            "sampling_version": RULES.sampling,
            "pretraining": self.pretraining.config,
            "probe": asdict(self.probe),
            "seed": self.seed,
            **({"added_formats": added} if added else {}),
            **({"after": self.after} if self.after < 1 else {}),
        }

    @property
    def seeds(self) -> str:
        """Seeds in short: `s0`, or `w1s0` in a world of another seed than 0."""
        return f"w{self.world.seed}s{self.seed}" if self.world.seed else f"s{self.seed}"

    @property
    def name(self) -> str:
        """Name of the base's folder."""
        of = self.world.mixture.name + f"-after{self.after}" * (self.after < 1)
        return f"{self.scale}-{of}-{self.seeds}-{config_hash(self.config)}"


def kept_model(after: float) -> str:
    """Name of the folder, in that of the whole base, of the model kept after a fraction."""
    return f"model-{after}"
