"""The methods, on probes whose winner can be said by hand."""

from dataclasses import replace

import numpy as np
import pytest
from forecast_cases import SETTINGS, made_probe, made_response
from hypothesis import given
from hypothesis import strategies as st

from formatlab.errors import InputError
from formatlab.forecast import EARLY_SLOPES, METHODS
from formatlab.forecast.case import Known
from formatlab.forecast.known import BaseProbe
from formatlab.forecast.method import Fitted
from formatlab.forecast.simulation import simulate

EPOCHS = np.array([0.5, 1.0, 2.0])


def known(shares: tuple[float, ...], accuracies: tuple[float, ...], **settings: object) -> Known:
    probe = made_probe(shares, accuracies, prompts=500)
    of_run = replace(SETTINGS, **settings)  # pyright: ignore[reportArgumentType]
    return Known(probe=probe, settings=of_run, response=made_response(probe))


@pytest.mark.parametrize(
    ("method", "leader"),
    [
        ("share", "prose"),  # .5
        ("accuracy", "latex"),  # .95
        ("product", "program"),  # .06, .27, .25
        ("first_step", "program"),  # mean .56: .05 x .39, .35 x .21, .6 x -.19 and less
        ("per_prompt", "program"),
    ],
)
def test_rules_name_their_format(method: str, leader: str) -> None:
    of = known((0.06, 0.38, 0.56), (0.95, 0.77, 0.45))
    scores = METHODS[method].scores(of, EPOCHS)
    assert scores.shape == (1, 3, 3)
    assert of.probe.formats[scores[0, -1].argmax()] == leader


def test_tilting_goes_from_share_to_accuracy() -> None:
    of = known((0.06, 0.38, 0.56), (0.95, 0.77, 0.45))
    leaders = [
        of.probe.formats[METHODS["tilted"].scores(of, EPOCHS, beta=beta)[0, 0].argmax()]
        for beta in (10.0, 0.3, 0.03)
    ]
    assert leaders == ["prose", "program", "latex"]


@pytest.mark.parametrize("name", ["replicator", "gradient_flow", "simulation", "response"])
def test_courses_begin_at_the_base_and_end_in_the_better_format(name: str) -> None:
    method = METHODS[name]
    of = known((0.2, 0.3, 0.5), (0.3, 0.9, 0.5), steps_per_epoch=16)
    fastest = method.tried[len(method.tried) - 1]
    scores = method.scores(of, np.array([0.07, 2.0]), **fastest)
    start, end = np.exp(scores).mean(axis=0)
    assert start == pytest.approx(of.probe.shares, abs=0.12)
    assert end.argmax() == 1
    assert end[1] > 0.9
    assert np.exp(scores).sum(axis=2) == pytest.approx(1)


def test_the_replicator_has_its_closed_form() -> None:
    of = known((0.2, 0.3, 0.5), (0.3, 0.9, 0.5))
    time = of.settings.time(EPOCHS)
    scores = METHODS["replicator"].scores(of, EPOCHS, rate=0.1)[0]
    expected = of.probe.shares * np.exp(0.1 * time[:, None] * of.probe.accuracies)
    assert np.exp(scores) == pytest.approx(expected / expected.sum(axis=1, keepdims=True))


def test_the_gradient_flow_follows_its_equation() -> None:
    of = known((0.2, 0.3, 0.5), (0.3, 0.9, 0.5))
    near = np.array([1.0, 1.001])
    before, after = METHODS["gradient_flow"].scores(of, near, rate=0.5)[0]
    shares, accuracies = np.exp(before), of.probe.accuracies
    passed = np.diff(of.settings.time(near))[0]
    moved = (after - before) / (0.5 * passed)
    force = shares * (accuracies - shares @ accuracies)
    assert moved - moved[0] == pytest.approx(force - force[0], abs=1e-3)


def same_everywhere(right: bool) -> BaseProbe:
    probe = made_probe((0.2, 0.3, 0.5), (0.5, 0.5, 0.5))
    return replace(probe, correct=probe.rollouts * right)


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("algorithm", ["grpo", "ppo", "rloo"])
def test_groups_all_right_or_all_wrong_teach_nothing(right: bool, algorithm: str) -> None:
    probe = same_everywhere(right)
    settings = replace(SETTINGS, algorithm=algorithm)
    scores = simulate(probe, settings, EPOCHS, step=0.5, noise=0.0)
    assert scores == pytest.approx(np.repeat(scores[:, :1], 3, axis=1))


def test_simulated_luck_grows_with_smaller_groups() -> None:
    of = known((0.3, 0.3, 0.4), (0.5, 0.5, 0.5))
    spreads = [
        simulate(of.probe, replace(of.settings, group_size=size), EPOCHS, step=0.3, noise=0.0)
        for size in (2, 32)
    ]
    small, large = ((scores[:, -1] - scores[:, 0]).std() for scores in spreads)
    assert small > 1.3 * large


def test_a_kl_coefficient_holds_the_simulation_back() -> None:
    of = known((0.3, 0.3, 0.4), (0.2, 0.8, 0.5))
    free, held = (
        np.exp(
            simulate(of.probe, replace(of.settings, kl_coefficient=kl), EPOCHS, step=0.2, noise=0)
        )
        for kl in (0.0, 1.0)
    )
    assert held[:, -1, 1].mean() < free[:, -1, 1].mean() - 0.05
    assert held[:, -1, 1].mean() > of.probe.shares[1]


def test_early_slopes_need_their_probe() -> None:
    of = replace(
        known((0.3, 0.3, 0.4), (0.2, 0.8, 0.5)), early={0.125: {"program": 0.6, "prose": 0.4}}
    )
    scores = EARLY_SLOPES["slope_eighth"].scores(of, EPOCHS)
    assert scores[0, 0].argmax() == 1
    with pytest.raises(InputError, match=r"no probe after 0\.25 epochs"):
        EARLY_SLOPES["slope_quarter"].scores(of, EPOCHS)


@given(
    st.lists(st.floats(0.05, 1), min_size=3, max_size=3),
    st.lists(st.floats(0, 1), min_size=3, max_size=3),
    st.sampled_from(sorted(METHODS)),
)
def test_every_forecast_is_a_distribution(
    weights: list[float], accuracies: list[float], name: str
) -> None:
    probe = made_probe(np.array(weights) / sum(weights), accuracies, prompts=20)
    method = METHODS[name]
    forecast = method.forecast(
        Known(probe=probe, settings=SETTINGS, response=made_response(probe)),
        EPOCHS.tolist(),
        Fitted(temperature=0.1, parameters=method.tried[0]),
    )
    assert forecast.chances.shape == (3, 4)
    assert forecast.chances.sum(axis=1) == pytest.approx(1)
    assert (forecast.chances > 0).all()
    if forecast.shares is not None and forecast.low is not None and forecast.high is not None:
        assert (forecast.low <= forecast.high).all()
        assert forecast.shares.sum(axis=1) == pytest.approx(1)
