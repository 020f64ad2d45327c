"""Does the way in which the reward reads answers decide which format wins?

A strict reward pays an answer that is stated in the way of a format; a flexible one also takes the
last number that sentences commit to. Of a well-trained base both pay nearly the same, since every
document of the world states its answer. An undertrained base may end its sentences otherwise ("that
is 18 in all" for "The answer is 18."): a strict reward then refuses prose more often than programs,
whose answer is the value that they return, and a verifier that errs by format decides the winner.

Hypotheses. At 1 million pretraining tokens the share of `prose` at the last probe is higher under
the flexible reading than under the strict one, and the accuracy of prose by the strict reading
lower: nothing pays for stating the answer. At 3 million tokens the winners agree in every seed.

Endpoints, fixed before the runs: the winner and the share of `prose` at the last probe, by reading
and seed; the strict accuracy of prose there; and the share of the base's probe rollouts that are
right by the flexible reading alone (`flexible_correct` and not `correct`), by format.
"""

from dataclasses import replace

from formatlab.study.study import LadderStudy
from formatlab.study.sweep import Sweep
from formatlab.train.pretraining.base import Pretraining
from formatlab.world.four_formats import FOUR_FORMATS

CPU = LadderStudy(
    name="reward_reading",
    world=FOUR_FORMATS,
    scales=("0.04M",),
    seeds=(0, 1, 2),
    pretraining=Pretraining(tokens=1_000_000),
    sweep=Sweep(reading=("strict", "flexible")),
)

PRESETS = {
    "cpu": CPU,
    "demo": replace(CPU, seeds=(0,), grpo=replace(CPU.grpo, prompts=256, epochs=1)),
    "trained": replace(
        CPU, name="reward_reading_trained", pretraining=Pretraining(tokens=3_000_000)
    ),
    "gpu": replace(
        CPU, scales=("0.13M", "0.46M", "1.9M"), pretraining=Pretraining(tokens=10_000_000)
    ),
}
