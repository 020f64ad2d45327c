"""What a forecast may know: counts of the base's probe, and the run's settings."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from forecast_cases import SETTINGS, made_probe

from formatlab.errors import InputError
from formatlab.forecast.known import base_probe, ladder_rate, run_settings


def rollouts(rows: Sequence[tuple[str, str, bool | None, int]]) -> pa.Table:
    names = ("prompt_id", "tag", "correct", "tokens")
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])


def test_counts_by_prompt_and_format() -> None:
    probe = base_probe(
        rollouts(
            [
                ("b", "prose", True, 10),
                ("a", "prose", False, 20),
                ("a", "latex", True, 5),
                ("a", "prose", True, 30),
            ]
        )
    )
    assert probe.formats == ("latex", "prose")
    assert probe.rollouts.tolist() == [[1, 2], [0, 1]]
    assert probe.correct.tolist() == [[1, 1], [0, 1]]
    assert probe.tokens.tolist() == [[5, 50], [0, 10]]
    assert probe.shares.tolist() == [0.25, 0.75]


def test_a_lucky_rollout_is_no_accuracy_of_one() -> None:
    table = rollouts([("a", "prose", n < 20, 1) for n in range(100)] + [("a", "latex", True, 1)])
    latex, prose = base_probe(table).accuracies
    assert latex < 0.5
    assert prose == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("correct", [[None, None], []])
def test_without_right_answers_there_is_nothing_to_forecast(correct: list[None]) -> None:
    with pytest.raises(InputError, match=r"right answer|no rollouts"):
        base_probe(rollouts([("a", "prose", of, 1) for of in correct]) if correct else EMPTY)


EMPTY = pa.table(
    {"prompt_id": pa.array([], pa.string()), "tag": pa.array([], pa.string())}
    | {"correct": pa.array([], pa.bool_()), "tokens": pa.array([], pa.int32())}
)


def test_drawn_probes_vary_by_about_the_standard_error() -> None:
    probe = made_probe((0.2, 0.3, 0.5), (0.2, 0.5, 0.8), prompts=200)
    shares, accuracies = probe.resampled(2_000)
    assert shares[0].tolist() == probe.shares.tolist()
    error = np.sqrt(probe.shares * (1 - probe.shares) / probe.rollouts.sum())
    assert shares.std(axis=0) == pytest.approx(error, rel=0.15)
    assert accuracies.mean(axis=0) == pytest.approx(probe.accuracies, abs=0.01)
    again = [of.shares for of in probe.redrawn(50)]
    assert np.std(again, axis=0) == pytest.approx(error, rel=0.4)


def test_time_counts_updates_at_the_ladders_rate() -> None:
    steady = replace(SETTINGS, steps_per_epoch=16, warmup=0.0, learning_rate=ladder_rate(25_000))
    assert steady.time(np.array([0.5, 2.0])).tolist() == pytest.approx([8, 32])
    assert replace(steady, updates_per_step=4).time(np.array([1.0])) == pytest.approx(64)
    assert replace(steady, learning_rate=steady.learning_rate / 2).time(
        np.array([1.0])
    ) == pytest.approx(8)
    warm = replace(steady, warmup=0.5)  # 16 of 32 steps
    assert warm.time(np.array([1.0])) == pytest.approx(sum(n / 16 for n in range(16)))
    assert warm.time(np.array([2.0])) == pytest.approx(7.5 + 16)


def test_settings_of_a_run() -> None:
    config = {
        "algorithm": "ppo",
        "scale": {"non_embedding_parameters": 100},
        "settings": {
            "learning_rate": 1e-3,
            "warmup": 0.1,
            "kl_coefficient": 0.01,
            "prompts_per_step": 64,
            "group_size": 8,
            "iterations": 4,
            "sequences_per_update": 256,
            "prompts": 1024,
            "epochs": 3,
        },
    }
    settings = run_settings(config)
    assert (settings.updates_per_step, settings.steps_per_epoch) == (8, 16)
    assert settings.scale_rewards == "none"
    with pytest.raises(InputError, match="a run of sft"):
        run_settings({"algorithm": "sft", "settings": {"epochs": 1}})


def test_rollouts_without_a_verdict_do_not_count() -> None:
    rows = [("a", "prose", None if n % 2 else True, 1) for n in range(40)]
    probe = base_probe(rollouts([*rows, ("a", "latex", False, 1)]))
    assert probe.rollouts.tolist() == [[1, 20]]
    assert probe.accuracies[1] > 0.95


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, 0) for name in ("group_size", "epochs", "prompts_per_step")]
    + [(name, value) for name in ("learning_rate", "kl_coefficient") for value in (-1, math.nan)]
    + [("warmup", 2.0), ("learning_rate", math.inf)],
)
def test_settings_that_are_no_run(name: str, value: float) -> None:
    with pytest.raises(InputError, match=name):
        replace(SETTINGS, **{name: value})
