"""The engine: what a run is computed with, which is not to change what it is meant to compute.

On-policy settings: what GRPO, PPO and RLOO have in common, under the field's names.
"""

import math
from dataclasses import dataclass
from importlib.util import find_spec
from typing import ClassVar, Literal

from formatlab.errors import InputError
from formatlab.train.settings import Schedule, StageSettings, largest_divisor


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What samples the rollouts of training.

    The lab's own sampler is the fastest for models of up to some hundred million parameters. A
    larger one is served by vLLM, through TRL's own switch. What shards a model over processes
    (DeepSpeed, FSDP) is configured where `accelerate launch` is told, and passes through untouched;
    there TRL's own generation samples.
    """

    vllm: Literal["off", "colocate", "server"] = "off"
    """vLLM in the training processes, or as a server of its own at `vllm_server`."""
    vllm_memory: float = 0.3
    """Share of the GPU's memory that a colocated vLLM may take."""
    vllm_server: str = "http://localhost:8000"
    """Address of the server."""

    def __post_init__(self) -> None:
        """Check the share."""
        if not 0 < self.vllm_memory < 1:
            raise InputError(f"engine: vllm_memory is {self.vllm_memory}; between 0 and 1")

    def check_installed(self) -> None:
        """Check that what is asked for is there.

        Raises:
            InputError: vLLM is not installed.
        """
        if self.vllm != "off" and find_spec("vllm") is None:
            raise InputError(
                f"engine: vllm is {self.vllm!r}, and vLLM is not installed; install the extra "
                "trl[vllm] on a machine with a GPU, or leave --engine.vllm off"
            )


@dataclass(frozen=True, kw_only=True)
class OnPolicy(StageSettings):
    """Settings of a run that learns from its own newest rollouts.

    A step is one batch of rollouts: `prompts_per_step` prompts, `group_size` completions each. The
    defaults are those of the small ladder.
    """

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

    def __post_init__(self) -> None:
        """Check that counts fit one another."""
        super().__post_init__()
        if self.group_size < 2:
            self._refuse(
                "group_size",
                "TRL's batches are made of groups of completions of one prompt, so at least 2 are "
                "needed",
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
        for name in ("kl_coefficient", "entropy_coefficient", "clip_epsilon"):
            if not 0 <= getattr(self, name) < math.inf:
                self._refuse(name, "it must be 0 or more")

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
        return largest_divisor(share, self.micro_batch)
