"""Health: every trouble is told when it begins, once, and again after it was over."""

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from formatlab.store.run_folder import RunFolder
from formatlab.train import health
from formatlab.train.health import Event, note_events, step_events

HEALTHY = {
    "loss": 0.01,
    "grad_norm": 0.5,
    "reward": 0.4,
    "entropy": 0.3,
    "truncated": 0.01,
    "share": {"prose": 1.0},
}


def lines_of(key: str, values: Sequence[Any]) -> list[dict[str, Any]]:
    """Lines that are healthy but for one key."""
    return [HEALTHY | {"step": step, key: value} for step, value in enumerate(values)]


def all_events(lines: Sequence[Mapping[str, Any]], **options: bool) -> list[tuple[int, Event]]:
    """The events of every step, as a trainer asks for them."""
    return [
        (step, event)
        for step in range(len(lines))
        for event in step_events(lines[: step + 1], **options)
    ]


def begun(lines: Sequence[Mapping[str, Any]], **options: bool) -> list[tuple[int, str]]:
    return [(step, event.kind) for step, event in all_events(lines, **options)]


USUAL = [0.5] * 10


@pytest.mark.parametrize(
    ("key", "values", "kind", "steps"),
    [
        ("loss", [0.1, math.nan, math.nan], "not_finite", [1]),
        ("loss", [-math.inf, 0.1, math.nan], "not_finite", [0, 2]),
        ("grad_norm", [0.1, math.inf, 0.1], "not_finite", [1]),
        ("grad_norm", [*USUAL, 6.0, *USUAL], "exploding", [10]),
        ("grad_norm", [*USUAL, 6.0, 7.0, 6.0, *USUAL], "exploding", [10]),
        ("grad_norm", [*USUAL, 6.0, *USUAL, 6.0, *USUAL], "exploding", [10, 21]),
        ("grad_norm", [*USUAL, 6.0, 0.5, 0.5, 6.0, *USUAL], "exploding", [10]),
        ("grad_norm", [*USUAL, 4.9], "exploding", []),
        ("grad_norm", [*USUAL[:7], 6.0], "exploding", []),
        ("grad_norm", [0.001] * 10 + [0.9], "exploding", []),
        ("grad_norm", [0.0, 1.0] * 8 + [9.0, 11.0], "exploding", [17]),
        ("grad_norm", [0.0] * 30 + [2.0], "exploding", []),
        ("loss", [1e-9, -1e-9] * 8 + [0.9, -1.1], "exploding", [17]),
        ("loss", [5.0 / (step + 1) for step in range(40)], "exploding", []),
        ("reward", [0.1] + [0] * 7 + [0.1], "no_reward", []),
        ("reward", [0.1] + [0] * 20, "no_reward", [8]),
        ("reward", [0] * 9 + [0.1] + [0.0] * 9, "no_reward", [7, 17]),
        ("reward", [0] * 7 + [None] + [0] * 9, "no_reward", [15]),
        ("reward", [1.0] * 30, "all paid is no trouble", []),
        ("entropy", [0.5, 0.006, 0.004, 0.003, 0.002], "entropy_gone", [2]),
        ("entropy", [0.5, 0.004, 0.0051, 0.004, 0.02, 0.004], "entropy_gone", [1, 5]),
        ("entropy", [0.05, 0.0011, 0.0009], "entropy_gone", [2]),
        ("entropy", [0.0001, 0.0001], "entropy_gone", [0]),
        ("entropy", [None, 0.5, None, 0.004], "entropy_gone", [3]),
        ("truncated", [0.5, 0.51, 0.45, 0.51, 0.9], "truncation", [1]),
        ("truncated", [0.9, 0.3, 0.9, None, 0.9], "truncation", [0, 2]),
    ],
)
def test_begins_once_and_again_after_it_was_over(
    key: str, values: list[Any], kind: str, steps: list[int]
) -> None:
    assert begun(lines_of(key, values)) == [(step, kind) for step in steps]


def test_only_what_is_not_finite_is_fatal() -> None:
    for key, values in {
        "grad_norm": [*USUAL, 60.0],
        "reward": [0] * 8,
        "entropy": [0.3, 0.0001],
        "truncated": [0.8],
    }.items():
        assert [event.fatal for _, event in all_events(lines_of(key, values))] == [False]
    assert [event.fatal for _, event in all_events(lines_of("loss", [math.nan]))] == [True]


@pytest.mark.parametrize(
    ("key", "values", "words"),
    [
        ("loss", [0.1, math.nan], ["loss is not finite", "step 1", "learning rate"]),
        ("grad_norm", [*USUAL, 60.0], ["gradient norm is 60", "0.5", "10 steps", "step 10"]),
        ("reward", [0.1] + [0] * 8, ["8 steps", "step 8", "easier problems"]),
        ("entropy", [0.3, 0.002], ["0.002 nats", "step 1", "from 0.3", "temperature"]),
        ("truncated", [0.1, 0.615], ["62%", "step 1", "completion_length"]),
    ],
)
def test_messages_have_the_numbers(key: str, values: list[Any], words: list[str]) -> None:
    [(_, event)] = all_events(lines_of(key, values))
    for word in words:
        assert word in event.message
    assert json.loads(json.dumps(event.record)) == {"kind": event.kind, "message": event.message}


def test_one_step_may_begin_several() -> None:
    lines = lines_of("grad_norm", USUAL)
    lines.append({"step": 10, "loss": 99.0, "grad_norm": 60.0, "truncated": 1.0, "entropy": 0.0})
    assert begun(lines) == [(10, "exploding"), (10, "entropy_gone"), (10, "truncation")]
    broken = [{"loss": math.nan, "grad_norm": math.inf}]
    [event] = step_events(broken)
    assert "loss and the gradient norm are not finite at step 0" in event.message


@pytest.mark.parametrize("rewarded", [True, False])
def test_that_one_format_may_take_over_is_told_once(rewarded: bool) -> None:
    rising = [0.4] * 8 + [0.4 + 0.04 * step for step in range(1, 13)] + [0.9] * 8 + [0.5, 0.6, 0.9]
    lines: list[dict[str, Any]] = []
    for line in lines_of("share", [{"prose": of, "program": 1 - of} for of in rising]):
        lines.append(line)
        assert note_events(lines, rewarded=rewarded) is None
    [(step, event)] = [(of["step"], event) for of in lines for event in of.get("events", [])]
    assert step == 12 and event["kind"] == "collapse_ahead"
    assert "at step 12 the share of prose rises by 3.1 points a step" in event["message"]


def test_without_a_reward_no_reward_is_no_trouble() -> None:
    lines = lines_of("reward", [0.0] * 30)
    assert begun(lines, rewarded=False) == []
    assert begun(lines) == [(7, "no_reward")]


@pytest.mark.parametrize(
    "line", [{}, {"step": 0}, {"loss": None, "grad_norm": None}, {"loss": 2.0, "lr": 0.1}]
)
def test_lines_that_lack_keys_say_nothing(line: dict[str, Any]) -> None:
    assert begun([line] * 40) == []
    assert step_events([]) == []


VALUES = st.one_of(
    st.none(), st.sampled_from([0.0, 1e-4, 0.01, 0.3, 0.45, 0.6, 1.0, 20.0, -20.0, math.nan])
)
LINES = st.lists(
    st.fixed_dictionaries({}, optional={key: VALUES for key in HEALTHY if key != "share"}),
    max_size=40,
)


@given(lines=LINES, share=st.floats(0, 1))
def test_a_resumed_run_says_the_same(lines: list[dict[str, Any]], share: float) -> None:
    """What came before the resume is read from the file, where null stands for not finite."""
    whole = begun(lines)
    # Where loss or norm is not finite the run ends, and nothing is ever resumed behind it.
    assume("not_finite" not in {kind for _, kind in whole})
    cut = int(share * len(lines))
    stored = [
        {key: None if value is None or math.isnan(value) else value for key, value in line.items()}
        for line in lines[:cut]
    ]
    resumed = [*stored, *lines[cut:]]
    assert begun(resumed) == whole


def test_lines_of_the_store(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", config={}, env={})
    folder.append_metrics(*lines_of("loss", [0.1, math.nan]))
    assert begun(folder.metrics()) == []
    raw = HEALTHY | {"step": 2, "loss": math.nan}
    assert [event.kind for event in step_events([*folder.metrics(), raw])] == ["not_finite"]


def test_thresholds_leave_room_for_an_end() -> None:
    assert health.TRUNCATION_OVER < health.TRUNCATION
    assert health.ENTROPY_OVER > 1
    assert health.EXPLODING_LEAST <= health.EXPLODING_WINDOW


def test_needs_no_torch() -> None:
    program = "import sys, formatlab.train.health; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
