"""The benchmark of the lab: what README and findings say of it is what it gives."""

from pathlib import Path

import pytest

from formatlab.forecast import METHODS
from formatlab.forecast.benchmark import read_benchmark
from formatlab.forecast.method import Fits
from formatlab.forecast.scoring import AXES, Scored, difference, held_out, score

BENCHMARK = Path(__file__).parents[2] / "plots" / "forecasts"


@pytest.fixture(scope="module")
def scored() -> dict[str, dict[str, list[Scored]]]:
    cases = [case for case in read_benchmark(BENCHMARK) if not case.set_aside]
    fits = {
        name: Fits(METHODS[name], cases) for name in ("share", "product", "first_step", "tilted")
    }
    return {axis: {name: held_out(of, axis) for name, of in fits.items()} for axis in AXES}


def test_the_scores_are_those_that_are_told(scored: dict[str, dict[str, list[Scored]]]) -> None:
    found = {name: score(of, "log_score") for name, of in scored["scale"].items()}
    told = {"share": -1.07, "product": -0.55, "first_step": -0.66, "tilted": -0.37}
    assert {name: of and round(of.value, 2) for name, of in found.items()} == told
    for of in found.values():
        assert of is not None
        assert (of.n_runs, of.n_bases) == (104, 60)


@pytest.mark.parametrize("axis", ["scale", "mixture"])
@pytest.mark.parametrize("rule", ["product", "first_step"])
def test_the_tilted_optimum_beats_the_simple_rules(
    scored: dict[str, dict[str, list[Scored]]], axis: str, rule: str
) -> None:
    found = difference(scored[axis]["tilted"], scored[axis][rule], "log_score")
    assert found is not None
    assert found.low is not None
    assert found.low > 0


def test_what_was_set_aside_is_declared() -> None:
    for case in read_benchmark(BENCHMARK):
        of_grid = case.run.startswith("forecasts/")
        assert case.set_aside == (of_grid and (case.seed == 2 or case.mixture == "mostly_latex"))
