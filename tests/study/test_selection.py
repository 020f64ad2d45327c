from dataclasses import replace

import pytest

from formatlab.errors import InputError
from formatlab.study.selection import selected
from formatlab.study.study import LadderStudy
from formatlab.study.sweep import Sweep
from formatlab.train.fine_tuning.settings import Sft
from formatlab.train.on_policy.settings import Grpo
from formatlab.train.pretraining.base import Pretraining
from formatlab.world.four_formats import FOUR_FORMATS

STUDY = LadderStudy(
    name="grid",
    world=FOUR_FORMATS,
    scales=("0.04M", "0.08M"),
    seeds=(0, 1, 2),
    pretraining=Pretraining(tokens=1_000_000),
    sweep=Sweep(algorithm=("grpo", "ppo"), epochs=(1, 2)),
)
CHAINS = replace(
    STUDY,
    scales=("0.04M", "0.46M", "12M", "1.9M"),
    sweep=Sweep(),
    chains=((Grpo(),), (Sft(formats=("prose",)), Grpo()), (Sft(formats=("json",)), Grpo())),
)
WORLDS = replace(STUDY, sweep=Sweep(world_seed=(1, 2), temperature=(0.7, 1.0)))


@pytest.mark.parametrize(
    ("study", "only", "count"),
    [
        (STUDY, [], 24),
        (STUDY, [""], 24),
        (STUDY, ["scale=0.04M"], 12),
        (STUDY, ["scale=0.04M, seed=0"], 4),
        (STUDY, ["scale=0.04M", "seed=0"], 4),
        (STUDY, ["seed=0,seed=2"], 16),
        (STUDY, ["seed=0", "seed=2"], 16),
        (STUDY, ["algorithm=ppo,epochs=2,seed=1"], 2),
        (STUDY, ["kl_coefficient=0,seed=00"], 8),
        (CHAINS, ["chain=sft prose, grpo"], 12),
        (CHAINS, ["chain=sft prose,grpo,seed=1"], 4),
        (CHAINS, ["seed=1,chain=sft prose, grpo,chain=grpo"], 8),
        (CHAINS, ["chain=sft prose"], 12),
        (WORLDS, ["world-seed=1,temperature=1"], 6),
        (WORLDS, ["world_seed=1", "temperature=0.70"], 6),
    ],
)
def test_facts_are_all_true_and_values_of_one_fact_any(
    study: LadderStudy, only: list[str], count: int
):
    assert len(selected(study.runs(), only)) == count


@pytest.mark.parametrize(
    ("study", "only", "said"),
    [
        (STUDY, ["scale=4M"], "--only scale=4M: there are only 0.04M, 0.08M"),
        (STUDY, ["seed=7"], "--only seed=7: there are only 0, 1, 2"),
        (
            STUDY,
            ["colour=red"],
            "--only colour=red: no run has the fact colour; runs are selected by fact=value, and "
            "the facts here are scale, seed, algorithm, epochs",
        ),
        (
            STUDY,
            ["ppo"],
            "--only ppo: runs are selected by fact=value, and the facts here are scale, seed, "
            "algorithm, epochs",
        ),
        (CHAINS, ["scale=4M"], "--only scale=4M: there are only 0.04M, 0.46M, 1.9M, 12M"),
        (
            CHAINS,
            ["chain=dpo, grpo"],
            "--only chain=dpo, grpo: there are only grpo; sft json; sft json, grpo; sft prose; "
            "sft prose, grpo",
        ),
        (
            CHAINS,
            ["prose, grpo"],
            "--only prose: runs are selected by fact=value, and the facts here are scale, seed, "
            "algorithm, chain",
        ),
        (
            WORLDS,
            ["colour=red"],
            "--only colour=red: no run has the fact colour; runs are selected by fact=value, and "
            "the facts here are scale, seed, algorithm, temperature, world_seed",
        ),
        (
            CHAINS,
            ["algorithm=sft", "chain=grpo"],
            "--only algorithm=sft --only chain=grpo: no run of the study is all of that",
        ),
    ],
)
def test_what_selects_nothing_is_refused_with_what_there_is(
    study: LadderStudy, only: list[str], said: str
):
    with pytest.raises(InputError) as caught:
        selected(study.runs(), only)
    assert str(caught.value) == said
