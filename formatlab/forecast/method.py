"""A method: scores of the formats at each epoch, and the probabilities that follow from them.

Every method gives scores, a rule as well as a simulation: the higher the score of a format, the
surer it is to lead. One temperature, fitted on the same runs for each method, makes probabilities
of them, `mean over draws of softmax(score / temperature)`; so no rule is at a disadvantage for
giving no probabilities of its own. A part of `LAPSE` is spread over all formats and over formats
that the base did not show, so that no forecast rules anything out.

H: epochs, F: formats of the base's probe, B: draws.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from formatlab.errors import InputError
from formatlab.forecast.case import Case, Known
from formatlab.store.track import Track, untracked

LAPSE = 0.01
"""Part of every forecast that is spread evenly."""

TEMPERATURES = np.geomspace(1e-3, 10, 33)
"""Temperatures that a fit chooses from."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What a fit chose for a method."""

    temperature: float
    parameters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Forecast:
    """Which format will lead, and what share it will have, at each epoch."""

    formats: tuple[str, ...]
    """Those of the base's probe; length F."""
    epochs: np.ndarray
    """(H,)"""
    chances: np.ndarray
    """Probability of having the largest share; (H, F + 1), rows sum to 1. The last column is that
    of all formats that the base did not show together."""
    shares: np.ndarray | None
    """Expected share; (H, F), or None of a method that gives none."""
    low: np.ndarray | None
    """Lower bound of the share, 95% of the draws; (H, F)."""
    high: np.ndarray | None
    """Upper bound, likewise."""


class Method(ABC):
    """A way to forecast; a class for each, in a file of its own."""

    name: ClassVar[str]
    words: ClassVar[str]
    """What it goes by, for readers of tables."""
    tried: ClassVar[Sequence[Mapping[str, float]]] = ({},)
    """Values of its parameters that a fit chooses from."""
    gives_shares: ClassVar[bool] = False
    """Whether its scores are logarithms of shares."""
    needs: ClassVar[tuple[float, ...]] = ()
    """Epochs of training whose probes it needs; none of a forecast before RL."""
    of_model: ClassVar[bool] = False
    """Whether it needs the response of the model to an update, and not the probe alone."""

    def can_forecast(self, known: Known) -> bool:
        """Whether everything that it needs is known."""
        measured = known.response is not None or not self.of_model
        return measured and all(epoch in known.early for epoch in self.needs)

    @abstractmethod
    def scores(self, known: Known, epochs: np.ndarray, **parameters: float) -> np.ndarray:
        """Score each format at each epoch.

        Args:
            known: what is known before RL (and, for the early slope, just after its start).
            epochs: (H,).
            parameters: one of `tried`.

        Returns:
            (B, H, F): the draws of a method that draws, else one.
        """

    def forecast(self, known: Known, epochs: Sequence[float], fitted: Fitted) -> Forecast:
        """Forecast the format that leads, and the shares where the method gives them.

        Args:
            known: what is known before RL.
            epochs: when; ascending.
            fitted: what a fit chose.
        """
        at = np.asarray(epochs, dtype=np.float64)
        return self.of_scores(
            known, at, self.scores(known, at, **fitted.parameters), fitted.temperature
        )

    def of_scores(
        self, known: Known, epochs: np.ndarray, scores: np.ndarray, temperature: float
    ) -> Forecast:
        """The forecast that follows from scores (B, H, F)."""
        low = high = shares = None
        if self.gives_shares:
            drawn = np.exp(scores)
            shares = drawn.mean(axis=0)
            low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        return Forecast(
            formats=known.probe.formats,
            epochs=epochs,
            chances=chances(scores, temperature),
            shares=shares,
            low=low,
            high=high,
        )


class Fits:
    """A method on runs whose outcome is known, with everything that a fit may choose.

    All scores are kept, so that many fits, each on other runs, cost no more than one.
    """

    def __init__(self, method: Method, cases: Sequence[Case], *, track: Track = untracked) -> None:
        """Score the formats with every one of the method's parameters.

        Args:
            method: to be fitted.
            cases: with the early probes that it needs.
            track: shows how far it is.

        Raises:
            InputError: no cases.
        """
        if not cases:
            raise InputError("there are no runs to fit a forecast on")
        self.method, self.cases = method, cases
        self._scores = [
            [method.scores(case.known, case.epochs, **tried) for tried in method.tried]
            for case in track(cases, method.words)
        ]
        temperatures = TEMPERATURES[:, None, None, None]
        self._found = np.array(  # (cases, parameters, temperatures): mean log score over epochs
            [
                [log_scores(chances(one, temperatures), case.leads).mean(axis=-1) for one in of]
                for case, of in zip(cases, self._scores, strict=True)
            ]
        )

    def chosen(self, among: np.ndarray) -> Fitted:
        """What is best on some of the cases, by the log score over all their epochs.

        Args:
            among: whether a case is one of them; bool (cases,), True at least once.
        """
        parameters, temperature = self._best(among)
        return Fitted(
            temperature=float(TEMPERATURES[temperature]),
            parameters=self.method.tried[parameters],
        )

    def best_score(self, among: np.ndarray) -> float:
        """Log score on some of the cases of what `chosen` finds on them."""
        return float(self._found[among].mean(axis=0).max())

    def forecast(self, place: int, among: np.ndarray) -> Forecast:
        """Forecast the case at a place by a fit on some of the cases."""
        parameters, temperature = self._best(among)
        case = self.cases[place]
        return self.method.of_scores(
            case.known, case.epochs, self._scores[place][parameters], TEMPERATURES[temperature]
        )

    def _best(self, among: np.ndarray) -> tuple[int, int]:
        mean = self._found[among].mean(axis=0)  # (parameters, temperatures)
        parameters, temperature = np.unravel_index(mean.argmax(), mean.shape)
        return int(parameters), int(temperature)


def chances(scores: np.ndarray, temperature: float | np.ndarray) -> np.ndarray:
    """Probabilities from scores.

    Args:
        scores: (B, H, F).
        temperature: in the scores' unit; or several, (T, 1, 1, 1).

    Returns:
        (H, F + 1), or (T, H, F + 1); the last column is that of formats which the base did not
        show.
    """
    weights = np.exp((scores - scores.max(axis=-1, keepdims=True)) / temperature)
    sure = (weights / weights.sum(axis=-1, keepdims=True)).mean(axis=-3)  # (..., H, F)
    return with_lapse(np.concatenate([sure, np.zeros((*sure.shape[:-1], 1))], axis=-1))


def with_lapse(sure: np.ndarray) -> np.ndarray:
    """Probabilities that rule nothing out, from such as may; (..., F + 1)."""
    return (1 - LAPSE) * sure + LAPSE / sure.shape[-1]


def log_scores(forecast: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Expected log-probability of what came, in nats; at most 0.

    Args:
        forecast: probabilities (..., H, F + 1).
        truth: probability of each format of having led; (H, F + 1).

    Returns:
        (..., H)
    """
    return (truth * np.log(forecast)).sum(axis=-1)


def brier_scores(forecast: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Expected squared distance from what came (Brier 1950), 0 to 2; arguments as `log_scores`."""
    return (truth * (1 - 2 * forecast)).sum(axis=-1) + (forecast**2).sum(axis=-1)


def constant(scores: np.ndarray, epochs: np.ndarray) -> np.ndarray:
    """The same scores at every epoch, without draws: (F,) to (1, H, F)."""
    return np.broadcast_to(scores, (1, len(epochs), len(scores)))


def parameters(**values: Sequence[float]) -> list[dict[str, Any]]:
    """Every combination of the values of some parameters."""
    found: list[dict[str, Any]] = [{}]
    for name, of in values.items():
        found = [{**before, name: value} for before in found for value in of]
    return found
