"""Fine-tuning settings: what SFT and DPO have in common, under the field's names."""

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from formatlab.errors import InputError
from formatlab.train.on_policy import Schedule
from formatlab.train.probe import Probe


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """Settings of a run that learns from examples gathered before its first step.

    A step is one optimiser update. Where the examples are the starting model's own rollouts, all
    of these are sampled first, and recorded as training rollouts of step 0.
    """

    name: ClassVar[str]
    """What `--algorithm`, folders and tables call it."""

    prompts: int = 1024
    """Different prompts that examples are made for."""
    examples: int = 1024
    """Most examples to learn from; how many there are depends on what is found."""
    samples: int = 8
    """Completions of each prompt, where the starting model's own rollouts are looked through."""
    temperature: float = 1.0
    """Sampling temperature of those."""
    completion_length: int = 64
    """Most tokens of those, and of a probe's completions; longer ones are cut."""
    epochs: int = 2
    """Passes over the examples."""
    learning_rate: float | None = None
    """Peak learning rate of AdamW; None: the one that follows from the scale of the ladder."""
    schedule: Schedule = "linear"
    """Course of the learning rate after warm-up, by transformers' name."""
    warmup: float = 0.1
    """Share of the updates over which the learning rate rises."""
    adam_beta2: float = 0.999
    """AdamW's second-moment decay."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient."""
    batch: int = 16
    """Examples in one optimiser update."""
    micro_batch: int = 512
    """Most examples in one forward pass; bounds memory."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of forward and backward passes; weights are updated in float32 either way."""
    checkpoint_every: int = 64
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for field in (
            "prompts",
            "examples",
            "samples",
            "completion_length",
            "epochs",
            "batch",
            "micro_batch",
            "checkpoint_every",
        ):
            if getattr(self, field) < 1:
                raise InputError(
                    f"{self.name}: {field} is {getattr(self, field)}; it must be at least 1"
                )
        if self.examples < self.batch:
            raise InputError(
                f"{self.name}: examples is {self.examples}, fewer than one update takes "
                f"(batch is {self.batch})"
            )
        for field in ("temperature", "gradient_clip"):
            if getattr(self, field) <= 0:
                raise InputError(
                    f"{self.name}: {field} is {getattr(self, field)}; it must be positive"
                )
        if (self.learning_rate or 0) < 0:
            raise InputError(
                f"{self.name}: learning_rate is {self.learning_rate}; it cannot be negative"
            )
        for field in ("warmup", "adam_beta2"):
            if not 0 <= getattr(self, field) < 1:
                raise InputError(
                    f"{self.name}: {field} is {getattr(self, field)}; from 0 to below 1"
                )

    @property
    def config(self) -> dict[str, Any]:
        """Everything that decides the result, ready for JSON."""
        return {k: v for k, v in asdict(self).items() if k != "checkpoint_every"}

    @property
    def steps_per_epoch(self) -> int:
        """Most steps of one pass over the examples."""
        return self.updates_per_pass(self.examples)

    @property
    def steps(self) -> int:
        """Most steps of the run; fewer where fewer examples are found."""
        return self.steps_per_epoch * self.epochs

    @property
    def micro_batch_examples(self) -> int:
        """Examples in one forward pass: the largest divisor of a batch within `micro_batch`."""
        size = min(self.micro_batch, self.batch)
        while self.batch % size:
            size -= 1
        return size

    def updates_per_pass(self, examples: int) -> int:
        """Updates that one pass over so many examples makes; the last may be a smaller one."""
        return math.ceil(examples / self.batch)

    def probe_steps(self, examples: int, probe: Probe) -> dict[int, float]:
        """Steps after which the policy is observed, with the pass that each is.

        The start (step 0), the fractions of the first pass rounded to whole steps, and the end of
        every pass.
        """
        per_pass = self.updates_per_pass(examples)
        fractions = {round(fraction * per_pass) for fraction in probe.fractions}
        ends = {number * per_pass for number in range(1, self.epochs + 1)}
        return {step: step / per_pass for step in sorted({0} | fractions | ends)}
