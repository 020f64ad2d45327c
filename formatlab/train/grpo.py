"""GRPO: its settings, under the field's names, and the two presets."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from formatlab.errors import InputError

LossType = Literal["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"]
Schedule = Literal["constant", "linear", "cosine", "cosine_with_min_lr"]


@dataclass(frozen=True, kw_only=True)
class Grpo:
    """Settings of a GRPO run. The defaults are the preset of the small ladder.

    A step is one batch of rollouts: `prompts_per_step` prompts, `group_size` completions each.
    """

    loss_type: LossType = "dr_grpo"
    """How token losses are averaged, by TRL's name."""
    scale_rewards: Literal["group", "batch", "none"] = "none"
    """Whose standard deviation the advantage is divided by, if any."""
    kl_coefficient: float = 0.0
    """Weight of the KL divergence to the base in the loss (beta); KL is logged in any case."""
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
                raise InputError(f"grpo: {name} is {getattr(self, name)}; it must be at least 1")
        if self.group_size < 2:
            raise InputError(
                f"grpo: group_size is {self.group_size}; an advantage compares the completions of "
                "one prompt, so at least 2 are needed"
            )
        if self.prompts % self.prompts_per_step:
            raise InputError(
                f"grpo: prompts is {self.prompts}, not a multiple of prompts_per_step "
                f"({self.prompts_per_step}); the rest would never be trained on"
            )
        if self.update_sequences < 1 or self.rollouts_per_step % self.update_sequences:
            raise InputError(
                f"grpo: sequences_per_update is {self.update_sequences}; it must divide the "
                f"{self.rollouts_per_step} rollouts of a step"
            )
        if self.temperature <= 0:
            raise InputError(f"grpo: temperature is {self.temperature}; it must be positive")
        for name in ("learning_rate", "kl_coefficient", "warmup", "gradient_clip", "clip_epsilon"):
            if (getattr(self, name) or 0) < 0:
                raise InputError(f"grpo: {name} is {getattr(self, name)}; it cannot be negative")
        for name in ("warmup", "adam_beta2"):
            if not getattr(self, name) < 1:
                raise InputError(f"grpo: {name} is {getattr(self, name)}; it must be below 1")

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

    @property
    def micro_batch_sequences(self) -> int:
        """Rollouts in one forward pass: the largest divisor of an update within `micro_batch`."""
        size = min(self.micro_batch, self.update_sequences)
        while self.update_sequences % size:
            size -= 1
        return size


def echo_chamber_grpo(prompts: int = 7_424) -> Grpo:
    """The original paper's settings for real models (arXiv 2504.07912, appendix C).

    64 prompts x 8 a step, 64 sequences an update, learning rate 1e-6 with 3% warm-up and a cosine
    to 10%, temperature 0.7, KL coefficient 1e-3. GSM8K's 7,473 training problems are cut to a
    multiple of 64.
    """
    return Grpo(
        loss_type="grpo",
        scale_rewards="group",
        kl_coefficient=1e-3,
        learning_rate=1e-6,
        schedule="cosine_with_min_lr",
        warmup=0.03,
        adam_beta2=0.95,
        prompts=prompts,
        epochs=10,
        temperature=0.7,
        completion_length=1024,
        sequences_per_update=64,
        precision="bfloat16",
        micro_batch=16,
        checkpoint_every=16,
    )
