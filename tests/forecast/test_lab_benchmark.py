"""The benchmark of the lab: what README and findings say of it is what it gives."""

from pathlib import Path

import pytest

from formatlab.forecast import EARLY_SLOPES, METHODS
from formatlab.forecast.benchmark import read_benchmark
from formatlab.forecast.method import Fits
from formatlab.forecast.scoring import AXES, Scored, difference, held_out, score

BENCHMARK = Path(__file__).parents[2] / "plots" / "forecasts"


@pytest.fixture(scope="module")
def scored() -> dict[str, dict[str, list[Scored]]]:
    cases = [case for case in read_benchmark(BENCHMARK) if not case.set_aside]
    methods = [METHODS[name] for name in ("share", "product", "first_step", "response")]
    fits = {of.name: Fits(of, cases) for of in (*methods, EARLY_SLOPES["slope_eighth"])}
    return {axis: {name: held_out([of], axis) for name, of in fits.items()} for axis in AXES}


def test_the_scores_are_those_that_are_told(scored: dict[str, dict[str, list[Scored]]]) -> None:
    """README and findings have them with two decimals."""
    found = {name: score(of, "log_score") for name, of in scored["scale"].items()}
    told = {
        "share": -1.388,
        "product": -0.620,
        "first_step": -0.513,
        "response": -0.310,
        "slope_eighth": -0.808,
    }
    assert found.keys() == told.keys()
    for name, of in found.items():
        assert of is not None
        assert of.value == pytest.approx(told[name], abs=0.002)
        assert (of.n_runs, of.n_bases) == (182, 72)


@pytest.mark.parametrize("axis", ["scale", "mixture"])
@pytest.mark.parametrize("rule", ["product", "first_step", "slope_eighth"])
def test_the_response_is_better_than_each_simple_rule(
    scored: dict[str, dict[str, list[Scored]]], axis: str, rule: str
) -> None:
    found = difference(scored[axis]["response"], scored[axis][rule], "log_score")
    assert found is not None and found.low is not None and found.low > 0


def test_no_rule_holds_at_all_horizons(scored: dict[str, dict[str, list[Scored]]]) -> None:
    """Share x accuracy is better at half an epoch, p (a - mean a) at five."""
    early, late = (
        difference(scored["scale"]["product"], scored["scale"]["first_step"], "log_score", epoch)
        for epoch in (0.5, 5.0)
    )
    assert early is not None and early.low is not None and early.low > 0
    assert late is not None and late.high is not None and late.high < 0


def test_what_was_set_aside_is_declared() -> None:
    for case in read_benchmark(BENCHMARK):
        of_grid = case.run.startswith("forecasts/")
        assert case.set_aside == (of_grid and (case.seed == 2 or case.mixture == "mostly_latex"))
