"""The algorithms by name: what `--algorithm` takes, and the settings that each has."""

from typing import Literal

from formatlab.train.expert_iteration.settings import ExpertIteration
from formatlab.train.fine_tuning.settings import Dpo, Sft
from formatlab.train.on_policy.settings import Grpo, Ppo, Rloo

AlgorithmName = Literal[
    "grpo",
    "dr_grpo",
    "gspo",
    "reinforce",
    "ppo",
    "rloo",
    "expert_iteration",
    "sft",
    "dpo",
]
"""Every name; `dr_grpo`, `gspo` and `reinforce` are presets over the settings of GRPO."""

Algorithm = Grpo | Ppo | Rloo | ExpertIteration | Sft | Dpo
"""Settings of one stage of training."""

EXPLORING = (Grpo, Ppo)
"""Those that a bonus for exploration can be added to."""

SAMPLED = (Grpo, Ppo, Rloo, ExpertIteration)
"""Those that learn from rollouts that they reward."""
