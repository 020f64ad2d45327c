"""Does scale itself decide which kind of format wins, or only what the base has learned?

In `scale_attractors` the two go together: of one pretraining budget the larger base calculates
better, and ends in a worked format. Here bases of four scales are pretrained on four times as many
tokens, and five intermediate ones are kept of each. So the smallest scale is trained until it
calculates as well as the largest, and the largest starts RL from where the smallest was for most of
its pretraining: accuracies are matched across scales, and differ within one. Tokens and fractions
were chosen on the accuracies of bases of seed 0, before any RL.

Hypothesis: competence decides. At matched accuracies, runs of different scales end in the same kind
of format (executed or worked) as often as runs of one scale do; and runs of one scale end in
different kinds where their bases lie on different sides of equal accuracy of both kinds.

Endpoint, fixed before the runs: the kind of the format that leads at the last epoch's probe.
`formatlab competence` regresses it (logistic) on log parameters, on the base's gap in accuracy
(worked less executed) and share of worked formats, and on all three, with 95% intervals over
pretrainings; and it counts how often pairs of runs whose accuracies differ by at most 10 points in
every format end in the same kind, within scales and across. Second, for the size of the effect: the
share of worked formats at the end (linear); there the learning rate of RL, which falls with the
width, may slow larger models down.

Refuted if the interval of log parameters excludes 0 beside the base's gap and share, or if matched
pairs of different scales end in the same kind less often than matched pairs of one scale, with
intervals that do not overlap. If the intervals of log parameters and of the gap both include 0
beside one another, the runs do not part the two.
"""

from dataclasses import replace

from formatlab.study.study import LadderStudy
from formatlab.train.on_policy.settings import Grpo
from formatlab.train.pretraining.base import Pretraining
from formatlab.world.four_formats import FOUR_FORMATS

STUDY = LadderStudy(
    name="competence",
    world=FOUR_FORMATS,
    scales=("0.04M", "0.08M", "0.13M", "0.27M"),
    seeds=(0, 1, 2),
    pretraining=Pretraining(tokens=12_000_000, kept=(0.1, 0.2, 0.35, 0.6, 0.75)),
    grpo=Grpo(),
)

PRESETS = {
    "cpu": STUDY,
    "demo": replace(STUDY, scales=("0.04M", "0.27M"), seeds=(0,)),
    "gpu": replace(
        STUDY,
        scales=("0.04M", "0.13M", "0.46M", "1.9M", "4.1M"),
        seeds=(0, 1, 2, 3, 4),
        pretraining=Pretraining(tokens=50_000_000, kept=(0.02, 0.05, 0.1, 0.2, 0.5)),
    ),
}
