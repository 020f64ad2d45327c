"""Regressions over runs that come in clusters."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatlab.measure.regression import (
    Kind,
    agreement,
    cluster_weights,
    few_clusters_interval,
    regression,
)

SCALES, SEEDS, FRACTIONS = 4, 3, (0.15, 0.3, 0.6, 1.0)


def alone(count: int) -> np.ndarray:
    """Each run a cluster of its own."""
    return np.arange(count)


@given(
    cells=st.tuples(*[st.integers(1, 12)] * 4),
)
def test_a_table_of_two_by_two_has_half_a_run_more_in_each_cell(cells: tuple[int, ...]) -> None:
    # Firth's penalty of a saturated model (Heinze & Schemper 2002, section 2).
    both, left, right, neither = cells
    predictor = np.repeat([1.0, 1.0, 0.0, 0.0], [both, left, right, neither])
    outcome = np.repeat([1.0, 0.0, 1.0, 0.0], [both, left, right, neither])
    (found,) = regression(
        outcome, predictor[:, None], alone(len(outcome)), kind="logistic", resamples=2
    )
    odds = log((both + 0.5) * (neither + 0.5) / ((left + 0.5) * (right + 0.5)))
    assert found.value == pytest.approx(odds * predictor.std(), abs=1e-4)


def test_a_linear_coefficient_is_for_one_standard_deviation() -> None:
    generator = np.random.default_rng(0)
    predictors = generator.normal(size=(40, 2)) * [3.0, 0.1] + [5.0, -1.0]
    outcome = 2.0 + predictors @ [1.5, -4.0]
    found = regression(outcome, predictors, alone(40), kind="linear", resamples=50)
    wanted = predictors.std(axis=0) * [1.5, -4.0]
    assert [of.value for of in found] == pytest.approx(wanted.tolist())
    assert [of.low for of in found] == pytest.approx(wanted.tolist())  # there is no noise


def test_a_predictor_that_tells_the_outcome_exactly_has_a_finite_coefficient() -> None:
    predictor = np.linspace(-1, 1, 20)
    found = regression(
        (predictor > 0).astype(float), predictor[:, None], alone(20), kind="logistic"
    )[0]
    assert found.low is not None and found.high is not None
    assert 0 < found.low < found.value < found.high < 20


@pytest.mark.parametrize("kind", ["linear", "logistic"])
def test_what_does_not_vary_says_nothing(kind: Kind) -> None:
    generator = np.random.default_rng(0)
    predictors = np.column_stack([np.full(24, 3.0), generator.normal(size=24)])
    outcome = (generator.random(24) < 0.5).astype(float)
    constant, varying = regression(outcome, predictors, alone(24), kind=kind, resamples=50)
    (same,) = regression(outcome, predictors[:, 1:], alone(24), kind=kind, resamples=50)
    assert np.isnan(constant.value) and constant.low is None
    assert (varying.value, varying.low) == pytest.approx((same.value, same.low))
    for found in regression(np.ones(24), predictors, alone(24), kind=kind):
        assert np.isnan(found.value)
    for found in regression(outcome[:2], predictors[:2], alone(2), kind=kind):
        assert np.isnan(found.value)


@pytest.mark.parametrize(("clusters", "known"), [(9, False), (10, True)])
def test_few_clusters_have_no_interval(clusters: int, known: bool) -> None:
    generator = np.random.default_rng(0)
    predictor, outcome = generator.normal(size=(2, 4 * clusters))
    numbers = np.repeat(np.arange(clusters), 4)
    (found,) = regression(outcome, predictor[:, None], numbers, kind="linear", resamples=50)
    assert (found.low is not None) == known


def test_the_runs_of_a_cluster_are_drawn_together() -> None:
    clusters = np.array([0, 0, 1, 2, 2, 2])
    weights = cluster_weights(clusters, 300, seed=0)
    assert (weights[:, [0, 3, 4]] == weights[:, [1, 4, 5]]).all()
    assert (weights[:, 0] + weights[:, 2] + weights[:, 3] == 3).all()


def test_copies_of_a_run_make_no_interval_narrower() -> None:
    generator = np.random.default_rng(0)
    predictor, outcome = generator.normal(size=(2, 20))
    once = regression(outcome, predictor[:, None], alone(20), kind="linear")
    copies = regression(
        np.repeat(outcome, 5),
        np.repeat(predictor, 5)[:, None],
        np.repeat(alone(20), 5),
        kind="linear",
    )
    for one, other in zip(once, copies, strict=True):
        assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))


def test_an_interval_of_few_is_wider_by_as_much_as_students() -> None:
    drawn = np.random.default_rng(0).normal(size=200_000)
    low, high = few_clusters_interval(drawn, 12)
    half = 2.201 * (12 / 11) ** 0.5  # Student's quantile of 11 degrees of freedom
    assert (low, high) == pytest.approx((-half, half), abs=0.03)


def simulated(generator: np.random.Generator, cause: str) -> tuple[np.ndarray, ...]:
    """Log parameters, accuracy gap and worked share, the log-odds at the end, and the clusters.

    As in experiments/competence.py: the gap grows with scale and with pretraining, pretrainings
    differ in it and in how their runs end, and one of the two decides the end.
    """
    rows = []
    for scale in range(SCALES):
        for seed in range(SEEDS):
            talent, luck = generator.normal(0, 0.12), generator.normal(0, 0.5)
            for fraction in FRACTIONS:
                learned = 1 - np.exp(-2.2 * fraction * (1 + scale))
                gap = 0.75 * learned - 0.3 + talent * fraction + generator.normal(0, 0.03)
                share = generator.normal(0.6, 0.05)
                effect = {"scale": 2.7 * (scale - 1.5), "gap": 6 * gap, "nothing": 0.0}[cause]
                end = effect + 5 * (share - 0.6) + luck + generator.normal(0, 0.5)
                rows.append((scale, gap, share, end, scale * SEEDS + seed))
    scales, gaps, shares, ends, clusters = np.array(rows).T
    return np.column_stack([scales, gaps, shares]), ends, clusters.astype(int)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["linear", "logistic"])
@pytest.mark.parametrize(
    ("cause", "without_effect", "with_effect"),
    [("gap", [0], [1]), ("scale", [1], [0]), ("nothing", [0, 1], [])],
)
def test_what_has_no_effect_of_its_own_is_told_so_at_the_stated_rate(
    kind: Kind, cause: str, without_effect: list[int], with_effect: list[int]
) -> None:
    generator, studies = np.random.default_rng(1), 100
    covers = np.zeros(3)
    for _ in range(studies):
        predictors, ends, clusters = simulated(generator, cause)
        outcome = ends if kind == "linear" else (ends > 0).astype(float)
        found = regression(outcome, predictors, clusters, kind=kind, resamples=300)
        covers += [(of.low or 0) <= 0 <= (of.high or 0) for of in found]
    # 95 are expected of intervals of 95%; 88 or fewer come in one of 200 tries.
    assert (covers[without_effect] > 88).all(), covers
    assert (covers[with_effect] < 50).all(), covers


def test_agreement_counts_pairs() -> None:
    clusters = np.repeat(np.arange(10), 2)
    pairs = [(2 * of, 2 * of + 1) for of in range(10)]
    agree = [of < 7 for of in range(10)]
    found = agreement(pairs, agree, clusters)
    assert found.value == 0.7
    assert found.low is not None and found.high is not None
    assert 0.2 < found.low < 0.45 and 0.9 < found.high <= 1
    assert np.isnan(agreement([], [], clusters).value)
    few = agreement(pairs[:9], agree[:9], clusters)
    assert (few.value, few.low) == (pytest.approx(7 / 9), None)


def test_pairs_that_all_agree_leave_room_for_others() -> None:
    clusters = np.arange(12)
    pairs = [(one, other) for one in range(12) for other in range(one)]
    found = agreement(pairs, [True] * len(pairs), clusters)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low is not None and found.low == pytest.approx(0.757, abs=0.01)  # 12 of 12


def test_intervals_of_agreement_cover_what_pairs_of_all_runs_do() -> None:
    """Two runs agree with probability .7 x .7 + .3 x .3: each cluster ends in a kind by lot."""
    generator, covered = np.random.default_rng(0), 0
    clusters = np.repeat(np.arange(16), 2)
    pairs = [(one, other) for one in range(32) for other in range(one) if one // 2 != other // 2]
    for _ in range(100):
        kinds = (generator.random(16) < 0.7)[clusters]
        found = agreement(pairs, [kinds[a] == kinds[b] for a, b in pairs], clusters, resamples=300)
        assert found.low is not None and found.high is not None
        covered += found.low <= 0.58 <= found.high
    assert covered > 85
