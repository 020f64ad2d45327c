"""Expert iteration: sample, keep the right answers, fine-tune on them, and again."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from formatlab.errors import InputError
from formatlab.train.on_policy import Schedule
from formatlab.train.sft import Sft


@dataclass(frozen=True, kw_only=True)
class ExpertIteration:
    """Settings of expert iteration (Anthony et al. 2017; here as in arXiv 2504.07912).

    A round samples every prompt once from the newest policy, keeps of each prompt the distinct
    completions that the reward paid, and fine-tunes on them. A step is, as in the other algorithms,
    one batch of rollouts: `prompts_per_step` prompts, `group_size` completions each, so that equal
    steps are equal rollouts. A round is an epoch.
    """

    name: ClassVar[str] = "expert_iteration"

    learning_rate: float | None = None
    """Peak learning rate of AdamW; None: the one that follows from the scale of the ladder."""
    schedule: Schedule = "linear"
    """Course of the learning rate in a round after warm-up, by transformers' name."""
    warmup: float = 0.1
    """Share of a round's updates over which the learning rate rises."""
    adam_beta2: float = 0.999
    """AdamW's second-moment decay."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient."""
    prompts: int = 1024
    """Different prompts in a round."""
    prompts_per_step: int = 64
    """Different prompts in one step."""
    group_size: int = 8
    """Completions of each prompt."""
    rounds: int = 2
    """Times of sampling and fine-tuning; each passes over the prompts once."""
    start: Literal["base", "last"] = "base"
    """What each round fine-tunes: the base, or the policy of the round before."""
    sft_epochs: int = 2
    """Passes over the kept completions in a round."""
    sft_batch: int = 16
    """Completions in one optimiser update."""
    temperature: float = 1.0
    """Sampling temperature of training rollouts."""
    completion_length: int = 64
    """Most tokens of a completion; longer ones are cut and count as truncated."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of forward and backward passes; weights are updated in float32 either way."""
    micro_batch: int = 512
    """Most rollouts in one forward pass; bounds memory."""
    checkpoint_every: int = 8
    """Steps, or updates of a round's fine-tuning, between checkpoints."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in (
            "prompts",
            "prompts_per_step",
            "group_size",
            "rounds",
            "sft_epochs",
            "sft_batch",
            "completion_length",
            "micro_batch",
            "checkpoint_every",
        ):
            if getattr(self, name) < 1:
                raise InputError(
                    f"{self.name}: {name} is {getattr(self, name)}; it must be at least 1"
                )
        if self.prompts % self.prompts_per_step:
            raise InputError(
                f"{self.name}: prompts is {self.prompts}, not a multiple of prompts_per_step "
                f"({self.prompts_per_step}); the rest would never be sampled"
            )
        for name in ("temperature", "gradient_clip"):
            if getattr(self, name) <= 0:
                raise InputError(
                    f"{self.name}: {name} is {getattr(self, name)}; it must be positive"
                )
        if (self.learning_rate or 0) < 0:
            raise InputError(
                f"{self.name}: learning_rate is {self.learning_rate}; it cannot be negative"
            )
        for name in ("warmup", "adam_beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{self.name}: {name} is {getattr(self, name)}; from 0 to below 1")

    @property
    def config(self) -> dict[str, Any]:
        """Everything that decides the result, ready for JSON."""
        return {k: v for k, v in asdict(self).items() if k != "checkpoint_every"}

    @property
    def epochs(self) -> int:
        """Passes over the prompts: the rounds."""
        return self.rounds

    @property
    def rollouts_per_step(self) -> int:
        """Completions sampled in one step."""
        return self.prompts_per_step * self.group_size

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one round."""
        return self.prompts // self.prompts_per_step

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.steps_per_epoch * self.rounds

    def fine_tuning(self, kept: int) -> Sft:
        """A round's fine-tuning on `kept` completions."""
        return Sft(
            source="rollouts",
            examples=max(kept, self.sft_batch),
            epochs=self.sft_epochs,
            batch=self.sft_batch,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            warmup=self.warmup,
            adam_beta2=self.adam_beta2,
            gradient_clip=self.gradient_clip,
            precision=self.precision,
            micro_batch=self.micro_batch,
            checkpoint_every=self.checkpoint_every,
            completion_length=self.completion_length,
        )


def echo_chamber_expert_iteration(prompts: int = 7_424) -> ExpertIteration:
    """The original paper's settings for its models of 150M parameters (arXiv 2504.07912).

    64 completions a prompt at temperature 1, the distinct right ones kept, two epochs at learning
    rate 1e-4 and batch 256 from the base in each of three rounds (two at 1B). The original samples
    with top-p 0.95; this lab's sampler draws from the whole distribution. GSM8K's 7,473 training
    problems are cut to a multiple of 64.
    """
    return ExpertIteration(
        learning_rate=1e-4,
        prompts=prompts,
        group_size=64,
        rounds=3,
        start="base",
        sft_epochs=2,
        sft_batch=256,
        temperature=1.0,
        completion_length=1024,
        precision="bfloat16",
        micro_batch=64,
        checkpoint_every=16,
    )
