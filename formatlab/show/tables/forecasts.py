"""Tables of forecasts: one forecast in numbers and words, and the scores of many."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from formatlab.forecast import EARLY_SLOPES, METHODS
from formatlab.forecast.method import Forecast
from formatlab.forecast.scoring import (
    AXES,
    CHOSEN,
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
    if name == CHOSEN:
        return "chosen on the rest"
    return known[name].words if name in known else name


def score_rows(by_axis: ByAxis) -> list[dict[str, Any]]:
    """Return a row for each axis, group, epoch, method and measure, and for differences.

    Differences are from the method that is chosen on the runs of the fit. `group` is what was left
    out: all groups together, or one.
    """
    rows = []
    for axis, of_axis in by_axis.items():
        epochs = sorted({at for of in of_axis.values() for one in of for at in one.case.epochs})
        for group in ("all", *_groups(axis, of_axis)):
            of_group = _of_group(axis, of_axis, group)
            for epoch in (None, *epochs) if group == "all" else (None,):
                where = {
                    "left_out": axis,
                    "group": group,
                    "epoch": "last" if epoch is None else float(epoch),
                }
                for name, scored in of_group.items():
                    for measure in MEASURES:
                        found = {name: score(scored, measure, epoch)}
                        if name != CHOSEN and CHOSEN in of_group:
                            compared = difference(of_group[CHOSEN], scored, measure, epoch)
                            found[f"{CHOSEN} - {name}"] = compared
                        rows += [
                            {**where, "method": words, "measure": measure, **_columns(value)}
                            for words, value in found.items()
                            if value is not None
                        ]
        calibrated = CHOSEN if CHOSEN in of_axis else next(iter(of_axis))
        rows += [
            {
                "left_out": axis,
                "group": "all",
                "epoch": "last",
                "method": calibrated,
                "measure": f"came true of forecasts of {of_bin.forecast:.3f}",
                **_columns(of_bin.came),
            }
            for of_bin in calibration(of_axis[calibrated])
        ]
    return rows


def _groups(axis: str, of_axis: Mapping[str, Sequence[Scored]]) -> list[str]:
    """The groups that were left out one at a time; none by base, of which there are too many."""
    if axis not in AXES or axis == "base":
        return []
    return sorted({AXES[axis](of.case) for scored in of_axis.values() for of in scored})


def _of_group(
    axis: str, of_axis: Mapping[str, Sequence[Scored]], group: str
) -> Mapping[str, Sequence[Scored]]:
    if group == "all":
        return of_axis
    return {
        name: [of for of in scored if AXES[axis](of.case) == group]
        for name, scored in of_axis.items()
    }


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
    for heading in ("hit", "Brier", "distance of shares", "covered"):
        table.add_column(heading, justify="right")
    for name, scored in first.items():
        table.add_row(
            method_words(name),
            *(_cell(score(of_axis[name], LOG_SCORE)) for of_axis in by_axis.values()),
            *(
                _cell(score(scored, measure), short=True)
                for measure in ("hit", "brier", "distance", "covered")
            ),
        )
    console = wide_console()
    console.print(table)
    for axis, of_axis in by_axis.items():
        if CHOSEN not in of_axis:
            continue
        columns = ("all", *_groups(axis, of_axis))
        against = Table(f"left out: {axis}; log score", box=None, pad_edge=False)
        for group in columns:
            against.add_column(group, justify="right")
        for name in of_axis:
            cells = []
            for group in columns:
                of_group = _of_group(axis, of_axis, group)
                found = difference(of_group[CHOSEN], of_group[name], LOG_SCORE)
                cells.append(_cell(found, short=group != "all"))
            if name != CHOSEN:
                against.add_row(f"chosen less {method_words(name)}", *cells)
        console.print()
        console.print(against)
    for axis, of_axis in by_axis.items():
        calibrated = CHOSEN if CHOSEN in of_axis else next(iter(of_axis))
        bins = Table(
            f"calibration of {method_words(calibrated)}, {axis}",
            "came true",
            "n",
            box=None,
            pad_edge=False,
        )
        for of in calibration(of_axis[calibrated]):
            bins.add_row(f"{of.forecast:.2f}", _cell(of.came), str(of.came.n_runs))
        console.print()
        console.print(bins)
    print(
        "\nAt the last probe of each run. Columns name what the fit left out; hit, Brier, distance "
        "and covered are of the first. chosen: the method that is best on the runs of the fit. "
        "Every base counts the same; 95% intervals: bootstrap over bases.\n"
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
            f"expected share of {name_text(forecast.formats[first], 30)} after {epochs:g} epoch"
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
