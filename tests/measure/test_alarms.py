"""Early warning: known warnings are found, noise is not one, and what is fitted is held out."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_runs import rollout

from formatlab.measure.alarms import SIGNALS, Alarms, SignalAlarms, WatchedRun, alarms, run_signals
from formatlab.store import RunFolder

FEW = 200
"""Resamples, where the interval is not looked at closely."""


def watched(
    values: Sequence[float], *, signal: str = "share_slope", base: str = "", **options: Any
) -> WatchedRun:
    """A run of one signal."""
    plain: dict[str, Any] = {"seed": 0, "collapse": None, "steps": np.arange(len(values))}
    of = plain | options
    return WatchedRun(
        name="run",
        base=base or f"{of['seed']}",
        signals={signal: np.array(values, dtype=np.float64)},
        **of,
    )


def rising(at: int, *, steps: int = 32) -> list[float]:
    """0, and from a step on 1."""
    return [float(step >= at) for step in range(steps)]


def only(found: Alarms) -> SignalAlarms:
    (signal,) = found.signals
    return signal


def test_a_signal_that_precedes_the_collapse_by_design_is_perfect() -> None:
    runs = [
        watched(rising(at), seed=seed, collapse=at + lead)
        for seed, (at, lead) in enumerate([(6, 5), (7, 9), (8, 13)] * 4)
    ]
    runs += [watched([0.0] * 32, seed=seed, null=seed < 5) for seed in range(12)]
    found = alarms(runs)
    signal = only(found)
    assert (signal.auc.value, signal.threshold, found.n_bases) == (1.0, 0.5, 12)
    assert signal.auc.low is not None and signal.auc.low > 0.7  # 1 of so few is not certain
    for of in (signal.fitted, signal.held_out, found.chosen_elsewhere):
        assert of is not None
        assert (of.n_detected, of.n_collapsed, of.n_false, of.n_others) == (12, 12, 0, 12)
        assert (of.lead.value, of.n_null_false, of.n_null) == (9, 0, 5)
        assert (of.detected.value, of.false_alarms.value) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("at", "collapse", "steps", "detected"),
    [
        (15, 20, 16, 1),  # the last of the first 16 steps
        (16, 20, 16, 0),  # behind them
        (16, 20, 17, 1),
        (9, 10, 16, 1),  # a step before the collapse
        (10, 10, 16, 0),  # with it
        (12, 10, 16, 0),
        (3, 4, 99, 1),
    ],
)
def test_alarms_count_within_the_first_steps_and_before_the_collapse(
    at: int, collapse: int, steps: int, detected: int
) -> None:
    runs = [watched(rising(at), collapse=collapse), watched(rising(2), collapse=20)]
    runs += [watched([0.0] * 32, seed=1)]
    found = only(alarms(runs, steps=steps, resamples=FEW)).fitted
    assert found.n_detected == 1 + detected


def test_steps_are_those_with_rollouts() -> None:
    """A recorded run may sample every tenth step alone."""
    numbers = np.arange(0, 320, 10)
    runs = [watched(rising(15), collapse=200, steps=numbers), watched([0.0] * 32, steps=numbers)]
    assert only(alarms(runs, resamples=FEW)).fitted.lead.value == 50
    none = alarms(runs, steps=15, resamples=FEW)
    assert none.signals == [] and none.chosen_elsewhere is None


@pytest.mark.parametrize(("signal", "sign"), [("token_entropy", -1), ("kl", 1)])
def test_signals_that_fall_warn_when_low(signal: str, sign: int) -> None:
    runs = [
        watched([sign * value for value in rising(5)], signal=signal, seed=n, collapse=9)
        for n in range(3)
    ]
    runs += [watched([0.0] * 32, signal=signal, seed=n) for n in range(3)]
    found = only(alarms(runs, resamples=FEW))
    assert (found.auc.value, found.threshold, found.fitted.lead.value) == (1.0, sign * 0.5, 4)


def noise(
    generator: np.random.Generator,
    bases: int,
    *,
    shift: float = 0.0,
    of_base: float = 0.0,
    runs: int = 3,
) -> list[WatchedRun]:
    """Runs of normal scores, those that collapse higher by `shift`; a base has one kind of end."""
    return [
        watched(
            [generator.normal(shift * collapses) + of_base * effect],
            base=str(base),
            seed=base,
            collapse=20 if collapses else None,
            steps=np.arange(1),
        )
        for base in range(bases)
        for collapses, effect in [(base % 2 == 0, generator.normal())]
        for _ in range(runs)
    ]


@pytest.mark.parametrize(("shift", "of_base"), [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
def test_intervals_of_the_area_cover_it(shift: float, of_base: float) -> None:
    """Noise has .5 in its interval; bases that pull all their runs one way widen it."""
    true = NormalDist().cdf(shift / (2 * (1 + of_base**2)) ** 0.5)
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(60):
        runs = noise(generator, 24, shift=shift, of_base=of_base, runs=2)
        auc = only(alarms(runs, resamples=FEW)).auc
        assert auc.low is not None and auc.high is not None
        held += auc.low <= true <= auc.high
    assert held >= 52  # of 95% expected; binomial 0.1% quantile of 60 at .95 is 51


def test_noise_held_out_detects_no_more_than_it_alarms_in_vain() -> None:
    generator = np.random.default_rng(1)
    gains = []
    for _ in range(40):
        found = only(alarms(noise(generator, 12), resamples=FEW))
        assert found.held_out is not None
        gains.append(
            (
                found.fitted.detected.value - found.fitted.false_alarms.value,
                found.held_out.detected.value - found.held_out.false_alarms.value,
            )
        )
    fitted, held_out = np.mean(gains, axis=0)
    assert fitted > 0.15  # what choosing the threshold on the same runs makes of nothing
    assert abs(held_out) < 0.1


def test_a_seed_is_tried_at_the_threshold_of_the_others_unchanged() -> None:
    """Seed 2 has other numbers; its own best threshold, 2.5, would separate it."""
    low, high = ([0.0, 1.0], [2.0, 3.0])
    runs = [
        watched([value], seed=seed, collapse=9 if collapses else None, steps=np.arange(1))
        for seed, pair in enumerate([low, low, high])
        for collapses, value in enumerate(pair)
    ]
    found = only(alarms(runs, resamples=FEW)).held_out
    assert found is not None
    # By 0.5, that of the others, seed 2 alarms twice. Each of the first two is told by the other
    # one and by seed 2, whose thresholds 0.5 and 2.5 are as good; the higher one counts.
    assert (found.n_detected, found.n_collapsed, found.n_false, found.n_others) == (1, 3, 1, 3)


def test_the_signal_is_chosen_without_the_seed_that_it_is_tried_on() -> None:
    """H(F) is right for the others and wrong for one seed, whose KL is right and not asked."""
    runs = []
    for seed in range(3):
        for collapses in (True, False):
            run = watched([float(collapses)], seed=seed, collapse=9 if collapses else None)
            wrong = collapses if seed < 2 else not collapses
            other = [float(collapses) if seed == 2 else 0.5]
            signals = {"leader_share": np.array([float(wrong)]), "kl": np.array(other)}
            runs.append(replace(run, signals=signals))
    chosen = alarms(runs, resamples=FEW).chosen_elsewhere
    assert chosen is not None
    of_last = [run for run in runs if run.seed == 2]
    assert len(of_last) == 2 and (chosen.n_false, chosen.n_others) == (1, 3)


@settings(max_examples=40, deadline=None)
@given(
    scores=st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=20).filter(
        lambda of: len({c for c, _ in of}) == 2 and len({s for _, s in of}) > 1
    )
)
def test_the_area_is_that_under_the_curve(scores: list[tuple[bool, int]]) -> None:
    runs = [
        watched([float(score)], seed=n, collapse=5 if collapses else None, steps=np.arange(1))
        for n, (collapses, score) in enumerate(scores)
    ]
    found = only(alarms(runs, resamples=20))
    x = [of.false_alarms.value for _, of in found.curve]
    y = [of.detected.value for _, of in found.curve]
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert found.auc.value == pytest.approx(np.trapezoid(y, x))
    gains = np.subtract(y, x)
    assert found.fitted.detected.value - found.fitted.false_alarms.value == pytest.approx(
        gains.max()
    )


def test_few_bases_have_no_interval_and_one_seed_nothing_held_out() -> None:
    runs = [watched(rising(5), collapse=9), watched([0.0] * 32)]
    found = only(alarms(runs, resamples=FEW))
    assert (found.auc.low, found.fitted.detected.low, found.fitted.lead.low) == (None,) * 3
    assert found.held_out is None


def test_the_best_signal_comes_first_and_others_are_compared_with_it() -> None:
    generator = np.random.default_rng(3)
    runs = [
        replace(
            watched([0.0], seed=seed, collapse=9 if seed % 2 else None, steps=np.arange(1)),
            signals={
                "kl": np.array([float(seed % 2)]),
                "reward_spread": generator.normal(size=1),
            },
        )
        for seed in range(40)
    ]
    best, other = alarms(runs).signals
    assert (best.signal, other.signal) == ("kl", "reward_spread")
    assert other.behind.high is not None and other.behind.high < 0
    assert other.behind.value == pytest.approx(other.auc.value - 1)


def test_a_run_without_a_signal_says_nothing_of_it() -> None:
    runs = [watched(rising(5), seed=n, collapse=9 if n % 2 else None) for n in range(6)]
    runs = [*runs, watched([0.0], signal="kl"), watched([1.0], signal="kl", collapse=9)]
    by_name = {of.signal: of.fitted for of in alarms(runs, resamples=FEW).signals}
    assert (by_name["kl"].n_collapsed, by_name["kl"].n_others) == (1, 1)


def test_signals_are_read_from_rollouts_and_metrics(tmp_path: Path) -> None:
    """Step 0: two prompts, each with a format of its own. Step 1: both formats in each."""
    run = RunFolder.create(tmp_path / "run", config={}, env={})
    tags = {0: ("aaaa", "bbbb"), 1: ("aabb", "aabb"), 2: ("aaaa", "aaaa")}
    rewards = {0: (1.0, 1.0, 0.0, 0.0), 1: (1.0, 1.0, 1.0, 1.0), 2: (None,) * 4}
    run.write_rollouts(
        "train",
        0.0,
        [
            rollout(split="train", step=step, prompt_id=f"p{p}", sample=n, tag=tag, reward=paid)
            for step, prompts in tags.items()
            for p, letters in enumerate(prompts)
            for n, (tag, paid) in enumerate(zip(letters, rewards[step], strict=True))
        ],
    )
    run.append_metrics({"step": 0, "entropy": 0.5}, {"step": 2, "entropy": 0.25})
    collapse, steps, found = run_signals(run)
    assert (collapse, steps.tolist()) == (2, [0, 1, 2])
    assert set(found) == set(SIGNALS) - {"kl", "share_slope"}  # no KL, and too few steps
    nan = np.nan
    expected = {
        "leader_share": [0.5, 0.5, 1.0],
        "format_entropy": [np.log(2), np.log(2), 0.0],
        "token_entropy": [0.5, nan, 0.25],
        "reward_spread": [0.5, 0.0, nan],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-12)
    information, within = found["format_information"], found["format_entropy_given_prompt"]
    assert information[0] > 0.6 and within[0] == 0  # the prompt says all there is to say
    assert information[1] < 0.1 and within[1] > 0.6
    assert information[2] == pytest.approx(0) and within[2] == 0
