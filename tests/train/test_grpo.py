import pytest

from formatlab.errors import InputError
from formatlab.train.on_policy.settings import Grpo, echo_chamber_grpo
from formatlab.train.probe import Probe


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"group_size": 1}, "group_size is 1"),
        ({"prompts": 100}, "not a multiple of prompts_per_step"),
        ({"sequences_per_update": 100}, "must divide the 512"),
        ({"temperature": 0.0}, "temperature"),
        ({"epochs": 0}, "epochs is 0"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"temperature": float("nan")}, "temperature"),
        ({"adam_beta2": -1.0}, "adam_beta2"),
        ({"clip_epsilon_high": 0.1}, "clip_epsilon_high"),
        ({"optimiser": "sgd"}, "optimiser is sgd; the ladder's learning rates are AdamW's"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(changes: dict, named: str):
    with pytest.raises(InputError, match=named):
        Grpo(**changes)


def test_only_another_optimiser_than_adamw_is_in_the_config():
    assert "optimiser" not in Grpo().config
    assert Grpo(optimiser="sgd", learning_rate=1.0).config["optimiser"] == "sgd"


def test_the_papers_preset_makes_eight_updates_of_64_sequences_a_step():
    paper = echo_chamber_grpo()
    assert paper.rollouts_per_step == 512
    assert paper.update_sequences == 64
    assert paper.updates_per_step == 8
    assert paper.steps_per_epoch == 116  # as the original counts them
    assert (paper.learning_rate, paper.kl_coefficient, paper.temperature) == (1e-6, 1e-3, 0.7)


@pytest.mark.parametrize(
    ("limit", "sequences", "expected"), [(512, None, 512), (300, None, 256), (16, 64, 16)]
)
def test_micro_batches_divide_an_update(limit: int, sequences: int | None, expected: int):
    assert (
        Grpo(micro_batch=limit, sequences_per_update=sequences).micro_batch_sequences() == expected
    )


def test_processes_share_an_update_equally_or_say_so():
    assert Grpo().micro_batch_sequences(2) == 256
    with pytest.raises(InputError, match="3 processes cannot share"):
        Grpo().micro_batch_sequences(3)


def test_probes_are_at_the_base_at_fractions_of_epoch_1_and_after_each_epoch():
    settings = Grpo(prompts=1024, epochs=3)
    assert Probe().steps(per_epoch=settings.steps_per_epoch, epochs=settings.epochs) == {
        0: 0.0,
        2: 0.125,
        4: 0.25,
        8: 0.5,
        16: 1.0,
        32: 2.0,
        48: 3.0,
    }


def test_fractions_of_a_short_epoch_fall_on_whole_steps_once():
    settings = Grpo(prompts=128, prompts_per_step=64, epochs=1)
    assert Probe().steps(per_epoch=settings.steps_per_epoch, epochs=settings.epochs) == {
        0: 0.0,
        1: 0.5,
        2: 1.0,
    }


@pytest.mark.parametrize("changes", [{"prompts": 0}, {"temperature": -1.0}, {"fractions": (1.5,)}])
def test_probes_that_make_no_sense_are_refused(changes: dict):
    with pytest.raises(InputError, match="probe"):
        Probe(**changes)
