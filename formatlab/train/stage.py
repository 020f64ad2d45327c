"""A stage of training: the settings that all algorithms share, and what a stage is given."""

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from formatlab.errors import InputError
from formatlab.models.lora import LoraSettings
from formatlab.store.run_folder import RunFolder
from formatlab.train.metrics import StepReport
from formatlab.train.on_policy.engine import Engine
from formatlab.train.on_policy.exploration import Exploration
from formatlab.train.probe import Probe
from formatlab.train.reward import Reward
from formatlab.world.added_formats import is_added, source_digest
from formatlab.world.prompt import Prompt
from formatlab.world.world import World

Schedule = Literal["constant", "linear", "cosine", "cosine_with_min_lr"]


@dataclass(frozen=True, kw_only=True)
class StageInputs:
    """What a stage is given beside its settings."""

    folder: RunFolder
    """Where it records everything and leaves its policy."""
    model: Path
    """A transformers folder, the starting model; KL is measured against it."""
    prompts: Sequence[Prompt]
    """Training prompts, as many as the settings ask for."""
    probe: Probe
    """How the policy is observed."""
    probe_prompts: Sequence[Prompt]
    """What it is observed on."""
    seed: int
    """Decides the order of prompts or examples, and all training samples."""
    report: StepReport
    """Told about every step."""
    lora: LoraSettings | None = None
    """The adapter to train; None for all weights."""
    reward: Reward = field(default_factory=Reward)
    """What rollouts are paid for, where the stage rewards them."""
    exploration: Exploration = field(default_factory=Exploration)
    """What is added to advantages, where the stage explores."""
    engine: Engine = field(default_factory=Engine)
    """What samples training rollouts."""
    world: World | None = None
    """What renders documents; None for real models."""
    before_first_step: Callable[[RunFolder], None] = lambda folder: None
    """Called by RL from rollouts once the starting policy is observed, and again on resuming."""


@dataclass(frozen=True, kw_only=True)
class StageSettings(ABC):
    """The settings of one algorithm, and what else the lab has to know of it."""

    name: ClassVar[str]
    """What `--algorithm`, folders and tables call it."""
    version: ClassVar[int] = 1
    """Raised when the code that trains by these settings makes other updates."""
    rewarded: ClassVar[bool] = False
    """Whether it learns from rollouts that it rewards."""
    explores: ClassVar[bool] = False
    """Whether a bonus for exploration can be added to its advantages."""
    distributed: ClassVar[bool] = False
    """Whether several processes can train it together."""
    counts: ClassVar[tuple[str, ...]] = ()
    """Fields of its own that are at least 1."""

    learning_rate: float | None = None
    """Peak learning rate; None: the one that follows from the scale of the ladder."""
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
    @abstractmethod
    def steps(self) -> int:
        """Steps of the whole stage.

        An upper bound if the number of examples is not known beforehand.
        """

    @property
    def words(self) -> str:
        """What tells this stage from others of its algorithm in tables; often nothing."""
        return ""

    @property
    def config(self) -> dict[str, Any]:
        """Everything that decides the result, ready for JSON."""
        return {k: v for k, v in asdict(self).items() if k != "checkpoint_every"}

    @property
    def rules(self) -> dict[str, Any]:
        """What decides the result and is no setting, ready for JSON."""
        return {"algorithm": self.version}

    @property
    def option(self) -> str:
        """Prefix of its options on the command line, such as `--expert-iteration`."""
        return f"--{self.name.replace('_', '-')}"

    def run(self, inputs: StageInputs) -> None:
        """Train the stage, or resume it, and leave the policy in the folder's `policy/`.

        Raises:
            InputError: no learning rate, too many processes, or inputs that do not fit.
            RunError: training cannot continue; the message says why.
        """
        if self.learning_rate is None:
            raise InputError(
                f"{self.name}: learning_rate is not set; give {self.option}.learning-rate"
            )
        processes = int(os.environ.get("WORLD_SIZE", "1"))  # accelerate launch and torchrun set it
        if processes > 1 and not self.distributed:
            raise InputError(
                f"{self.name}: {processes} processes were started, and this stage is trained by "
                "one; start it without `accelerate launch`, or with --num_processes 1"
            )
        self._train(inputs)

    @abstractmethod
    def _train(self, inputs: StageInputs) -> None:
        """Train; whatever is slow to import is imported here."""

    def _refuse(self, name: str, needed: str) -> None:
        raise InputError(f"{self.name}: {name} is {getattr(self, name)}; {needed}")


@dataclass(frozen=True, kw_only=True)
class RolloutSettings(StageSettings):
    """The settings of an algorithm that learns from rollouts which it samples step by step.

    A step is one batch of rollouts: `prompts_per_step` prompts, `group_size` completions each, so
    that equal steps are equal rollouts.
    """

    rewarded: ClassVar[bool] = True

    if TYPE_CHECKING:
        # Each algorithm has these fields, at their place among its options.
        prompts_per_step: int
        group_size: int

    def __post_init__(self) -> None:
        """Check that steps divide a pass over the prompts."""
        super().__post_init__()
        if self.prompts % self.prompts_per_step:
            raise InputError(
                f"{self.name}: prompts is {self.prompts}, not a multiple of prompts_per_step "
                f"({self.prompts_per_step}); the rest would never be sampled"
            )

    @property
    def rollouts_per_step(self) -> int:
        """Completions sampled in one step."""
        return self.prompts_per_step * self.group_size

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over the prompts."""
        return self.prompts // self.prompts_per_step


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a chain."""

    algorithm: str
    """What it is called: the settings' own name, or that of a preset over them."""
    settings: StageSettings

    @property
    def words(self) -> str:
        """What tables call it, in a chain."""
        return " ".join(filter(None, [self.algorithm, self.settings.words]))

    @property
    def config(self) -> dict[str, Any]:
        """Everything that decides the result, ready for JSON."""
        config = {"algorithm": self.algorithm, "settings": self.settings.config}
        kind = type(self.settings)
        if is_added(kind):
            config["source"] = source_digest(kind, what=f"algorithm {self.algorithm!r}")
        return config


def largest_divisor(number: int, limit: int) -> int:
    """The largest divisor of a number within a limit."""
    return next(n for n in range(min(limit, number), 0, -1) if number % n == 0)
