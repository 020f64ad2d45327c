"""Regression over runs that come in clusters, with intervals of a bootstrap over the clusters.

Runs of one pretraining are not independent, so clusters are drawn with replacement, each with all
its runs. They are few (a scale and seed each), and percentiles of a bootstrap of few are too
narrow; `few_clusters_interval` widens them as Student's t widens a normal interval.

Predictors are standardised: a coefficient is the change of the outcome for one standard deviation
of the predictor over the runs. Where a predictor tells the outcome exactly, the likelihood of a
logistic regression has no maximum; Firth's penalty gives it one and takes out bias of first order.
A ridge penalty would do the former alone, and shifts part of a strong predictor's effect to those
that go with it: in simulated studies the interval of a predictor without effect then covered 0 in
83 to 88 of 100, with Firth's penalty in 98 or 99.

N: runs, G: clusters, K: predictors and the constant, B: resamples.
Sources: Firth, Biometrika 80 (1993), 27-38; Heinze & Schemper, Statistics in Medicine 21 (2002),
2409-2419; Hesterberg, The American Statistician 69 (2015), 371-386, section 4.4, for intervals of
few.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from formatlab.measure.bootstrap import (
    DEFAULT_LEVEL,
    DEFAULT_RESAMPLES,
    FEWEST_CLUSTERS,
    percentile_interval,
    resampled,
)
from formatlab.measure.statistic import NOT_DEFINED, Estimate
from formatlab.measure.wilson import wilson_interval

Kind = Literal["linear", "logistic"]

_MOST_ITERATIONS = 50
_LONGEST_STEP = 2.0
"""Of a coefficient in one iteration: Newton's method may overshoot where outcomes are separated."""
_CONVERGED = 1e-6
_ROUNDING = 1e-12


def regression(
    outcome: np.ndarray,
    predictors: np.ndarray,
    clusters: np.ndarray,
    *,
    kind: Kind,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> list[Estimate]:
    """Return the coefficient of each predictor, with its 95% interval over clusters.

    Args:
        outcome: a number of each run; 0 or 1 for a logistic regression; (N,).
        predictors: (N, K - 1).
        clusters: number of each run's cluster, from 0; (N,).
        kind: least squares, or log-odds by Firth's penalised likelihood.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        An estimate a predictor. Without a value where the outcome or the predictor does not vary,
        or there are no more runs than coefficients; without an interval below ten clusters.
    """
    spread = predictors.std(axis=0)
    varying = spread > _ROUNDING
    count = int(clusters.max()) + 1 if len(clusters) else 0
    if np.ptp(outcome) < _ROUNDING or len(outcome) <= varying.sum() + 1:
        return [NOT_DEFINED] * len(spread)
    standard = (predictors - predictors.mean(axis=0))[:, varying] / spread[varying]
    design = np.column_stack([np.ones(len(outcome)), standard])
    fit = _linear if kind == "linear" else _logistic
    (values,) = fit(design, outcome, np.ones((1, len(outcome))))
    low = high = np.full(len(values), np.nan)
    if count >= FEWEST_CLUSTERS:
        weights = cluster_weights(clusters, resamples, seed)
        low, high = few_clusters_interval(fit(design, outcome, weights), count)
    found = [
        Estimate(value=float(value), low=_bound(below), high=_bound(above))
        for value, below, above in zip(values[1:], low[1:], high[1:], strict=True)
    ]
    return [found.pop(0) if varies else NOT_DEFINED for varies in varying]


def cluster_weights(clusters: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """How often each run occurs in resamples of clusters; (N,) -> (B, N)."""
    (drawn,) = resampled([np.eye(int(clusters.max()) + 1)], resamples, seed)
    return drawn[:, clusters]


def few_clusters_interval(statistics: np.ndarray, clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95% bounds over resamples of few clusters; nan where no resample has a value.

    Args:
        statistics: (B, ...); nan where a resample has no value.
        clusters: how many there are, at least 2.
    """
    from scipy.special import ndtr, stdtrit

    quantile = stdtrit(clusters - 1, (1 + DEFAULT_LEVEL) / 2)
    tail = ndtr(-((clusters / (clusters - 1)) ** 0.5) * quantile)
    return percentile_interval(statistics, float(1 - 2 * tail))


def agreement(
    pairs: Sequence[tuple[int, int]],
    agree: Sequence[bool],
    clusters: np.ndarray,
    *,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Return in which part of pairs of runs both agree, with its 95% interval over clusters.

    A pair occurs in a resample as often as both clusters do together, or as the one that both are
    of; copies of a cluster are not paired with one another.

    Args:
        pairs: places of two runs each.
        agree: whether they do.
        clusters: number of each run's cluster, from 0; (N,).
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        Without a value if there are no pairs; without an interval where fewer than ten clusters
        have any.
    """
    if not pairs:
        return NOT_DEFINED
    one, other = np.array(pairs).T  # (pairs,) each
    value, right = float(np.mean(agree)), np.asarray(agree, dtype=np.float64)
    bearing = len(set(clusters[one]) | set(clusters[other]))
    if bearing < FEWEST_CLUSTERS:
        return Estimate(value=value, low=None, high=None)
    weights = cluster_weights(clusters, resamples, seed)
    same = clusters[one] == clusters[other]
    together = np.where(same, weights[:, one], weights[:, one] * weights[:, other])  # (B, pairs)
    total = together.sum(axis=1)
    drawn = np.divide(together @ right, total, out=np.full(len(total), np.nan), where=total > 0)
    low, high = few_clusters_interval(drawn, bearing)
    if high - low < _ROUNDING:  # all resamples agree, which says nothing of other clusters
        low, high = wilson_interval(value, bearing)
    return Estimate(value=value, low=float(low), high=float(high))


def _linear(design: np.ndarray, outcome: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Coefficients of least squares in each resample; (N, K), (N,), (B, N) -> (B, K)."""
    right = weights @ (design * outcome[:, None])  # (B, K)
    return _solved(_information(design, weights), right)


def _logistic(design: np.ndarray, outcome: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Coefficients of Firth's logistic regression in each resample; as `_linear`."""
    beta = np.zeros((len(weights), design.shape[1]))
    for _ in range(_MOST_ITERATIONS):
        chance = 1 / (1 + np.exp(-beta @ design.T))  # (B, N)
        variance = chance * (1 - chance)
        information = _information(design, weights * variance)
        inverse = np.linalg.pinv(information, hermitian=True)
        leverage = variance * (inverse.reshape(len(beta), -1) @ _products(design).T)
        score = (weights * (outcome - chance + leverage * (0.5 - chance))) @ design
        step = (inverse @ score[..., None])[..., 0]
        longest = np.abs(step).max(axis=1, keepdims=True)
        beta += step * np.minimum(1, _LONGEST_STEP / np.maximum(longest, _ROUNDING))
        if longest.max() < _CONVERGED:
            break
    return beta


def _information(design: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """X' W X of each resample; (N, K), (B, N) -> (B, K, K)."""
    width = design.shape[1]
    return (weights @ _products(design)).reshape(len(weights), width, width)


def _products(design: np.ndarray) -> np.ndarray:
    """The products of each run's predictors with one another; (N, K) -> (N, K * K)."""
    return (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)


def _solved(normal: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The smallest solution: a resample may lack what tells two predictors apart."""
    return (np.linalg.pinv(normal, hermitian=True) @ right[..., None])[..., 0]


def _bound(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
