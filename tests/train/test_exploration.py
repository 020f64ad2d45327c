"""Outcome-based exploration: the published formulas, whom they pay, and what is counted."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatlab.errors import InputError
from formatlab.observe.grader import grade
from formatlab.store.rollout import Rollout, rollouts_to_table
from formatlab.store.run_folder import RunFolder
from formatlab.train.on_policy.exploration import (
    Exploration,
    OutcomeCounts,
    batch_bonuses,
    less_mean_of_others,
    ucb,
)

ANSWERS = list("AAAABBCD")
BONUSES: tuple[Literal["ucb_mean", "ucb_constant", "batch"], ...] = (
    "ucb_mean",
    "ucb_constant",
    "batch",
)
OUTCOMES = st.lists(st.sampled_from(["1", "2", "3", None]), min_size=1, max_size=16)


@pytest.mark.parametrize(
    ("count", "bonus"), [(0, 1), (1, 1), (2, 0.707107), (3, 0.57735), (4, 0.5), (16, 0.25)]
)
def test_ucb_reference_values(count: int, bonus: float) -> None:
    assert ucb(count) == pytest.approx(bonus, abs=1e-6)


def test_batch_reference_values() -> None:
    bonuses = batch_bonuses(ANSWERS)
    assert bonuses == [-0.375] * 4 + [-0.125] * 2 + [0, 0]
    assert sum(bonuses) / 8 == -0.21875 == -(7 / 8) * 0.25  # 0.25: their collision probability


@given(outcomes=OUTCOMES)
def test_mean_of_batch_bonuses_is_the_collision_probability(outcomes: list[str | None]) -> None:
    n = len(outcomes)
    pairs = sum(outcomes[i] == outcomes[j] for i in range(n) for j in range(n) if i != j)
    assert math.fsum(batch_bonuses(outcomes)) / n == pytest.approx(-pairs / n**2)


@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=16))
def test_mean_baseline(values: list[float]) -> None:
    for index, found in enumerate(less_mean_of_others(values)):
        others = values[:index] + values[index + 1 :]
        assert found == pytest.approx(values[index] - sum(others) / len(others), abs=1e-12)
    assert math.fsum(less_mean_of_others(values)) == pytest.approx(0, abs=1e-9)


def seen(exploration: Exploration, **counts: int) -> OutcomeCounts:
    """Counts of outcomes of the prompt p."""
    found = OutcomeCounts(exploration)
    for outcome, count in counts.items():
        found.add(["p"] * count, [outcome] * count)
    return found


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"bonus": "none"}, [0, 0, 0]),
        ({"bonus": "ucb_constant"}, [0.2 * 0.5, 0.2 * 0, 0.2 * (0.25 - 0.5)]),
        ({"bonus": "ucb_constant", "baseline": 1.0}, [0, 0.2 * -0.5, 0.2 * -0.75]),
        ({"bonus": "ucb_mean"}, [0.2 * 0.625, 0.2 * -0.125, 0.2 * -0.5]),
        ({"bonus": "ucb_mean", "coefficient": 1.0}, [0.625, -0.125, -0.5]),
        ({"bonus": "batch"}, [0, 0, 0]),
    ],
)
def test_bonuses_of_a_group(settings: Any, expected: list[float]) -> None:
    exploration = Exploration(**settings)
    counts = seen(exploration, B=4, C=16)
    found = exploration.bonuses(["p"] * 3, ["A", "B", "C"], [False] * 3, counts)
    assert found == pytest.approx(expected)


def test_constant_baseline_punishes_what_was_seen_more_than_four_times() -> None:
    exploration = Exploration(bonus="ucb_constant")
    counts = seen(exploration, three=3, four=4, five=5)
    found = exploration.bonuses(["p"] * 3, ["three", "four", "five"], [False] * 3, counts)
    assert found[0] > 0 == found[1] > found[2]


@pytest.mark.parametrize("bonus", BONUSES)
def test_a_group_that_is_all_right_gets_nothing(bonus: Literal["ucb_mean", "batch"]) -> None:
    exploration = Exploration(bonus=bonus)
    counts = OutcomeCounts(exploration)
    prompts, outcomes = ["p", "p", "p", "q", "q", "q"], ["A", "A", "B"] * 2
    counts.add([*prompts, "p", "q"], [*outcomes, "A", "A"])
    found = exploration.bonuses(prompts, outcomes, [True] * 3 + [True, True, False], counts)
    assert found[:3] == [0, 0, 0]
    assert any(found[3:])


@pytest.mark.parametrize("bonus", BONUSES)
def test_groups_need_not_stand_together(bonus: Literal["ucb_mean", "batch"]) -> None:
    exploration = Exploration(bonus=bonus)
    counts = seen(exploration, A=3, B=1)
    together = exploration.bonuses(["p"] * 3 + ["q"] * 3, [*"AAB", *"ABB"], [False] * 6, counts)
    apart = exploration.bonuses(["p", "q"] * 3, list("AAABBB"), [False] * 6, counts)
    assert [*apart[::2], *apart[1::2]] == together


@pytest.mark.parametrize("bonus", BONUSES)
@given(outcomes=OUTCOMES)
def test_equal_outcomes_of_a_prompt_get_the_same(bonus: Any, outcomes: list[str | None]) -> None:
    exploration = Exploration(bonus=bonus)
    counts = OutcomeCounts(exploration)
    counts.add(["p", "p", "p"], ["1", "1", None])
    found = exploration.bonuses(["p"] * len(outcomes), outcomes, [False] * len(outcomes), counts)
    by_outcome: dict[str | None, float] = {}
    for outcome, value in zip(outcomes, found, strict=True):
        assert by_outcome.setdefault(outcome, value) == pytest.approx(value)


def test_a_prompt_with_one_rollout_has_nobody_to_compare_with() -> None:
    for bonus in ("ucb_mean", "batch"):
        exploration = Exploration(bonus=bonus)
        assert exploration.bonuses(["p"], ["A"], [False], OutcomeCounts(exploration)) == [0]


def test_unequal_lengths_are_refused() -> None:
    exploration = Exploration(bonus="batch")
    with pytest.raises(ValueError):
        exploration.bonuses(["p", "p"], ["A"], [False, False], OutcomeCounts(exploration))


def test_counts_are_of_one_prompt_and_start_at_nothing() -> None:
    counts = seen(Exploration(bonus="ucb_mean"), A=2)
    assert (counts.of("p", "A"), counts.of("q", "A"), counts.of("p", "B")) == (2, 0, 0)


TEXTS = [
    ("p", "The answer is 7."),
    ("p", "7.0 apples"),
    ("p", "no idea at all"),
    ("q", "The answer is 7."),
    ("p", ""),
    ("q", '{"answer": "caf\\ud800"}'),
]


def rollout(prompt_id: str, text: str, step: int) -> Rollout:
    found = grade(text, "7")
    return Rollout(
        run_id="run",
        split="train",
        step=step,
        epoch=0.0,
        prompt_id=prompt_id,
        family="",
        sample=0,
        prompt="?",
        completion=text,
        tokens=1,
        tag=found.tag.format,
        well_formed=found.tag.well_formed,
        mixed=False,
        mixed_formats=(),
        truncated=False,
        gold="7",
        answer=found.answer,
        correct=found.correct,
        reason=found.reason,
        flexible_answer=found.flexible_answer,
        flexible_correct=found.flexible_correct,
        reward=0.0,
        advantage=0.0,
        logprob=0.0,
        entropy=0.0,
    )


@pytest.mark.parametrize("over", ["answer", "format"])
def test_a_resumed_run_counts_what_the_uninterrupted_one_did(over: Any, tmp_path: Path) -> None:
    exploration = Exploration(bonus="ucb_mean", over=over)
    live = OutcomeCounts(exploration)
    prompts = [prompt_id for prompt_id, _ in TEXTS]
    outcomes = exploration.outcomes([grade(text, "7") for _, text in TEXTS])
    for _ in range(2):
        live.add(prompts, outcomes)
    folder = RunFolder.create(tmp_path / "run", config={}, env={})
    rows = [rollout(*text, step=step) for step in range(3) for text in TEXTS]
    folder.write_rollouts("train", 0.0, rows)
    folder.drop_rollouts_from(2)
    resumed = OutcomeCounts(exploration)
    resumed.add_rollouts(folder.rollouts("train", columns=resumed.columns))
    assert [resumed.of(*key) for key in zip(prompts, outcomes, strict=True)] == [
        live.of(*key) for key in zip(prompts, outcomes, strict=True)
    ]
    both = exploration.bonuses(prompts, outcomes, [False] * 6, live)
    assert exploration.bonuses(prompts, outcomes, [False] * 6, resumed) == both


def test_no_rollouts_yet() -> None:
    counts = OutcomeCounts(Exploration(bonus="ucb_mean"))
    counts.add_rollouts(rollouts_to_table([]).select(list(counts.columns)))
    assert counts.of("p", None) == 0


def test_outcomes_over_answers_and_formats() -> None:
    grades = [grade(text, "7") for _, text in TEXTS[:4]]
    assert Exploration(over="answer").outcomes(grades) == ["7", "7", None, "7"]
    assert Exploration(over="format").outcomes(grades) == ["prose", "direct", "prose", "prose"]


@pytest.mark.parametrize(
    ("exploration", "name", "config"),
    [
        (Exploration(over="format", coefficient=3.0), "none", {"bonus": "none"}),
        (
            Exploration(bonus="ucb_mean"),
            "UCB with mean baseline over answers, coefficient 0.2",
            {"bonus": "ucb_mean", "over": "answer", "coefficient": 0.2},
        ),
        (
            Exploration(bonus="ucb_constant", baseline=1.0),
            "UCB with constant baseline 1 over answers, coefficient 0.2",
            {"bonus": "ucb_constant", "over": "answer", "coefficient": 0.2, "baseline": 1.0},
        ),
        (
            Exploration(bonus="batch", over="format", coefficient=0.5, baseline=0.9),
            "batch over formats, coefficient 0.5",
            {"bonus": "batch", "over": "format", "coefficient": 0.5},
        ),
    ],
)
def test_names(exploration: Exploration, name: str, config: dict[str, Any]) -> None:
    assert (exploration.name, exploration.config) == (name, config)
    assert json.loads(json.dumps(config)) == config


@pytest.mark.parametrize(
    "settings", [{"coefficient": -0.1}, {"coefficient": math.nan}, {"baseline": 1.5}]
)
def test_mistakes(settings: Any) -> None:
    with pytest.raises(InputError, match="exploration"):
        Exploration(**settings)


def test_needs_no_torch() -> None:
    program = "import sys, formatlab.train.on_policy.exploration; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
