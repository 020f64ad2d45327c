"""Stage settings: what every algorithm after pretraining has, under the field's names."""

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from formatlab.errors import InputError

Schedule = Literal["constant", "linear", "cosine", "cosine_with_min_lr"]


@dataclass(frozen=True, kw_only=True)
class StageSettings:
    """Settings that all stages share."""

    name: ClassVar[str]
    """What `--algorithm`, folders and tables call it."""
    version: ClassVar[int] = 1
    """Raised when the code that trains by these settings comes to other updates."""
    counts: ClassVar[tuple[str, ...]] = ()
    """Fields of a stage's own that are at least 1."""

    learning_rate: float | None = None
    """Peak learning rate of AdamW; None: the one that follows from the scale of the ladder."""
    schedule: Schedule = "linear"
    """Course of the learning rate after warm-up, by transformers' name."""
    warmup: float = 0.1
    """Share of the updates over which the learning rate rises."""
    adam_beta2: float = 0.999
    """AdamW's second-moment decay."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient; 0: not clipped."""
    prompts: int = 1024
    """Different prompts in a pass over them."""
    temperature: float = 1.0
    """Sampling temperature of training rollouts."""
    completion_length: int = 64
    """Most tokens of a completion; longer ones are cut and count as truncated."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of forward and backward passes; weights are updated in float32 either way."""
    micro_batch: int = 512
    """Most completions in one forward pass; bounds memory."""
    checkpoint_every: int = 8
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        shared = ("prompts", "completion_length", "micro_batch", "checkpoint_every")
        for name in (*shared, *self.counts):
            if getattr(self, name) < 1:
                self._refuse(name, "it must be at least 1")
        if not 0 < self.temperature < math.inf:
            self._refuse("temperature", "it must be positive")
        for name in ("learning_rate", "gradient_clip"):
            if not 0 <= (getattr(self, name) or 0) < math.inf:
                self._refuse(name, "it must be 0 or more")
        for name in ("warmup", "adam_beta2"):
            if not 0 <= getattr(self, name) < 1:
                self._refuse(name, "from 0 to below 1")

    @property
    def config(self) -> dict[str, Any]:
        """Everything that decides the result, ready for JSON."""
        return {k: v for k, v in asdict(self).items() if k != "checkpoint_every"}

    def _refuse(self, name: str, needed: str) -> None:
        raise InputError(f"{self.name}: {name} is {getattr(self, name)}; {needed}")


def largest_divisor(number: int, limit: int) -> int:
    """The largest divisor of a number within a limit."""
    return next(n for n in range(min(limit, number), 0, -1) if number % n == 0)
