"""Alarms: what they read, when they go off, and that they do so once."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatlab.errors import InputError
from formatlab.store.alarm import (
    COLLAPSE_AHEAD,
    SHARE_SIGNALS,
    SLOPE_LEAST,
    SLOPE_STEPS,
    Alarm,
    alarm_step,
    share_slope,
)


def lines_of(*shares: float, every: int = 1) -> list[dict[str, Any]]:
    """Lines of two formats, by the share of prose."""
    return [
        {"step": every * place, "share": {"prose": share, "program": 1 - share}}
        for place, share in enumerate(shares)
    ]


def alarmed(alarm: Alarm, lines: list[dict[str, Any]]) -> list[int]:
    """The steps at which it goes off, in a run that notes its events as it goes."""
    for place, line in enumerate(lines):
        if (message := alarm.message(lines[: place + 1])) is not None:
            line["events"] = [{"kind": COLLAPSE_AHEAD, "message": message}]
    return [line["step"] for line in lines if "events" in line]


@given(
    slope=st.floats(0, 0.02),
    before=st.lists(st.floats(0, 1), max_size=5),
    steps=st.integers(SLOPE_LEAST, SLOPE_STEPS),
    every=st.integers(1, 3),
)
def test_a_slope_is_that_of_the_leader_over_the_last_steps(
    slope: float, before: list[float], steps: int, every: int
) -> None:
    rising = [0.5 + slope * every * place for place in range(steps)]
    lines = lines_of(*([] if steps < SLOPE_STEPS else before), *rising, every=every)
    assert share_slope(lines) == pytest.approx(slope, abs=1e-9)


def test_noise_within_the_window_is_fitted_by_least_squares() -> None:
    assert share_slope(lines_of(0.6, 0.7, 0.6, 0.9)) == pytest.approx(0.08)


@pytest.mark.parametrize(
    ("signal", "threshold", "shares", "steps"),
    [
        ("share_slope", 0.04, [0.5] * 8 + [0.6, 0.7, 0.8, 0.9], [10]),
        ("share_slope", 0.0, [0.5] * 8, [3]),  # not before four steps
        ("share_slope", 0.04, [0.9, 0.8, 0.7, 0.6, 0.55], []),
        ("leader_share", 0.7, [0.5, 0.69, 0.7, 0.5, 0.9], [2]),
        ("leader_share", 0.7, [0.5, 0.2, 0.5], [1]),  # the leader may be another one
        ("format_entropy", 0.5, [0.5, 0.7, 0.85, 0.95], [2]),
        ("format_entropy", 0.0, [0.5, 1.0, 1.0], [1]),
    ],
)
def test_goes_off_once_at_the_first_step_that_passes(
    signal: str, threshold: float, shares: list[float], steps: list[int]
) -> None:
    assert alarmed(Alarm(signal=signal, threshold=threshold), lines_of(*shares)) == steps


SHARES = st.lists(st.none() | st.floats(0, 1), max_size=30)


@given(shares=SHARES, cut=st.integers(0, 30), signal=st.sampled_from(sorted(SHARE_SIGNALS)))
def test_a_resumed_run_alarms_as_one_that_ran_through(
    shares: list[float | None], cut: int, signal: str
) -> None:
    def lines() -> list[dict[str, Any]]:
        return [
            {"step": step} | ({} if of is None else {"share": {"prose": of, "json": 1 - of}})
            for step, of in enumerate(shares)
        ]

    alarm = Alarm(signal=signal, threshold=0.05 if signal == "share_slope" else 0.6)
    whole, resumed = lines(), lines()
    found = alarmed(alarm, whole)
    stored = resumed[:cut]
    alarmed(alarm, stored)
    assert alarmed(alarm, [*stored, *lines()[cut:]]) == found
    assert len(found) <= 1
    assert alarm_step(whole) == (found[0] if found else None)


@pytest.mark.parametrize(
    ("signal", "threshold", "words"),
    [
        ("share_slope", 0.05, "step 3 the share of prose rises by 10.0 points a step (alarm at 5."),
        ("leader_share", 0.75, "step 3 prose has 80% of the rollouts (alarm at 75%)"),
        ("format_entropy", 0.55, "step 3 the entropy of the formats is 0.50 nats (alarm at 0.55)"),
    ],
)
def test_the_message_has_the_numbers(signal: str, threshold: float, words: str) -> None:
    message = Alarm(signal=signal, threshold=threshold).message(lines_of(0.5, 0.6, 0.7, 0.8))
    assert message is not None and words in message


def test_lines_without_shares_say_nothing() -> None:
    for signal in SHARE_SIGNALS:
        threshold = 9.0 if signal == "format_entropy" else 0.0
        lines = [{"step": step, "loss": 1.0} for step in range(9)]
        assert alarmed(Alarm(signal=signal, threshold=threshold), lines) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"signal": "kl"}, "unknown signal 'kl'; known signals: share_slope, leader_share"),
        ({"threshold": math.nan}, "threshold is nan; give a finite number"),
        ({"threshold": "high"}, "threshold is 'high'"),
    ],
)
def test_what_cannot_be_watched_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Alarm(**options)
