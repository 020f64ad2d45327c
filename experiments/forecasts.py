"""Can the format that RL will end in be known from the base?

Runs in which share, accuracy, length and fidelity of the formats vary independently, to score
forecasts on. Eight mixtures: each of the four formats once with 55% of the documents (another one
then has 5%), equal shares, the reference shares, two formats only, and nine formats. Each in three
fidelities: no format misreads anything, the formats that write code misread every multiplication
(`-executed`), or those that write text do (`-worked`). GRPO for five epochs, so that every run
gives several horizons. The presets `groups` and `algorithms` train the same bases with other group
sizes, and with PPO and RLOO; `length` with a loss that is averaged over each completion, so that
long formats do not weigh more; `sgd` and `sgd_length` do without AdamW, under either loss; `large`
is for 1.9M. A part of each is chosen with --only.

Hypothesis: the format that wins is the one whose rollouts are paid more than the average, weighted
by how often it is sampled, p (a - mean a); argmax p alone and argmax a alone are wrong where the
most frequent format is not the most accurate.

Endpoint, fixed before the runs: the log score of a forecast at the last probe, of runs whose scale
or mixture it was not fitted on. A forecast is better than a rule if the difference, paired by run,
has a 95% interval over bases that excludes 0.

Where formats are equally right (`equal-*`), hypothesis before the runs of `sgd`: AdamW decides.
`formatlab response` finds how far the first update moves each format's share, from the gradient at
the base; scaled as AdamW scales it, `program` gains more than `tool_tags` in every world,
unscaled it does not, and gains less under the loss of `sgd_length`. So under SGD `tool_tags`, which
begins a little ahead, should lead at the end, in `sgd_length` above all. Refuted if `program` leads
under SGD as often as under AdamW.

Held out, declared before any of these runs was made: seed 2, and the mixture `mostly_latex` of all
seeds. No outcome of those is looked at while forecasts are made or fitted.
"""

from dataclasses import replace

from formatlab.study.study import LadderStudy
from formatlab.study.sweep import Sweep
from formatlab.train.on_policy.settings import Grpo, Ppo, Rloo
from formatlab.train.pretraining.base import Pretraining
from formatlab.world.four_formats import FOUR_FORMATS
from formatlab.world.mixture import Mixture

CODE = ("program", "script", "code_tags", "code_fenced", "tool_tags")
TEXT = ("latex", "prose", "json", "direct")

SHARES = {
    "mostly_program": {"program": 0.55, "tool_tags": 0.2, "latex": 0.2, "prose": 0.05},
    "mostly_tools": {"program": 0.2, "tool_tags": 0.55, "latex": 0.05, "prose": 0.2},
    "mostly_latex": {"program": 0.05, "tool_tags": 0.2, "latex": 0.55, "prose": 0.2},
    "mostly_prose": {"program": 0.2, "tool_tags": 0.05, "latex": 0.2, "prose": 0.55},
    "equal": dict.fromkeys(("program", "tool_tags", "latex", "prose"), 0.25),
    "four": FOUR_FORMATS.mixture.shares,
    "two": {"program": 0.35, "prose": 0.65},
    "nine": dict.fromkeys((*CODE, *TEXT), 1 / 9),
}
MISREADING = {"faithful": (), "executed": CODE, "worked": TEXT}

MIXTURES = tuple(
    Mixture(
        name=f"{name}-{fidelity}",
        shares=shares,
        mistranslates={form: ("times", "fold") for form in shares if form in misreading},
    )
    for name, shares in SHARES.items()
    for fidelity, misreading in MISREADING.items()
)

GRID = LadderStudy(
    name="forecasts",
    world=FOUR_FORMATS,
    scales=("0.04M", "0.13M", "0.46M"),
    seeds=(0, 1, 2),
    pretraining=Pretraining(tokens=3_000_000),
    grpo=Grpo(epochs=5),
    ppo=Ppo(epochs=5),
    rloo=Rloo(epochs=5),
    sweep=Sweep(mixture=MIXTURES),
)

PRESETS = {
    "cpu": GRID,
    "groups": replace(
        GRID,
        scales=("0.04M", "0.13M"),
        sweep=Sweep(mixture=MIXTURES, group_size=(4, 16)),
    ),
    "algorithms": replace(
        GRID,
        scales=("0.04M", "0.13M"),
        sweep=Sweep(mixture=MIXTURES, algorithm=("ppo", "rloo")),
    ),
    "length": replace(
        GRID,
        scales=("0.04M", "0.13M"),
        grpo=Grpo(epochs=5, loss_type="grpo"),
        sweep=Sweep(mixture=MIXTURES),
    ),
    "sgd": replace(
        GRID,
        scales=("0.04M", "0.13M"),
        grpo=Grpo(epochs=5, optimiser="sgd", learning_rate=1.0),
    ),
    "sgd_length": replace(
        GRID,
        scales=("0.04M", "0.13M"),
        grpo=Grpo(epochs=5, optimiser="sgd", learning_rate=0.3, loss_type="grpo"),
    ),
    "large": replace(GRID, scales=("1.9M",)),
    "demo": replace(
        GRID, scales=("0.04M",), seeds=(0,), grpo=Grpo(epochs=1), sweep=Sweep(mixture=MIXTURES[:2])
    ),
    "gpu": replace(
        GRID,
        scales=("0.13M", "0.46M", "1.9M", "4.1M"),
        pretraining=Pretraining(tokens=50_000_000),
    ),
}
