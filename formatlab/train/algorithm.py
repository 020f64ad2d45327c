"""The algorithms of a study: the settings of each under its name, and what `--algorithm` takes."""

from dataclasses import dataclass, field
from typing import Literal

from formatlab.train.expert_iteration.settings import ExpertIteration
from formatlab.train.fine_tuning.settings import Dpo, Sft
from formatlab.train.on_policy.settings import OnPolicyAlgorithms, OnPolicyName

AlgorithmName = Literal[OnPolicyName, "expert_iteration", "sft", "dpo"]


@dataclass(frozen=True, kw_only=True)
class Algorithms(OnPolicyAlgorithms):
    """The algorithms of a study, each under its name."""

    expert_iteration: ExpertIteration = field(default_factory=ExpertIteration)
    """Rounds of sampling and fine-tuning on what was right."""
    sft: Sft = field(default_factory=Sft)
    """Supervised fine-tuning."""
    dpo: Dpo = field(default_factory=Dpo)
    """Direct preference optimisation."""
