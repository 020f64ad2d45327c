"""The study that is broken on purpose: small, with every kind of stage in it."""

from typing import Any

from formatlab.train.expert_iteration.settings import ExpertIteration
from formatlab.train.fine_tuning.settings import Dpo, Sft
from formatlab.train.on_policy.settings import Grpo, Ppo, Rloo
from formatlab.train.pretraining.base import Pretraining
from formatlab.train.probe import Probe
from formatlab.world.mixture import Mixture
from formatlab.world.world import World
from tests.faults.adapted_study import AdaptedStudy
from tests.faults.planted_faults import plant

plant()


STEPS: dict[str, Any] = {"learning_rate": 1e-3, "completion_length": 24, "checkpoint_every": 1}
SAMPLED: dict[str, Any] = {**STEPS, "prompts": 8, "prompts_per_step": 4, "group_size": 4}
EXAMPLES: dict[str, Any] = {**STEPS, "prompts": 12, "samples": 8, "examples": 8}

GRPO = Grpo(**SAMPLED, epochs=2)
SFT = Sft(**EXAMPLES, source="documents", batch=4)

STUDY = AdaptedStudy(
    name="small",
    world=World(
        mixture=Mixture(name="two", shares={"direct": 0.5, "tool_tags": 0.5}),
        families=("chain",),
        max_steps=1,
        largest=5,
    ),
    scales=("0.04M",),
    pretraining=Pretraining(tokens=400_000, vocabulary=300, checkpoint_every=20),
    chains=(
        (GRPO,),
        (Ppo(**SAMPLED, iterations=2),),
        (Rloo(**SAMPLED, epochs=2),),
        (ExpertIteration(**SAMPLED, rounds=2, sft_batch=4),),
        (SFT, GRPO),
        (Dpo(**EXAMPLES, toward="tool_tags", chosen="documents", batch=4),),
        (SFT, GRPO),
    ),
    probe=Probe(prompts=8, samples=2, fractions=(0.5,)),
)
PRESETS = {"small": STUDY}
