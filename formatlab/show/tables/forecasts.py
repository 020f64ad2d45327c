"""Tables of forecasts: one forecast in numbers and words, and the scores of many."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from formatlab.forecast import EARLY_SLOPES, METHODS
from formatlab.forecast.method import Forecast
from formatlab.forecast.scoring import (
    MEASURES,
    Score,
    Scored,
    calibration,
    difference,
    score,
)
from formatlab.show.tables.table import wide_console
from formatlab.show.wording import name_text

ByAxis = Mapping[str, Mapping[str, Sequence[Scored]]]
"""What the fit left out -> method -> its forecasts of that."""

LOG_SCORE = "log_score"

_SHARES = {"share": "shares", "share_low": "low", "share_high": "high"}
"""Columns of the expected shares, and the fields of a forecast that they hold."""


def method_words(name: str) -> str:
    """A method as readers know it."""
    known = METHODS | EARLY_SLOPES
    return known[name].words if name in known else name


def best_method(of_axis: Mapping[str, Sequence[Scored]]) -> str:
    """The method with the best log score at the last probes, of those that forecast before RL."""
    found = {
        name: of.value
        for name, scored in of_axis.items()
        if name not in EARLY_SLOPES and (of := score(scored, LOG_SCORE)) is not None
    }
    return max(found, key=lambda name: found[name])


def score_rows(by_axis: ByAxis) -> list[dict[str, Any]]:
    """Return a row for each axis, epoch, method and measure, and for differences from the best."""
    rows = []
    for axis, of_axis in by_axis.items():
        best = best_method(of_axis)
        epochs = sorted({at for of in of_axis.values() for one in of for at in one.case.epochs})
        for epoch in (None, *epochs):
            for name, scored in of_axis.items():
                for measure in MEASURES:
                    found = {"": score(scored, measure, epoch)}
                    if name != best:
                        found[best] = difference(of_axis[best], scored, measure, epoch)
                    rows += [
                        {
                            "left_out": axis,
                            "epoch": "last" if epoch is None else float(epoch),
                            "method": f"{minuend} - {name}" if minuend else name,
                            "measure": measure,
                            **_columns(value),
                        }
                        for minuend, value in found.items()
                        if value is not None
                    ]
        for of_bin in calibration(of_axis[best]):
            rows.append(
                {
                    "left_out": axis,
                    "epoch": "last",
                    "method": best,
                    "measure": f"came true of forecasts of {of_bin.forecast:.3f}",
                    **_columns(of_bin.came),
                }
            )
    return rows


def _columns(found: Score) -> dict[str, float | int | None]:
    return {
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "n_runs": found.n_runs,
        "n_bases": found.n_bases,
    }


def print_scores(by_axis: ByAxis) -> None:
    """Print the scores of the methods, how the best one differs, and its calibration."""
    from rich.table import Table

    first = next(iter(by_axis.values()))
    table = Table("method", box=None, pad_edge=False)
    for axis in by_axis:
        table.add_column(f"log score, {axis}", justify="right")
    for heading in ("hit", "Brier", "distance of shares"):
        table.add_column(heading, justify="right")
    for name, scored in first.items():
        table.add_row(
            method_words(name),
            *(_cell(score(of_axis[name], LOG_SCORE)) for of_axis in by_axis.values()),
            *(
                _cell(score(scored, measure), short=True)
                for measure in ("hit", "brier", "distance")
            ),
        )
    console = wide_console()
    console.print(table)
    for axis, of_axis in by_axis.items():
        best = best_method(of_axis)
        against = Table(f"log score of {method_words(best)} less that of", box=None, pad_edge=False)
        against.add_column(axis, justify="right")
        against.add_column("runs", justify="right")
        against.add_column("bases", justify="right")
        for name, scored in of_axis.items():
            if name != best and (found := difference(of_axis[best], scored, LOG_SCORE)):
                against.add_row(
                    method_words(name), _cell(found), str(found.n_runs), str(found.n_bases)
                )
        console.print()
        console.print(against)
    best = best_method(first)
    bins = Table(f"calibration of {method_words(best)}", "came true", "n", box=None, pad_edge=False)
    for of in calibration(first[best]):
        bins.add_row(f"{of.forecast:.2f}", _cell(of.came), str(of.came.n_runs))
    console.print()
    console.print(bins)
    print(
        "\nAt the last probe of each run. Columns name what the fit left out; hit, Brier and "
        "distance are of the first. 95% intervals: bootstrap over bases.\n"
        f"Log score: {MEASURES[LOG_SCORE]}."
    )


def _cell(found: Score | None, *, short: bool = False) -> str:
    if found is None:
        return "-"
    text = f"{found.value:.2f}" if short else f"{found.value:.3f}"
    if short or found.low is None or found.high is None:
        return text
    return f"{text} [{found.low:.3f}, {found.high:.3f}]"


def forecast_words(forecast: Forecast, low: np.ndarray, high: np.ndarray, *, place: int) -> str:
    """A forecast in a sentence: the likeliest formats, and the share that the first will have.

    Args:
        forecast: of one method.
        low: lower bound of the probabilities, 95%; (H, F + 1).
        high: upper bound, likewise.
        place: of the epoch.
    """
    chances = forecast.chances[place]
    order = [at for at in np.argsort(-chances) if at < len(forecast.formats)]
    first, *others = order
    words = [
        f"{name_text(forecast.formats[first], 30)}, {chances[first]:.2f} "
        f"[{low[place, first]:.2f}, {high[place, first]:.2f}]"
    ]
    words += [
        f"{name_text(forecast.formats[at], 30)} {chances[at]:.2f}"
        for at in others
        if chances[at] >= 0.02
    ]
    if forecast.shares is not None:
        epochs = forecast.epochs[place]
        words.append(
            f"expected share of {forecast.formats[first]} after {epochs:g} epoch"
            f"{'s' * bool(epochs != 1)} {forecast.shares[place, first]:.2f}"
        )
    return "; ".join(words)


def forecast_rows(forecasts: Mapping[str, Forecast]) -> list[dict[str, Any]]:
    """Return a row for each method, epoch and format."""
    return [
        {
            "method": name,
            "epoch": float(epoch),
            "tag": form,
            "chance": float(forecast.chances[place, at]),
            **{
                column: None if (of := getattr(forecast, field)) is None else float(of[place, at])
                for column, field in _SHARES.items()
            },
        }
        for name, forecast in forecasts.items()
        for place, epoch in enumerate(forecast.epochs)
        for at, form in enumerate(forecast.formats)
    ]


def print_forecasts(forecasts: Mapping[str, Forecast]) -> None:
    """Print what each method says of the last epoch."""
    from rich.table import Table

    some = next(iter(forecasts.values()))
    table = Table(f"after {some.epochs[-1]:g} epochs", box=None, pad_edge=False)
    for form in some.formats:
        table.add_column(name_text(form, 30), justify="right")
    for name, of in forecasts.items():
        table.add_row(method_words(name), *(f"{value:.2f}" for value in of.chances[-1, :-1]))
    wide_console().print(table)
