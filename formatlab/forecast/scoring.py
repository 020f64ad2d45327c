"""Scores of forecasts on runs that they were not fitted on, and how sure the differences are.

A method is fitted on all other groups of runs and scored on one, for each group in turn: by base (a
pretraining and all runs from it), scale, mixture, fidelity or algorithm. Where runs were set aside,
it is fitted on the others and scored on those. Which method is best is chosen in the same way, as a
method of its own (`CHOSEN`): the best on a table would look better than it is. Differences between
two methods are taken run by run; every base counts the same, and intervals are of a bootstrap over
bases.

H: epochs, F: formats of the base's probe.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from formatlab.errors import InputError
from formatlab.forecast.case import Case
from formatlab.forecast.method import Fits, Forecast, Method, brier_scores, log_scores
from formatlab.measure.bootstrap import (
    FEWEST_CLUSTERS,
    cluster_interval,
    percentile_interval,
    resampled,
)

AXES: dict[str, Callable[[Case], str]] = {
    "base": lambda case: case.base,
    "scale": lambda case: case.scale,
    "mixture": lambda case: case.mixture,
    "fidelity": lambda case: case.fidelity,
    "algorithm": lambda case: case.settings.algorithm,
}
"""What a fit leaves out, a group at a time."""

MEASURES = {
    "log_score": "expected log-probability of the format that led, nats; the higher the better",
    "brier": "Brier score, 0 to 2; the lower the better",
    "hit": "probability that the likeliest format led",
    "distance": "total variation distance of the expected shares from those that came",
    "covered": "part of the formats whose share lies in the 95% band of the expected one",
}
"""What forecasts are scored by."""

CHOSEN = "chosen"
"""The method with the best log score on the runs of the fit, fitted on them."""

_RESAMPLES = 10_000
_BINS = np.array([0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 1.0])
"""Edges of the bins of a calibration curve."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """A forecast of a run that it was not fitted on."""

    case: Case
    forecast: Forecast

    def values(self, measure: str) -> np.ndarray | None:
        """One of `MEASURES` at each epoch, (H,); None if the method gives none."""
        chances, leads = self.forecast.chances, self.case.leads
        if measure == "log_score":
            return log_scores(chances, leads)
        if measure == "brier":
            return brier_scores(chances, leads)
        if measure == "hit":
            return leads[np.arange(len(leads)), chances.argmax(axis=1)]
        if self.forecast.shares is None:
            return None
        if measure == "covered":
            came = self.case.shares[:, :-1]
            low, high = self.forecast.low, self.forecast.high
            assert low is not None and high is not None
            return ((low <= came) & (came <= high)).mean(axis=1)
        shares = np.pad(self.forecast.shares, ((0, 0), (0, 1)))
        return np.abs(shares - self.case.shares).sum(axis=1) / 2

    def place(self, epoch: float | None) -> int | None:
        """Where an epoch is, the last one for None; None if it was not observed."""
        epochs = self.case.epochs
        places = [len(epochs) - 1] if epoch is None else np.flatnonzero(epochs == epoch).tolist()
        return places[0] if places else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A mean over bases, each with its runs, and a 95% interval over bases."""

    value: float
    low: float | None
    """None with fewer than ten bases."""
    high: float | None
    n_runs: int
    n_bases: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """Forecasts of about one probability, and how often they came true."""

    forecast: float
    """Mean probability."""
    came: Score
    """Part of them whose format led."""


def usable(method: Method, cases: Sequence[Case]) -> list[Case]:
    """The runs of which is known what a method needs, with outcomes after that."""
    return [case for case in cases if len(case.epochs) and method.can_forecast(case.known)]


def held_out(methods: Sequence[Fits], axis: str | None) -> list[Scored]:
    """Forecast every run by a fit on the other groups; a group without others is not forecast.

    Args:
        methods: fitted on the same runs. Of several, the one with the best log score on the other
            groups forecasts a group.
        axis: one of `AXES`; None to forecast the runs that were set aside, by a fit on the others.
    """
    cases = methods[0].cases
    of_case = (lambda case: case.set_aside) if axis is None else AXES[axis]
    groups = np.array([of_case(case) for case in cases])
    scored = []
    for group in sorted(set(groups.tolist())):
        others = groups != group
        if others.any() and (axis is not None or group):
            best = max(methods, key=lambda fits: fits.best_score(others))
            scored += [
                Scored(case=cases[place], forecast=best.forecast(place, others))
                for place in np.flatnonzero(~others).tolist()
            ]
    return scored


def check_set_aside(cases: Sequence[Case]) -> None:
    """Check that some runs were set aside, and others are left to fit on.

    Raises:
        InputError: all or none of the runs were set aside.
    """
    if len({case.set_aside for case in cases}) < 2:
        raise InputError("there have to be runs that were set aside, and others to fit on")


def score(scored: Sequence[Scored], measure: str, epoch: float | None = None) -> Score | None:
    """A mean over bases.

    Args:
        scored: forecasts.
        measure: one of `MEASURES`.
        epoch: of the outcome; None for each run's last.

    Returns:
        None if no run has that epoch, or the method no such measure.
    """
    found = _values(scored, measure, epoch).values()
    return _mean([(of.case.base, value) for of, value in found], share=measure == "hit")


def difference(
    a: Sequence[Scored], b: Sequence[Scored], measure: str, epoch: float | None = None
) -> Score | None:
    """Mean over bases of a's measure less b's, in the runs of both; arguments as of `score`."""
    ours, theirs = _values(a, measure, epoch), _values(b, measure, epoch)
    both = [name for name in ours if name in theirs]
    return _mean([(ours[n][0].case.base, ours[n][1] - theirs[n][1]) for n in both])


def calibration(scored: Sequence[Scored], epoch: float | None = None) -> list[Bin]:
    """How often forecasts of about one probability came true, over all formats and runs."""
    rows = [
        (of.case.base, chance, lead)
        for of in scored
        if (place := of.place(epoch)) is not None
        for chance, lead in zip(
            of.forecast.chances[place].tolist(), of.case.leads[place].tolist(), strict=True
        )
    ]
    in_bin = np.digitize([chance for _, chance, _ in rows], _BINS[1:-1])
    bins = []
    for number in range(len(_BINS) - 1):
        of_bin = [row for row, at in zip(rows, in_bin, strict=True) if at == number]
        came = _mean([(base, lead) for base, _, lead in of_bin], share=True)
        if came is not None:
            bins.append(Bin(forecast=float(np.mean([c for _, c, _ in of_bin])), came=came))
    return bins


def _values(
    scored: Sequence[Scored], measure: str, epoch: float | None
) -> Mapping[str, tuple[Scored, float]]:
    """Run -> its forecast, and its measure at an epoch."""
    found = {}
    for of in scored:
        place, values = of.place(epoch), of.values(measure)
        if place is not None and values is not None:
            found[of.case.run] = (of, float(values[place]))
    return found


def _mean(values: Sequence[tuple[str, float]], *, share: bool = False) -> Score | None:
    """The mean over bases of (base, value); where it is a share, Wilson's interval if all agree."""
    if not values:
        return None
    of_base: dict[str, list[float]] = {}
    for base, value in values:
        of_base.setdefault(base, []).append(value)
    means = np.array([np.mean(of) for of in of_base.values()])
    low = high = None
    if len(means) >= FEWEST_CLUSTERS:
        found = _weights(len(means)) @ means / len(means)  # (B,)
        bounds = cluster_interval(found, len(means)) if share else percentile_interval(found)
        low, high = map(float, bounds)
    return Score(
        value=float(means.mean()), low=low, high=high, n_runs=len(values), n_bases=len(means)
    )


@lru_cache(maxsize=8)
def _weights(bases: int) -> np.ndarray:
    """How often each base is drawn in each resample; (B, bases)."""
    return resampled([np.eye(bases)], _RESAMPLES, seed=0)[0]
