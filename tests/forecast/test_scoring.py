"""Scores on simulated runs where the truth is known."""

import math

import numpy as np
import pytest
from forecast_cases import lawful_cases, made_case, made_probe

from formatlab.errors import InputError
from formatlab.forecast import EARLY_SLOPES, METHODS
from formatlab.forecast.method import (
    LAPSE,
    Fits,
    Forecast,
    brier_scores,
    chances,
    log_scores,
)
from formatlab.forecast.scoring import (
    Scored,
    calibration,
    check_set_aside,
    difference,
    held_out,
    score,
    usable,
)


def test_scores_by_hand() -> None:
    forecast = np.array([[0.7, 0.2, 0.1]])
    sure, open_ = np.array([[1.0, 0, 0]]), np.array([[0.5, 0.5, 0]])
    assert log_scores(forecast, sure) == pytest.approx(math.log(0.7))
    assert log_scores(forecast, open_) == pytest.approx((math.log(0.7) + math.log(0.2)) / 2)
    assert brier_scores(forecast, sure) == pytest.approx(0.3**2 + 0.2**2 + 0.1**2)
    mean = (0.3**2 + 0.2**2 + 0.1**2 + 0.7**2 + 0.8**2 + 0.1**2) / 2
    assert brier_scores(forecast, open_) == pytest.approx(mean)


def test_temperature_makes_probabilities_of_scores() -> None:
    scores = np.log([[[0.5, 0.25, 0.25]]])
    exact, flat, sharp = (chances(scores, of)[0] for of in (1.0, 100.0, 0.01))
    assert exact == pytest.approx(
        [*((1 - LAPSE) * np.array([0.5, 0.25, 0.25]) + LAPSE / 4), LAPSE / 4]
    )
    assert flat[:3] == pytest.approx([1 / 3] * 3, abs=0.01)
    assert sharp[0] == pytest.approx(1, abs=0.01)


def test_the_law_behind_the_runs_is_found_and_calibrated() -> None:
    """The leader follows share x accuracy at a temperature: that rule wins, at that temperature."""
    cases = lawful_cases(400, temperature=0.05)
    fits = {name: Fits(METHODS[name], cases) for name in ("share", "accuracy", "product")}
    fitted = fits["product"].chosen(np.ones(400, dtype=bool))
    assert fitted.temperature == pytest.approx(0.05, rel=0.35)
    scored = {name: held_out([of], "base") for name, of in fits.items()}
    for other in ("share", "accuracy"):
        found = difference(scored["product"], scored[other], "log_score")
        assert found is not None
        assert found.low is not None
        assert found.low > 0
    for of in calibration(scored["product"]):
        assert of.came.low is not None
        assert of.came.high is not None
        assert of.came.low - 0.03 <= of.forecast <= of.came.high + 0.03


def test_a_rule_that_knows_nothing_says_so() -> None:
    """Leaders drawn by lot: the fit makes the rule flat, and it scores like chance."""
    generator = np.random.default_rng(1)
    cases = []
    for number in range(200):
        probe = made_probe(generator.dirichlet([3, 3, 3]), (0.5, 0.5, 0.5), seed=number)
        lead = np.eye(3)[generator.integers(3)].tolist()
        cases.append(made_case(number, probe, leads=[lead] * 3))
    found = score(held_out([Fits(METHODS["share"], cases)], "base"), "log_score")
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low <= math.log(1 / 3) <= found.high + 0.02


def test_intervals_cover_a_true_difference() -> None:
    """Two forecasts of 40 bases whose mean difference is known: 95% intervals hold it as often."""
    held, times = 0, 100
    for seed in range(times):
        generator = np.random.default_rng(seed)
        probe = made_probe((0.3, 0.3, 0.4), (0.5, 0.5, 0.5))
        a, b = [], []
        for number in range(80):
            base = number // 2
            shift = np.random.default_rng(1_000 * seed + base).normal(0.2, 0.3)
            lead = [1.0, 0.0, 0.0]
            case = made_case(number, probe, leads=[lead] * 3, base=f"base{base}")
            for of, sure in ((a, 0.5 * math.exp(shift / 2)), (b, 0.5 * math.exp(-shift / 2))):
                noise = math.exp(generator.normal(0, 0.05))
                row = [min(sure * noise, 0.99), 0.0, 0.0, 0.0]
                forecast = Forecast(
                    formats=probe.formats,
                    epochs=case.epochs,
                    chances=np.array([row] * 3) + 1e-9,
                    shares=None,
                    low=None,
                    high=None,
                )
                of.append(Scored(case=case, forecast=forecast))
        found = difference(a, b, "log_score")
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        assert (found.n_runs, found.n_bases) == (80, 40)
        held += found.low <= 0.2 <= found.high
    assert 0.87 * times <= held <= times


def test_undecided_winners_count_for_what_they_are() -> None:
    """With two formats level, a forecast of half and half is the best there is."""
    probe = made_probe((0.4, 0.2, 0.4), (0.5, 0.1, 0.5), seed=3)
    case = made_case(0, probe, leads=[[0.5, 0.0, 0.5]] * 3)
    scores = []
    for first in (0.5, 0.8, 0.95):
        row = [first, 0.0, 1 - first, 0.0]
        forecast = Forecast(
            formats=probe.formats,
            epochs=case.epochs,
            chances=np.array([row] * 3) + 1e-9,
            shares=None,
            low=None,
            high=None,
        )
        found = score([Scored(case=case, forecast=forecast)], "log_score")
        assert found is not None
        assert found.low is None  # one base has no interval
        scores.append(found.value)
    assert scores == sorted(scores, reverse=True)


def test_a_fit_never_sees_what_it_is_scored_on() -> None:
    """At one scale the share leads, at the other accuracy does: each is forecast by the other."""
    generator = np.random.default_rng(0)
    cases = []
    for number in range(60):
        probe = made_probe((0.2, 0.3, 0.5), (0.9, 0.5, 0.1), seed=number)
        small = number % 2
        lead = [0.0, 0.0, 1.0] if small else [1.0, 0.0, 0.0]
        scale = "0.04M" if small else "0.13M"
        cases.append(
            made_case(int(generator.integers(10**9)), probe, leads=[lead] * 3, scale=scale)
        )
    fits = Fits(METHODS["tilted"], cases)
    hits = {axis: score(held_out([fits], axis), "hit") for axis in ("base", "scale")}
    assert hits["scale"] is not None
    assert hits["scale"].value == 0


def test_the_best_method_is_chosen_without_what_it_is_scored_on() -> None:
    """At one scale the share leads, at the other accuracy: what is chosen on one fails on both."""
    cases = []
    for number in range(40):
        small = number % 2
        lead = [0.0, 0.0, 1.0] if small else [1.0, 0.0, 0.0]
        probe = made_probe((0.2, 0.3, 0.5), (0.9, 0.5, 0.1), seed=number)
        scale = "0.04M" if small else "0.13M"
        cases.append(made_case(number, probe, leads=[lead] * 3, scale=scale))
    fits = [Fits(METHODS[name], cases) for name in ("share", "accuracy")]
    found = score(held_out(fits, "scale"), "hit")
    assert found is not None
    assert (found.value, found.n_runs) == (0, 40)


def test_bases_count_the_same_however_many_runs_they_have() -> None:
    probe = made_probe((0.2, 0.3, 0.5), (0.9, 0.5, 0.1))
    scored = []
    for number in range(10):
        base, first = ("a", 1.0) if number < 9 else ("b", 0.0)
        case = made_case(number, probe, leads=[[first, 0, 1 - first]] * 3, base=base)
        forecast = Forecast(
            formats=probe.formats,
            epochs=case.epochs,
            chances=np.array([[0.9, 0.0, 0.05, 0.05]] * 3),
            shares=None,
            low=None,
            high=None,
        )
        scored.append(Scored(case=case, forecast=forecast))
    found = score(scored, "hit")
    assert found is not None
    assert (found.value, found.n_runs, found.n_bases) == (0.5, 10, 2)


def test_set_aside_runs_do_not_fit() -> None:
    cases = [
        made_case(
            number,
            made_probe((0.2, 0.3, 0.5), (0.9, 0.5, 0.1), seed=number),
            leads=[[1.0, 0, 0] if number >= 20 else [0, 0, 1.0]] * 3,
            set_aside=number >= 20,
        )
        for number in range(40)
    ]
    found = score(held_out([Fits(METHODS["tilted"], cases)], None), "hit")
    assert found is not None
    assert (found.value, found.n_runs) == (0, 20)
    with pytest.raises(InputError, match="set aside"):
        check_set_aside(cases[:20])


def test_shares_are_scored_by_their_distance() -> None:
    probe = made_probe((0.2, 0.3, 0.5), (0.9, 0.5, 0.1))
    case = made_case(0, probe, leads=[[1.0, 0, 0]] * 3)
    forecast = Forecast(
        formats=probe.formats,
        epochs=case.epochs,
        chances=np.full((3, 4), 0.25),
        shares=np.array([[0.5, 0.5, 0.0]] * 3),
        low=None,
        high=None,
    )
    found = score([Scored(case=case, forecast=forecast)], "distance")
    assert found is not None
    assert found.value == pytest.approx(0.5)


def test_what_cannot_be_scored_is_left_out() -> None:
    cases = lawful_cases(12, temperature=0.1)
    assert held_out([Fits(METHODS["share"], cases)], "algorithm") == []
    assert usable(EARLY_SLOPES["slope_eighth"], cases) == []
    assert score([], "log_score") is None
