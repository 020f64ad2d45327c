"""The algorithms by name: what `--algorithm` takes, and the settings that each has."""

from typing import Literal

from formatlab.train.dpo import Dpo
from formatlab.train.expert_iteration import ExpertIteration
from formatlab.train.grpo import Grpo
from formatlab.train.ppo import Ppo
from formatlab.train.rloo import Rloo
from formatlab.train.sft import Sft

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
