"""The forecasts that a run writes before its first RL step, and how they are read again.

`forecast.json` holds the forecast of every method, fitted beforehand, with the time, the digest of
the probe that they were made from and the digest of all of it. The line of the run's first step in
`metrics.jsonl` repeats that digest: a forecast that was written later, or changed, is told by it.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

import numpy as np

from formatlab.errors import InputError
from formatlab.forecast import METHODS
from formatlab.forecast.case import Known, response_of
from formatlab.forecast.known import PROBE_COLUMNS, base_probe, of_adamw, run_settings
from formatlab.forecast.method import Fitted, Forecast
from formatlab.store import RunFolder

FITTED_FILE = "fitted.json"
"""File of this package with what was fitted, by method, and on what."""


@cache
def fitted() -> Mapping[str, Any]:
    """What was fitted for each method, on what (`on`), and log scores on bases left out."""
    return json.loads(files("formatlab.forecast").joinpath(FITTED_FILE).read_text(encoding="utf-8"))


def fitted_of(method: str) -> Fitted:
    """What was fitted for a method of `METHODS`."""
    return Fitted(**fitted()["methods"][method])


def best_method(known: Known) -> str:
    """The method with the best log score of those for which enough is known."""
    scores = fitted()["log_scores"]
    able = [name for name in scores if METHODS[name].can_forecast(known)]
    return max(able, key=lambda name: scores[name])


def all_forecasts(known: Known, epochs: np.ndarray) -> dict[str, Forecast]:
    """The forecast of every method for which enough is known, as it comes with the package."""
    return {
        name: method.forecast(known, epochs.tolist(), fitted_of(name))
        for name, method in METHODS.items()
        if method.can_forecast(known)
    }


def write_forecasts(run: RunFolder) -> None:
    """Forecast an on-policy run of a correctness reward and AdamW, if it has made no step yet.

    Args:
        run: with the probe of its base, and no line of metrics.
    """
    config = run.config
    if config.get("reward") != "correctness" or not of_adamw(config):
        return
    if run.metrics() or run.forecast() is not None:
        return
    rollouts = run.rollouts("probe", epoch=0.0, columns=list(PROBE_COLUMNS))
    if rollouts["correct"].null_count == rollouts.num_rows:
        return
    probe = base_probe(rollouts)
    known = Known(
        probe=probe, settings=run_settings(config), response=response_of(run, probe.formats)
    )
    epochs = np.arange(1.0, known.settings.epochs + 1)
    content = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "fitted_on": fitted()["on"],
        "probe_sha256": _digest(rollouts.to_pylist()),
        "formats": known.probe.formats,
        "epochs": epochs.tolist(),
        "methods": {name: _rows(of) for name, of in all_forecasts(known, epochs).items()},
    }
    run.write_forecast({**content, "sha256": _digest(content)})


def recorded_forecasts(run: RunFolder) -> dict[str, Forecast]:
    """The forecasts that a run wrote before its first step, by method.

    Raises:
        InputError: there are none, or they are not those that the run had at its first step.
    """
    content = run.forecast()
    if content is None:
        raise InputError(f"{run.path} has no forecast.json; it began without a forecast")
    steps = run.metrics()
    stored = content.pop("sha256", None)
    if stored != _digest(content):
        raise InputError(f"{run.path / 'forecast.json'} was changed after it was written")
    rollouts = run.rollouts("probe", epoch=0.0, columns=list(PROBE_COLUMNS))
    if content["probe_sha256"] != _digest(rollouts.to_pylist()):
        raise InputError(f"{run.path / 'forecast.json'} was made from another probe of the base")
    if not steps or steps[0].get("forecast") != stored:
        raise InputError(
            f"{run.path / 'forecast.json'} is not the forecast that the run had at its first step, "
            "so it may have been written after the first rollouts"
        )

    def array(values: Any) -> np.ndarray | None:
        return None if values is None else np.array(values)

    return {
        name: Forecast(
            formats=tuple(content["formats"]),
            epochs=np.array(content["epochs"]),
            chances=np.array(of["chances"]),
            shares=array(of["shares"]),
            low=array(of["low"]),
            high=array(of["high"]),
        )
        for name, of in content["methods"].items()
    }


def _rows(forecast: Forecast) -> dict[str, Any]:
    return {
        name: None if (values := getattr(forecast, name)) is None else values.round(6).tolist()
        for name in ("chances", "shares", "low", "high")
    }


def _digest(content: Any) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
