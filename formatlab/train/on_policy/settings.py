"""On-policy algorithms: the settings of GRPO, PPO and RLOO, under the field's names."""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from formatlab.errors import InputError
from formatlab.train.stage import RolloutSettings, Schedule, StageInputs, largest_divisor

if TYPE_CHECKING:
    from formatlab.train.on_policy.rollout_trainer import RolloutTrainer


@dataclass(frozen=True, kw_only=True)
class OnPolicy(RolloutSettings):
    """Settings of a run that learns from its own newest rollouts.

    The defaults are those of the small ladder.
    """

    version: ClassVar[int] = 3
    distributed: ClassVar[bool] = True
    counts: ClassVar[tuple[str, ...]] = ("prompts_per_step", "epochs", "iterations")

    schedule: Schedule = "constant"
    """Course of the learning rate after warm-up, by transformers' name."""
    kl_coefficient: float = 0.0
    """Weight of the KL divergence to the base (beta); the KL itself is logged in any case."""
    entropy_coefficient: float = 0.0
    """Weight of the bonus for entropy, the mean a token in nats, in the loss."""
    prompts_per_step: int = 64
    """Different prompts in one step."""
    group_size: int = 8
    """Completions of each prompt, compared with one another."""
    epochs: int = 2
    """Passes over the prompts."""
    iterations: int = 1
    """Times each batch of rollouts is learned from (mu)."""
    sequences_per_update: int | None = None
    """Rollouts in one optimiser update; None: all rollouts of the step."""
    clip_epsilon: float = 0.2
    """Range of the probability ratio, on both sides of 1."""
    optimiser: Literal["adamw", "sgd"] = "adamw"
    """What makes updates of gradients; sgd has no momentum and needs a learning rate."""

    def __post_init__(self) -> None:
        """Check that counts fit one another."""
        super().__post_init__()
        if self.optimiser == "sgd" and self.learning_rate is None:
            self._refuse("optimiser", "the ladder's learning rates are AdamW's, so give one")
        if self.group_size < 2:
            self._refuse(
                "group_size",
                "TRL's batches are made of groups of completions of one prompt, so at least 2 are "
                "needed",
            )
        if self.update_sequences < 1 or self.rollouts_per_step % self.update_sequences:
            raise InputError(
                f"{self.name}: sequences_per_update is {self.update_sequences}; it must divide the "
                f"{self.rollouts_per_step} rollouts of a step"
            )
        for name in ("kl_coefficient", "entropy_coefficient", "clip_epsilon"):
            if not 0 <= getattr(self, name) < math.inf:
                self._refuse(name, "it must be 0 or more")

    @property
    def config(self) -> dict[str, Any]:
        """See `StageSettings.config`; AdamW is left out, as in runs older than the choice."""
        return {k: v for k, v in super().config.items() if (k, v) != ("optimiser", "adamw")}

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
        return largest_divisor(share, self.micro_batch)

    @property
    @abstractmethod
    def trl_options(self) -> dict[str, Any]:
        """The algorithm's own options, by TRL's names; see `on_policy_arguments`."""

    @abstractmethod
    def trainer(self) -> "type[RolloutTrainer]":
        """The class that trains it; imported here, since importing TRL takes seconds."""

    def _train(self, inputs: StageInputs) -> None:
        from formatlab.train.on_policy.run import run_on_policy

        run_on_policy(self, inputs)


LossType = Literal["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"]


@dataclass(frozen=True, kw_only=True)
class Grpo(OnPolicy):
    """Settings of a GRPO run (Shao et al. 2024, arXiv:2402.03300). The default is Dr. GRPO."""

    name: ClassVar[str] = "grpo"
    explores: ClassVar[bool] = True

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

    @property
    def trl_options(self) -> dict[str, Any]:
        """Averaging, scaling, ratio and entropy, by TRL's names."""
        return {
            "loss_type": self.loss_type,
            "scale_rewards": self.scale_rewards,
            "importance_sampling_level": self.ratio,
            "epsilon_high": self.clip_epsilon_high,
            "entropy_coef": self.entropy_coefficient,
        }

    def trainer(self) -> "type[RolloutTrainer]":
        """TRL's GRPO trainer, with the lab's sampler and records."""
        from formatlab.train.on_policy.grpo_trainer import LabGrpoTrainer

        return LabGrpoTrainer


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


GRPO_PRESETS: dict[str, Callable[[Grpo], Grpo]] = {
    "dr_grpo": dr_grpo,
    "gspo": gspo,
    "reinforce": reinforce,
}
"""What `--algorithm` calls them; each changes what defines it and keeps the other settings."""


_ECHO_CHAMBER: dict[str, Any] = {
    "kl_coefficient": 1e-3,
    "learning_rate": 1e-6,
    "schedule": "cosine_with_min_lr",
    "warmup": 0.03,
    "adam_beta2": 0.95,
    "epochs": 10,
    "temperature": 0.7,
    "completion_length": 1024,
    "sequences_per_update": 64,
    "precision": "bfloat16",
    "micro_batch": 16,
    "checkpoint_every": 16,
}
"""What the original paper's GRPO and PPO have in common."""


def echo_chamber_grpo(prompts: int = 7_424) -> Grpo:
    """The original paper's settings for real models (arXiv 2504.07912, appendix C).

    64 prompts x 8 a step, 64 sequences an update, learning rate 1e-6 with 3% warm-up and a cosine
    to 10%, temperature 0.7, KL coefficient 1e-3. GSM8K's 7,473 training problems are cut to a
    multiple of 64.
    """
    return Grpo(**_ECHO_CHAMBER, loss_type="grpo", scale_rewards="group", prompts=prompts)


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
    explores: ClassVar[bool] = True

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

    @property
    def trl_options(self) -> dict[str, Any]:
        """GRPO's loss as PPO's; the KL is in the reward, so the loss has none."""
        return {
            "beta": 0.0,
            "loss_type": "dapo",
            "scale_rewards": "none",
            "entropy_coef": self.entropy_coefficient,
        }

    def trainer(self) -> "type[RolloutTrainer]":
        """TRL's GRPO trainer with a critic."""
        from formatlab.train.on_policy.ppo_trainer import LabPpoTrainer

        return LabPpoTrainer


def echo_chamber_ppo(prompts: int = 7_424) -> Ppo:
    """The original paper's settings for real models (arXiv 2504.07912, appendix C).

    As `echo_chamber_grpo`, and: one pass over a batch, epsilon and value clip 0.2, lambda 0.95,
    gamma 1, a critic of its own with learning rate 7e-6, KL coefficient 1e-3 in the reward. Its
    critic has an optimiser of its own, so the weight of the value loss is 1.
    """
    return Ppo(
        **_ECHO_CHAMBER,
        prompts=prompts,
        iterations=1,
        clip_epsilon=0.2,
        gae_lambda=0.95,
        discount=1.0,
        critic="model",
        critic_learning_rate=7e-6,
        value_clip=0.2,
        value_coefficient=1.0,
    )


@dataclass(frozen=True, kw_only=True)
class Rloo(OnPolicy):
    """Settings of a run of REINFORCE leave-one-out (Ahmadian et al. 2024, arXiv:2402.14740).

    The baseline of a completion is the mean reward of the others of its group; the divergence from
    the base, times `kl_coefficient`, is taken off the reward; the ratio is that of sequences.
    """

    name: ClassVar[str] = "rloo"

    normalise_advantages: bool = False
    """Whether advantages are brought to mean 0 and standard deviation 1 over a step."""

    def __post_init__(self) -> None:
        """Check what is RLOO's own."""
        super().__post_init__()
        if self.entropy_coefficient:
            raise InputError(
                f"{self.name}: TRL's RLOO has no bonus for entropy; leave entropy_coefficient at "
                "0, or take grpo or ppo"
            )

    @property
    def trl_options(self) -> dict[str, Any]:
        """The scaling of advantages, by TRL's name."""
        return {"normalize_advantages": self.normalise_advantages}

    def trainer(self) -> "type[RolloutTrainer]":
        """TRL's RLOO trainer, with the lab's sampler and records."""
        from formatlab.train.on_policy.rloo_trainer import LabRlooTrainer

        return LabRlooTrainer


OnPolicyName = Literal["grpo", "dr_grpo", "gspo", "reinforce", "ppo", "rloo"]
"""What `--algorithm` takes of these: every name, and those of `GRPO_PRESETS`."""


@dataclass(frozen=True, kw_only=True)
class OnPolicyAlgorithms:
    """The on-policy algorithms of a study, each under its name."""

    grpo: Grpo = field(default_factory=Grpo)
    """Group relative policy optimisation."""
    ppo: Ppo = field(default_factory=Ppo)
    """Proximal policy optimisation with a critic."""
    rloo: Rloo = field(default_factory=Rloo)
    """REINFORCE leave-one-out."""
