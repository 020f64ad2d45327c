"""Forecasts that a run writes before its first step."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forecast_cases import RUN_SETTINGS
from small_runs import Factory, run_factory

from formatlab.errors import InputError
from formatlab.forecast import METHODS
from formatlab.forecast.record import fitted, recorded_forecasts, write_forecasts
from formatlab.store import RunFolder

CONFIG = {"settings": RUN_SETTINGS, "reward": "correctness"}


@pytest.fixture
def make_run(tmp_path: Path) -> Factory:
    return run_factory(tmp_path)


def begun(make_run: Factory, **changes: Any) -> RunFolder:
    """A run that was observed and has made no step."""
    options: Mapping[str, Any] = {"config": CONFIG, "metrics": (), "train": False, "done": False}
    return make_run(**{**options, **changes})


def with_first_step(run: RunFolder) -> RunFolder:
    forecast = run.forecast()
    run.append_metrics(
        {"step": 0, "epoch": 0.0, **({"forecast": forecast["sha256"]} if forecast else {})}
    )
    return run


def test_every_method_forecasts_before_the_first_step(make_run: Factory) -> None:
    run = begun(make_run)
    run.write_response({tag: {"adamw": 0.1, "adamw_error": 0.01} for tag in ("program", "prose")})
    write_forecasts(run)
    found = recorded_forecasts(with_first_step(run))
    assert found.keys() == METHODS.keys() == fitted()["methods"].keys()
    for forecast in found.values():
        assert forecast.formats == ("program", "prose")
        assert forecast.epochs.tolist() == [1, 2]
        assert forecast.chances.sum(axis=1) == pytest.approx(np.ones(2), abs=1e-4)


def test_methods_that_need_a_response_are_left_out_without_one(make_run: Factory) -> None:
    run = begun(make_run)
    write_forecasts(run)
    found = recorded_forecasts(with_first_step(run))
    assert found.keys() == {name for name, method in METHODS.items() if not method.of_model}


def test_runs_of_another_optimiser_are_not_forecast(make_run: Factory) -> None:
    run = begun(make_run, config={**CONFIG, "settings": {**RUN_SETTINGS, "optimiser": "sgd"}})
    write_forecasts(run)
    assert run.forecast() is None


def test_it_is_never_changed(make_run: Factory) -> None:
    run = begun(make_run)
    write_forecasts(run)
    first = (run.path / "forecast.json").read_bytes()
    write_forecasts(run)
    with_first_step(run)
    write_forecasts(run)
    assert (run.path / "forecast.json").read_bytes() == first
    with pytest.raises(ValueError, match="written once"):
        run.write_forecast({})


def test_a_run_that_has_begun_gets_none(make_run: Factory) -> None:
    run = with_first_step(begun(make_run))
    write_forecasts(run)
    with pytest.raises(InputError, match=r"no forecast\.json"):
        recorded_forecasts(run)


@pytest.mark.parametrize(
    "config", [{"settings": RUN_SETTINGS, "reward": "random"}, {"settings": RUN_SETTINGS}]
)
def test_other_rewards_are_not_forecast(make_run: Factory, config: dict[str, Any]) -> None:
    run = begun(make_run, config=config)
    write_forecasts(run)
    assert run.forecast() is None


def test_a_changed_forecast_is_refused(make_run: Factory) -> None:
    run = begun(make_run)
    write_forecasts(run)
    with_first_step(run)
    path = run.path / "forecast.json"
    content = json.loads(path.read_text())
    content["methods"]["share"]["chances"][0] = [1.0, 0.0, 0.0]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="was changed after"):
        recorded_forecasts(run)


def test_a_late_forecast_is_refused(make_run: Factory) -> None:
    late, other = begun(make_run), begun(make_run, seed=1)
    write_forecasts(late)
    write_forecasts(other)
    late.append_metrics({"step": 0, "epoch": 0.0})  # made without one
    with pytest.raises(InputError, match="after the first rollouts"):
        recorded_forecasts(late)
    # That of another run is one of another probe.
    (late.path / "forecast.json").write_bytes((other.path / "forecast.json").read_bytes())
    with pytest.raises(InputError, match="another probe"):
        recorded_forecasts(late)
