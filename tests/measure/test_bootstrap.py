"""The cluster bootstrap."""

import numpy as np
import pytest

from formatlab.measure import bootstrap
from formatlab.measure.bootstrap import (
    cluster_interval,
    percentile_interval,
    ratio_intervals,
    resampled,
)


def prompt_weights(prompts: int, resamples: int, seed: int) -> np.ndarray:
    """How often each prompt is drawn in each resample; (B, P)."""
    (weights,) = resampled([np.eye(prompts)], resamples, seed)
    return weights


def test_each_resample_draws_as_many_prompts_as_there_are() -> None:
    weights = prompt_weights(7, 500, seed=0)
    assert weights.shape == (500, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert weights.mean() == pytest.approx(1)
    assert weights.var() == pytest.approx(1 - 1 / 7, rel=0.1)


def test_the_seed_decides() -> None:
    assert (prompt_weights(9, 20, seed=3) == prompt_weights(9, 20, seed=3)).all()
    assert (prompt_weights(9, 20, seed=3) != prompt_weights(9, 20, seed=4)).any()


def test_weights_are_the_same_however_many_are_drawn_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = np.random.default_rng(0)
    matrices = [generator.integers(0, 9, shape) for shape in ((7, 3), (5, 2), (7, 1))]
    expected = [prompt_weights(len(counts), 40, seed=1) @ counts for counts in matrices]
    for most in (1, 14, 50, 10_000):
        monkeypatch.setattr(bootstrap, "_MOST_WEIGHTS", most)
        drawn = resampled(matrices, 40, seed=1)
        assert [found.tolist() for found in drawn] == [found.tolist() for found in expected]


def test_the_interval_holds_the_middle_of_the_resamples() -> None:
    low, high = percentile_interval(np.arange(1001.0)[:, None], level=0.9)
    assert (low.tolist(), high.tolist()) == (pytest.approx([50.0]), pytest.approx([950.0]))


def test_resamples_without_a_value_are_passed_over() -> None:
    statistics = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])
    low, high = percentile_interval(statistics, level=1.0)
    assert (low[0], high[0]) == (1.0, 3.0)
    assert np.isnan(low[1]) and np.isnan(high[1])


@pytest.mark.parametrize(
    ("value", "clusters", "lowest", "low", "high"),
    [
        (0.0, 32, 0.0, 0.0, 0.1072),
        (1.0, 10, 0.0, 0.7225, 1.0),
        (0.5, 16, 0.0, 0.2800, 0.7200),
        (1.0, 10, -1.0, 0.4449, 1.0),
        (0.0, 10, -1.0, -0.5268, 0.5268),
    ],
)
def test_where_all_resamples_agree_it_is_wilsons_with_the_clusters(
    value: float, clusters: int, lowest: float, low: float, high: float
) -> None:
    found = cluster_interval(np.full((50, 1), value), clusters, lowest=lowest)
    assert [of[0] for of in found] == pytest.approx([low, high], abs=1e-4)


def test_where_resamples_differ_it_is_that_of_the_percentiles() -> None:
    statistics = np.random.default_rng(0).random((400, 3))
    statistics[:, 1] = np.nan
    statistics[:, 2] = 1 / 3
    low, high = cluster_interval(statistics, np.array([10, 0, 20]))
    expected = percentile_interval(statistics)
    assert (low[0], high[0]) == (expected[0][0], expected[1][0])
    assert np.isnan(low[1]) and np.isnan(high[1])
    assert low[2] < 1 / 3 < high[2]


def test_intervals_cover_the_ratio_and_widen_with_clusters():
    generator = np.random.default_rng(0)
    rows = np.full((200, 1), 8.0)
    apart = generator.binomial(8, 0.3, size=(200, 1)).astype(float)
    together = 8.0 * generator.binomial(1, 0.3, size=(200, 1))
    (one,) = ratio_intervals(apart, rows)
    (other,) = ratio_intervals(together, rows)
    assert one is not None
    assert other is not None
    assert one[0] < apart.sum() / rows.sum() < one[1]
    assert other[1] - other[0] > 2 * (one[1] - one[0])


@pytest.mark.parametrize(
    ("numerators", "denominators", "expected"),
    [
        ([[3.0]], [[4.0]], [None]),
        ([[0.0, 2.0]] * 10, [[0.0, 2.0]] * 10, [None, (pytest.approx(0.722, abs=1e-3), 1.0)]),
        ([[0.0, 2.0]] * 9, [[0.0, 2.0]] * 9, [None, None]),
    ],
)
def test_no_interval_of_few_clusters_or_without_rows(
    numerators: list, denominators: list, expected: list
):
    assert ratio_intervals(np.array(numerators), np.array(denominators)) == expected
