"""What do shares do when the reward says nothing about correctness?

The control arms of every claim about collapse. `correctness` is the reference; `random` pays as
many rollouts of a batch as are right, drawn by lot; `none` pays nothing, so that there is no
gradient and nothing may move; `inverted` pays what is wrong. The preset `biased` pays correctness
with a verifier that also accepts three wrong programs in ten: the arm in which the grader decides
the winner.

Hypotheses. none: the policy does not change at all; what differs between its probes is zero, since
they draw with the same seeds. random: shares drift, in another direction with each seed, and by
less than under correctness; accuracy does not rise. inverted: accuracy falls towards 0, and the
format that is wrong most often, or text of no format, takes over. biased: `program` wins at 0.13M,
where prose wins under correctness, because an error rate of 0.3 on wrong answers outweighs the
difference in accuracy.

Endpoints, fixed before the runs: total variation distance between the shares of the base's probe
and of the last one, with its floor under a permutation; accuracy at the last probe; and the winner.
No arm without signal (random, none) may be called a collapse by correctness, whatever its shares
do.
"""

from dataclasses import replace

from formatlab.study.study import LadderStudy
from formatlab.study.sweep import Sweep
from formatlab.train.pretraining.base import Pretraining
from formatlab.train.reward import Reward
from formatlab.world.four_formats import FOUR_FORMATS

CPU = LadderStudy(
    name="controls",
    world=FOUR_FORMATS,
    scales=("0.04M", "0.13M"),
    seeds=(0, 1, 2),
    pretraining=Pretraining(tokens=3_000_000),
    sweep=Sweep(reward=("correctness", "random", "none", "inverted")),
)

PRESETS = {
    "cpu": CPU,
    "demo": replace(CPU, scales=("0.04M",), seeds=(0,)),
    "gpu": replace(
        CPU,
        scales=("0.13M", "0.46M", "1.9M", "4.1M"),
        pretraining=Pretraining(tokens=50_000_000),
    ),
    "biased": replace(
        CPU,
        name="controls_biased",
        reward=Reward(false_positives={"program": 0.3}),
        sweep=Sweep(),
    ),
}
