"""GRPO: its settings, under the field's names, and its presets."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from formatlab.errors import InputError
from formatlab.train.on_policy.settings import OnPolicy

LossType = Literal["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"]


@dataclass(frozen=True, kw_only=True)
class Grpo(OnPolicy):
    """Settings of a GRPO run (Shao et al. 2024, arXiv:2402.03300). The default is Dr. GRPO."""

    name: ClassVar[str] = "grpo"

    loss_type: LossType = "dr_grpo"
    """How token losses are averaged, by TRL's name."""
    scale_rewards: Literal["group", "batch", "none"] = "none"
    """Whose standard deviation the advantage is divided by, if any."""
    ratio: Literal["token", "sequence"] = "token"
    """What the probability ratio is taken of: each token, or the sequence (mean over its tokens).
    """
    clip_epsilon_high: float | None = None
    """Range of the ratio above 1; None: as below."""

    def __post_init__(self) -> None:
        """Check what is GRPO's own."""
        super().__post_init__()
        if self.clip_epsilon_high is not None and self.clip_epsilon_high < self.clip_epsilon:
            raise InputError(
                f"{self.name}: clip_epsilon_high is {self.clip_epsilon_high}; it cannot be below "
                f"clip_epsilon, which is {self.clip_epsilon}"
            )


def dr_grpo(settings: Grpo) -> Grpo:
    """Dr. GRPO (Liu et al. 2025, arXiv:2503.20783): neither lengths nor spreads are divided by."""
    return replace(settings, loss_type="dr_grpo", scale_rewards="none", ratio="token")


def gspo(settings: Grpo) -> Grpo:
    """GSPO (Zheng et al. 2025, arXiv:2507.18071): the ratio of whole sequences, in four updates.

    Clipped at 3e-4 below and 4e-4 above 1, as in the paper's section 5.1.

    Raises:
        InputError: a step whose rollouts cannot be divided by four.
    """
    if settings.rollouts_per_step % 4:
        raise InputError(
            f"gspo: a step has {settings.rollouts_per_step} rollouts, which four updates cannot "
            "share equally; change prompts_per_step or group_size"
        )
    return replace(
        settings,
        loss_type="grpo",
        scale_rewards="group",
        ratio="sequence",
        clip_epsilon=3e-4,
        clip_epsilon_high=4e-4,
        sequences_per_update=settings.rollouts_per_step // 4,
    )


def reinforce(settings: Grpo) -> Grpo:
    """REINFORCE with the mean of the group as its baseline.

    One update from each batch of rollouts: the probability ratio is 1, so nothing is clipped, and
    the gradient is that of the mean log-probability of tokens weighted by (reward - mean).
    """
    return replace(
        settings,
        loss_type="dapo",
        scale_rewards="none",
        ratio="token",
        iterations=1,
        sequences_per_update=None,
    )


PRESETS: dict[str, Callable[[Grpo], Grpo]] = {
    "dr_grpo": dr_grpo,
    "gspo": gspo,
    "reinforce": reinforce,
}
"""What `--algorithm` calls them; each changes what defines it and keeps the other settings."""


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
