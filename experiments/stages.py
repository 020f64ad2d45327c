"""Does what happens between pretraining and RL decide which format RL ends in?

Chains of stages from the same bases: RL alone; SFT on documents of one format (prose, then
program), on all four in equal numbers, or on the base's own right answers, each then followed by
RL; DPO toward prose, SFT on the chosen halves of the same pairs (its control), and SFT, DPO and RL
in a row. Every stage is a run with probes of its own, so that each table row says what that stage
did.

Hypotheses. SFT on one format brings its share above .95, whatever the scale, and RL does not bring
back a format that is almost gone: the winner after SFT on one format and RL is that format, also
where RL alone ends in another (program at 0.13M, prose at 0.04M). SFT on four formats or on the
base's own answers leaves the winner of RL alone in place. DPO toward prose raises the share of
prose more than its control, at a lower likelihood of the chosen text.

Endpoints, fixed before the runs: the winner and the share of its format at the last probe of each
chain, and the number of seeds in which a chain's winner equals that of RL alone.
"""

from dataclasses import replace

from formatlab.study.study import LadderStudy
from formatlab.train.fine_tuning.settings import Dpo, Sft
from formatlab.train.on_policy.settings import Grpo
from formatlab.train.pretraining.base import Pretraining
from formatlab.world.four_formats import FOUR_FORMATS

RL = Grpo()
PROSE = Sft(formats=("prose",))
PROGRAM = Sft(formats=("program",), faithful=False)
FOUR = Sft(formats=("program", "tool_tags", "latex", "prose"), faithful=False)
OWN = Sft(source="rollouts")
DPO = Dpo(toward="prose")

CPU = LadderStudy(
    name="stages",
    world=FOUR_FORMATS,
    scales=("0.04M", "0.13M"),
    seeds=(0, 1, 2),
    pretraining=Pretraining(tokens=3_000_000),
    chains=(
        (RL,),
        (PROSE, RL),
        (PROGRAM, RL),
        (FOUR, RL),
        (OWN, RL),
        (DPO,),
        (DPO.control,),
        (PROSE, DPO, RL),
    ),
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
