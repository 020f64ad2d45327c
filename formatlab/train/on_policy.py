"""On-policy settings: what GRPO, PPO and RLOO have in common, under the field's names."""

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from formatlab.errors import InputError

Schedule = Literal["constant", "linear", "cosine", "cosine_with_min_lr"]


@dataclass(frozen=True, kw_only=True)
class OnPolicy:
    """Settings of a run that learns from its own newest rollouts.

    A step is one batch of rollouts: `prompts_per_step` prompts, `group_size` completions each. The
    defaults are those of the small ladder.
    """

    name: ClassVar[str]
    """What `--algorithm`, folders and tables call it."""

    kl_coefficient: float = 0.0
    """Weight of the KL divergence to the base (beta); the KL itself is logged in any case."""
    entropy_coefficient: float = 0.0
    """Weight of the bonus for entropy, the mean a token in nats, in the loss."""
    learning_rate: float | None = None
    """Peak learning rate of AdamW; None: the one that follows from the scale of the ladder."""
    schedule: Schedule = "constant"
    """Course of the learning rate after warm-up, by transformers' name."""
    warmup: float = 0.1
    """Share of the updates over which the learning rate rises."""
    adam_beta2: float = 0.999
    """AdamW's second-moment decay."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient."""
    prompts: int = 1024
    """Different prompts in an epoch."""
    prompts_per_step: int = 64
    """Different prompts in one step."""
    group_size: int = 8
    """Completions of each prompt, compared with one another."""
    epochs: int = 2
    """Passes over the prompts."""
    temperature: float = 1.0
    """Sampling temperature of training rollouts."""
    completion_length: int = 64
    """Most tokens of a completion; longer ones are cut and count as truncated."""
    iterations: int = 1
    """Times each batch of rollouts is learned from (mu)."""
    sequences_per_update: int | None = None
    """Rollouts in one optimiser update; None: all rollouts of the step."""
    clip_epsilon: float = 0.2
    """Range of the probability ratio, on both sides of 1."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of forward and backward passes; weights are updated in float32 either way."""
    micro_batch: int = 512
    """Most rollouts in one forward pass; bounds memory."""
    checkpoint_every: int = 8
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        """Check that counts fit one another."""
        for name in (
            "prompts",
            "prompts_per_step",
            "epochs",
            "completion_length",
            "iterations",
            "micro_batch",
            "checkpoint_every",
        ):
            if getattr(self, name) < 1:
                raise InputError(
                    f"{self.name}: {name} is {getattr(self, name)}; it must be at least 1"
                )
        if self.group_size < 2:
            raise InputError(
                f"{self.name}: group_size is {self.group_size}; TRL's batches are made of groups "
                "of completions of one prompt, so at least 2 are needed"
            )
        if self.prompts % self.prompts_per_step:
            raise InputError(
                f"{self.name}: prompts is {self.prompts}, not a multiple of prompts_per_step "
                f"({self.prompts_per_step}); the rest would never be trained on"
            )
        if self.update_sequences < 1 or self.rollouts_per_step % self.update_sequences:
            raise InputError(
                f"{self.name}: sequences_per_update is {self.update_sequences}; it must divide the "
                f"{self.rollouts_per_step} rollouts of a step"
            )
        if not self.temperature > 0:
            raise InputError(f"{self.name}: temperature is {self.temperature}; it must be positive")
        for name in (
            "learning_rate",
            "kl_coefficient",
            "entropy_coefficient",
            "gradient_clip",
            "clip_epsilon",
        ):
            if not 0 <= (getattr(self, name) or 0) < math.inf:
                raise InputError(
                    f"{self.name}: {name} is {getattr(self, name)}; it must be 0 or more"
                )
        for name in ("warmup", "adam_beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{self.name}: {name} is {getattr(self, name)}; from 0 to below 1")

    @property
    def config(self) -> dict[str, Any]:
        """Everything that decides the result, ready for JSON."""
        return {k: v for k, v in asdict(self).items() if k != "checkpoint_every"}

    @property
    def rollouts_per_step(self) -> int:
        """Completions sampled in one step."""
        return self.prompts_per_step * self.group_size

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over the prompts."""
        return self.prompts // self.prompts_per_step

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.steps_per_epoch * self.epochs

    @property
    def update_sequences(self) -> int:
        """Rollouts in one optimiser update."""
        if self.sequences_per_update is None:
            return self.rollouts_per_step
        return self.sequences_per_update

    @property
    def updates_per_step(self) -> int:
        """Optimiser updates made from one batch of rollouts."""
        return self.rollouts_per_step // self.update_sequences * self.iterations

    def micro_batch_sequences(self, processes: int = 1) -> int:
        """Rollouts in one forward pass: the largest divisor of a process's part of an update.

        Args:
            processes: that share an update.

        Raises:
            InputError: they cannot share it equally.
        """
        share, rest = divmod(self.update_sequences, processes)
        if rest:
            raise InputError(
                f"{self.name}: an update takes {self.update_sequences} rollouts, which {processes} "
                "processes cannot share equally; change sequences_per_update or prompts_per_step"
            )
        return next(n for n in range(min(self.micro_batch, share), 0, -1) if share % n == 0)
