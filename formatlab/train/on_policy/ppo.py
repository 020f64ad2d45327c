"""PPO: its settings, under the field's names, and the original paper's."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from formatlab.errors import InputError
from formatlab.train.on_policy.settings import OnPolicy


@dataclass(frozen=True, kw_only=True)
class Ppo(OnPolicy):
    """Settings of a PPO run (Schulman et al. 2017, arXiv:1707.06347), one token an action.

    A token's reward is the completion's, on its last token, less `kl_coefficient` times the token's
    log-probability under the policy over that under the base (k1). Every update's loss is a mean
    over its tokens, not over its completions: a critic gives each token an advantage of its own, so
    tokens are the samples, and weighing each completion the same would weigh the tokens of short
    ones more. Groups are not compared; `group_size` only says how many completions a prompt gets.
    """

    name: ClassVar[str] = "ppo"

    iterations: int = 4
    """Times each batch of rollouts is learned from; the clipped losses are made for several."""
    gae_lambda: float = 0.95
    """Of generalised advantage estimation; 1: whole returns, 0: one-step errors of the critic."""
    discount: float = 1.0
    """Worth of a reward one token later (gamma)."""
    whiten_advantages: bool = True
    """Whether advantages are brought to mean 0 and variance 1 over the tokens of a step."""
    critic: Literal["head", "model"] = "head"
    """A linear head on the policy's own trunk, or on a second copy of the base's trunk."""
    critic_learning_rate: float | None = None
    """Peak learning rate of the critic's own weights; None: the policy's."""
    value_clip: float = 0.2
    """How far a value may move from what it was when the rollouts were sampled."""
    value_coefficient: float = 0.5
    """Weight of the value loss (half a squared error) beside the policy loss.

    With a head it decides how much of the trunk serves the critic. Rewards are 0 or 1, so squared
    errors stay near their variance, at most 1/4, while whitened advantages have variance 1: at 0.5
    (Huang et al. 2022, "The 37 Implementation Details of PPO") the critic cannot outweigh the
    policy. A separate critic shares no weights, and Adam divides its scale out again.
    """

    def __post_init__(self) -> None:
        """Check what is PPO's own."""
        super().__post_init__()
        for name in ("gae_lambda", "discount"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(
                    f"{self.name}: {name} is {getattr(self, name)}; it must be between 0 and 1"
                )
        for name in ("critic_learning_rate", "value_clip", "value_coefficient"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InputError(f"{self.name}: {name} is {value}; it must be positive")


def echo_chamber_ppo(prompts: int = 7_424) -> Ppo:
    """The original paper's settings for real models (arXiv 2504.07912, appendix C).

    As `echo_chamber_grpo`, and: one pass over a batch, epsilon and value clip 0.2, lambda 0.95,
    gamma 1, a critic of its own with learning rate 7e-6, KL coefficient 1e-3 in the reward. Its
    critic has an optimiser of its own, so the weight of the value loss is 1.
    """
    return Ppo(
        kl_coefficient=1e-3,
        learning_rate=1e-6,
        schedule="cosine_with_min_lr",
        warmup=0.03,
        adam_beta2=0.95,
        prompts=prompts,
        epochs=10,
        temperature=0.7,
        completion_length=1024,
        iterations=1,
        sequences_per_update=64,
        clip_epsilon=0.2,
        gae_lambda=0.95,
        discount=1.0,
        critic="model",
        critic_learning_rate=7e-6,
        value_clip=0.2,
        value_coefficient=1.0,
        precision="bfloat16",
        micro_batch=16,
        checkpoint_every=16,
    )
