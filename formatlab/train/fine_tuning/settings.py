"""Fine-tuning settings: what SFT and DPO have in common, under the field's names."""

import math
from dataclasses import dataclass
from typing import ClassVar

from formatlab.errors import InputError
from formatlab.train.settings import StageSettings, largest_divisor


@dataclass(frozen=True, kw_only=True)
class FineTuning(StageSettings):
    """Settings of a run that learns from examples gathered before its first step.

    A step is one optimiser update. Where the examples are the starting model's own rollouts, all
    of these are sampled first, and recorded as training rollouts of step 0; `temperature` and
    `completion_length` are theirs, and the latter a probe's too.
    """

    counts: ClassVar[tuple[str, ...]] = ("examples", "samples", "epochs", "batch")

    examples: int = 1024
    """Most examples to learn from; how many there are depends on what is found."""
    samples: int = 8
    """Completions of each prompt, where the starting model's own rollouts are looked through."""
    epochs: int = 2
    """Passes over the examples."""
    batch: int = 16
    """Examples in one optimiser update."""
    checkpoint_every: int = 64
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        """Check that there is an update's worth of examples."""
        super().__post_init__()
        if self.examples < self.batch:
            raise InputError(
                f"{self.name}: examples is {self.examples}, fewer than one update takes "
                f"(batch is {self.batch})"
            )

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
        return largest_divisor(self.batch, self.micro_batch)

    def updates_per_pass(self, examples: int) -> int:
        """Updates that one pass over so many examples makes; the last may be a smaller one."""
        return math.ceil(examples / self.batch)
