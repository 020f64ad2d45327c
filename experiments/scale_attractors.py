"""Does the format that wins under correctness-only RL depend on scale?

Hypothesis: yes. In this world the interpreter does the arithmetic of `program` and `tool_tags`, so
a model too small to calculate is right more often with them; but their documents misread every
multiplication (the phrases `times` and `fold`) the same way, which holds their accuracy down at
every scale. A model that has learned to calculate is right more often in `latex` and `prose`. RL
that rewards correctness alone should therefore drive small models to an executed format and larger
ones to a worked one, though all scales were pretrained on the same documents.

Endpoint, fixed before the runs: the winner at the last epoch's probe of each scale and seed. The
hypothesis fails if the winners of the smallest and the largest scale are of the same kind, executed
or worked, over seeds.
"""

from dataclasses import replace

from formatlab.study.study import LadderStudy
from formatlab.train.on_policy.settings import Grpo
from formatlab.train.pretraining.base import Pretraining
from formatlab.world.four_formats import FOUR_FORMATS

DEMO = LadderStudy(
    name="scale_attractors",
    world=FOUR_FORMATS,
    scales=("0.04M", "0.13M"),
    pretraining=Pretraining(tokens=3_000_000),
    grpo=Grpo(),
)

PRESETS = {
    "demo": DEMO,
    "cpu": replace(DEMO, scales=("0.04M", "0.08M", "0.13M", "0.27M"), seeds=(0, 1, 2, 3, 4)),
    "gpu": replace(
        DEMO,
        scales=("0.13M", "0.46M", "1.9M", "4.1M", "12M"),
        seeds=(0, 1, 2, 3, 4),
        pretraining=Pretraining(tokens=50_000_000),
        grpo=Grpo(epochs=5),
    ),
}
