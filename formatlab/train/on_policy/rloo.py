"""RLOO: its settings, under the field's names."""

from dataclasses import dataclass
from typing import ClassVar

from formatlab.errors import InputError
from formatlab.train.on_policy.settings import OnPolicy


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
