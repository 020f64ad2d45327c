"""Runs whose outcome is known, to score forecasts on: from run folders or a benchmark."""

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from formatlab.analysis.sides import sound_runs
from formatlab.errors import InputError
from formatlab.forecast.benchmark import is_benchmark, read_benchmark
from formatlab.forecast.case import Case, run_case
from formatlab.forecast.known import BaseProbe, RunSettings, of_adamw
from formatlab.forecast.method import Forecast, with_lapse
from formatlab.forecast.record import recorded_forecasts
from formatlab.forecast.scoring import Scored
from formatlab.store import RunFolder
from formatlab.store.runs_folder import studies_in
from formatlab.store.track import Track, untracked
from formatlab.world.formats import CODE, FORMATS

ON_POLICY = ("grpo", "dr_grpo", "gspo", "reinforce", "ppo", "rloo")
"""Algorithms whose runs are forecast."""

SET_ASIDE = ("study", "scale", "mixture", "fidelity", "seed")
"""Facts by which runs can be set aside."""

KINDS = {name: "code" if name in CODE else "text" for name in FORMATS}
"""Format -> whether its documents are code or text."""

OwnForecast = Callable[[BaseProbe, RunSettings, float], Mapping[str, float]]
"""From a base's probe, settings and an epoch to the probability of each format of leading."""


def forecast_runs(words: Sequence[str], *, track: Track = untracked) -> list[RunFolder]:
    """The runs of `on_policy_runs` that AdamW trained; raises as it does."""
    return [run for run in on_policy_runs(words, track=track) if of_adamw(run.config)]


def on_policy_runs(words: Sequence[str], *, track: Track = untracked) -> list[RunFolder]:
    """The finished on-policy runs under a correctness reward in folders of studies and runs.

    Raises:
        InputError: a folder is not there or holds no runs.
        RunError: a run folder is damaged.
    """
    found: list[RunFolder] = []
    for word in words:
        folders = studies_in(Path(word)) or [Path(word)]
        for folder in folders:
            found += [
                run
                for run in sound_runs(folder, track=track)
                if run.done
                and run.config.get("algorithm") in ON_POLICY
                and run.config.get("reward") == "correctness"
            ]
    return found


def cases(words: Sequence[str], *, track: Track = untracked) -> list[Case]:
    """The runs of benchmarks, studies and run folders; equal runs of several studies once.

    Raises:
        InputError: a folder is not there, or nothing in it can be scored.
        RunError: a run folder or a file is damaged.
    """
    found: dict[tuple[object, ...], Case] = {}
    for word in words:
        if is_benchmark(Path(word)):
            of_word = read_benchmark(Path(word))
        else:
            runs = forecast_runs([word], track=track)
            of_word = [run_case(run, kinds=KINDS) for run in track(runs, "reading runs")]
        for case in of_word:
            probe = case.probe
            start = (probe.formats, probe.rollouts.tobytes(), probe.correct.tobytes())
            found.setdefault((case.base, case.seed, case.settings, start), case)
    if not found:
        raise InputError(
            f"{', '.join(words)}: there is no finished run of grpo, ppo or rloo under a "
            "correctness reward to score forecasts on"
        )
    return list(found.values())


def marked(found: Sequence[Case], set_aside: Sequence[str]) -> list[Case]:
    """Mark the runs that match any of the facts as set aside.

    Args:
        found: runs.
        set_aside: texts such as `mixture=nine`, or several facts that a run has to have, as in
            `study=forecasts,seed=2`.

    Raises:
        InputError: a text is no fact of a run, or no run has it.
    """
    cases = list(found)
    for text in set_aside:
        facts = [fact.partition("=")[::2] for fact in text.split(",")]
        if unknown := [name for name, _ in facts if name not in SET_ASIDE]:
            raise InputError(
                f"--set-aside {text}: {unknown[0]!r} is no fact; write one of "
                f"{', '.join(SET_ASIDE)}, = and what, several with commas between"
            )
        hits = [all(_fact(case, name) == value for name, value in facts) for case in cases]
        if not any(hits):
            raise InputError(f"--set-aside {text}: no run is that")
        cases = [
            replace(case, set_aside=case.set_aside or hit)
            for case, hit in zip(cases, hits, strict=True)
        ]
    return cases


def _fact(case: Case, name: str) -> str:
    return case.run.partition("/")[0] if name == "study" else str(getattr(case, name))


def own_method(path: Path) -> OwnForecast:
    """The function `forecast` of somebody's Python file.

    Raises:
        InputError: no such file, no Python, or no function of that name.
    """
    if not path.is_file():
        raise InputError(f"--method: there is no file {path}")
    spec = importlib.util.spec_from_file_location(f"forecast_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"--method: {path} is not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # its author has to mend it
        raise InputError(f"--method: {path}: {type(error).__name__}: {error}") from error
    function = getattr(module, "forecast", None)
    if not callable(function):
        raise InputError(
            f"--method: {path} has no function forecast(probe, settings, epoch), which returns a "
            "probability for each format"
        )
    return cast(OwnForecast, function)


def own_forecasts(path: Path, found: Sequence[Case]) -> list[Scored]:
    """Forecast runs by a function of somebody's file, which is not fitted.

    Raises:
        InputError: it fails, or what it returns are no probabilities.
    """
    function = own_method(path)
    return [
        Scored(case=case, forecast=_own_forecast(path, function, case))
        for case in found
        if len(case.epochs)
    ]


def _own_forecast(path: Path, function: OwnForecast, case: Case) -> Forecast:
    formats, rows = case.probe.formats, []
    for epoch in case.epochs.tolist():
        try:
            given = dict(function(case.probe, case.settings, epoch))
            values = [float(value) for value in given.values()]
        except Exception as error:  # its author has to mend it
            raise InputError(
                f"--method: {path}: forecast for {case.run}: {type(error).__name__}: {error}"
            ) from error
        if not all(0 <= value <= 1 for value in values) or not math.isclose(
            sum(values), 1, abs_tol=1e-3
        ):
            raise InputError(
                f"--method: {path}: forecast for {case.run} returned {given}, which are no "
                "probabilities that sum to 1"
            )
        row = [float(given.get(form, 0.0)) for form in formats]
        rows.append([*row, max(0.0, 1.0 - sum(row))])
    chances = with_lapse(np.array(rows))
    return Forecast(
        formats=formats, epochs=case.epochs, chances=chances, shares=None, low=None, high=None
    )


def recorded(
    runs: Sequence[RunFolder], *, track: Track = untracked
) -> tuple[dict[str, list[Scored]], list[str]]:
    """The forecasts that runs wrote before their first step, by method.

    Returns:
        Them, and why runs are refused: their forecast is missing, changed, or from too late.

    Raises:
        InputError: all are refused.
    """
    by_method: dict[str, list[Scored]] = {}
    refused = []
    for run in track(runs, "reading runs"):
        try:
            forecasts = recorded_forecasts(run)
        except InputError as error:
            refused.append(str(error))
            continue
        case = run_case(run, kinds=KINDS)
        for name, forecast in forecasts.items():
            kept = [epoch in case.outcomes for epoch in forecast.epochs]
            at = {epoch: case.outcomes[epoch] for epoch in forecast.epochs[kept]}
            of_kept = replace(
                forecast,
                epochs=forecast.epochs[kept],
                chances=forecast.chances[kept],
                shares=None if forecast.shares is None else forecast.shares[kept],
                low=None if forecast.low is None else forecast.low[kept],
                high=None if forecast.high is None else forecast.high[kept],
            )
            scored = Scored(case=replace(case, outcomes=at), forecast=of_kept)
            by_method.setdefault(name, []).append(scored)
    if not by_method:
        raise InputError("; ".join(refused) or "there is no finished run to score")
    return by_method, refused
