import pytest

from formatlab.errors import InputError
from formatlab.launch.selection import selected
from formatlab.launch.study import LadderStudy
from formatlab.launch.sweep import Sweep
from formatlab.train.base import Pretraining
from formatlab.world.four_formats import FOUR_FORMATS

STUDY = LadderStudy(
    name="grid",
    world=FOUR_FORMATS,
    scales=("0.04M", "0.08M"),
    seeds=(0, 1, 2),
    pretraining=Pretraining(tokens=1_000_000),
    sweep=Sweep(algorithm=("grpo", "ppo"), epochs=(1, 2)),
)


@pytest.mark.parametrize(
    ("only", "count"),
    [
        ("", 24),
        ("scale=0.04M", 12),
        ("scale=0.04M, seed=0", 4),
        ("seed=0,seed=2", 16),
        ("algorithm=ppo,epochs=2,seed=1", 2),
    ],
)
def test_facts_are_all_true_and_values_of_one_fact_any(only: str, count: int):
    assert len(selected(STUDY.runs(), only)) == count


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ("scale=4M", "there are only 0.04M, 0.08M"),
        ("seed=7", "there are only 0, 1, 2"),
        ("colour=red", "differ here in algorithm, arm, epochs, .*scale, seed"),
        ("ppo", "selected by fact=value"),
    ],
)
def test_what_selects_nothing_is_refused_with_what_there_is(only: str, said: str):
    with pytest.raises(InputError, match=said):
        selected(STUDY.runs(), only)
