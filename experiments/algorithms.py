"""Does the algorithm decide which format survives, or only how fast?

GRPO, PPO, RLOO and expert iteration train the same bases, with the same seeds, on the same number
of rollouts (1,024 prompts x 8 completions x 2 epochs), paid for correctness alone. GRPO and RLOO
make one update from each batch of rollouts, PPO four passes with a value head, expert iteration
fine-tunes the base on what was right in each of two rounds.

Hypothesis: the policy-gradient algorithms (GRPO, PPO, RLOO) end in the same format at each scale,
an executed one at 0.04M and prose at 0.13M, because what they amplify is the same difference in
accuracy; PPO is the fastest per rollout, for it learns four times from each. Expert iteration only
shifts the shares: each round starts from the base again, and imitates what was right in proportion
to how often it was (the original work saw the same, arXiv 2504.07912, figure 20).

Endpoints, fixed before the runs: the winner at the last epoch's probe of each scale, seed and
algorithm; whether and at which step the training rollouts collapsed; accuracy at the last probe.
The hypothesis fails if GRPO, PPO and RLOO differ in the format that wins most seeds of a scale, or
if expert iteration collapses as often as they do.
"""

from dataclasses import replace

from formatlab.study.study import LadderStudy
from formatlab.study.sweep import Sweep
from formatlab.train.pretraining.base import Pretraining
from formatlab.world.four_formats import FOUR_FORMATS

CPU = LadderStudy(
    name="algorithms",
    world=FOUR_FORMATS,
    scales=("0.04M", "0.13M"),
    seeds=(0, 1, 2),
    pretraining=Pretraining(tokens=3_000_000),
    sweep=Sweep(algorithm=("grpo", "ppo", "rloo", "expert_iteration")),
)

PRESETS = {
    "cpu": CPU,
    "demo": replace(CPU, scales=("0.04M",), seeds=(0,)),
    "gpu": replace(
        CPU,
        scales=("0.13M", "0.46M", "1.9M", "4.1M"),
        pretraining=Pretraining(tokens=50_000_000),
    ),
}
