"""Statistics: resamples of prompts, intervals of differences, and what bears on both sides."""

import math

import numpy as np
import pytest

from formatlab.measure.bootstrap import FEWEST_CLUSTERS
from formatlab.measure.statistic import (
    NOT_DEFINED,
    Estimate,
    difference,
    draws,
    estimate,
    matched,
    mean_of_prompts,
    ratio,
    retained,
)

PROMPTS = 40


def test_the_mean_of_prompts_is_of_those_that_have_a_value():
    found = mean_of_prompts("tokens", [1, math.nan, 3, 8], subset="right", k=4)
    assert found.key == ("tokens", "right", 4)
    assert found.value == 4
    assert found.counted.tolist() == [True, False, True, True]
    assert found.n_prompts == 3
    assert math.isnan(mean_of_prompts("tokens", [math.nan] * 3).value)


def test_a_ratio_over_nothing_is_not_defined():
    assert ratio(np.array([[1.0, 4.0], [0.0, 0.0]])).tolist() == pytest.approx(
        [0.25, math.nan], nan_ok=True
    )


def test_a_resample_draws_the_same_prompts_for_all_statistics():
    values = np.random.default_rng(0).normal(size=PROMPTS)
    one, doubled = (
        mean_of_prompts("tokens", of) for of in (values.tolist(), (2 * values + 1).tolist())
    )
    drawn, drawn_doubled = draws([one, doubled], resamples=2_000, seed=3)
    assert drawn.shape == (2_000,)
    assert drawn_doubled == pytest.approx(2 * drawn + 1)
    assert draws([one], resamples=2_000, seed=3)[0] == pytest.approx(drawn)
    assert draws([one], resamples=2_000, seed=4)[0] != pytest.approx(drawn)
    # The spread of a mean is that of its values over the root of their number.
    assert drawn.std() == pytest.approx(values.std() / math.sqrt(PROMPTS), rel=0.08)
    assert draws([]) == []


def test_means_of_both_sides_are_over_the_prompts_that_bear_on_both():
    one = mean_of_prompts("tokens", [1, 2, math.nan, 6])
    other = mean_of_prompts("tokens", [math.nan, 4, 5, 8])
    alone = mean_of_prompts("truncated", [1, 0, 0, 0])
    (found, kept), (back,) = matched([one, alone], [other]), matched([other], [one, alone])
    assert (found.value, back.value) == (4, 6)
    assert found.counted.tolist() == back.counted.tolist() == [False, True, False, True]
    assert kept is alone


@pytest.mark.parametrize("prompts", [FEWEST_CLUSTERS - 1, FEWEST_CLUSTERS])
def test_few_prompts_have_no_interval(prompts: int):
    found = estimate(0.5, np.linspace(0, 1, 101), prompts)
    assert found.value == 0.5
    assert (found.low is None) == (found.high is None) == (prompts < FEWEST_CLUSTERS)


def test_what_is_not_defined_has_no_value():
    nothing = np.full(5, math.nan)
    for fraction in (False, True):
        for found in (
            estimate(math.nan, nothing, PROMPTS, fraction=fraction),
            difference((0.5, math.nan), (np.ones(5), nothing[:1]), PROMPTS, fraction=fraction),
        ):
            assert math.isnan(found.value)
            assert (found.low, found.high) == (None, None)
    # A number may be known where no resample is.
    assert estimate(0.5, nothing, PROMPTS) == Estimate(value=0.5, low=None, high=None)


def test_the_bounds_are_percentiles_of_the_resamples():
    drawn = np.arange(101) / 100
    found = difference((0.2, 0.7), (np.zeros(101), drawn), PROMPTS, fraction=True)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.025, 0.975))


@pytest.mark.parametrize(
    ("before", "after", "low", "high"),
    # Wilson's upper bound for 0 of 10 is 0.27753.
    [(0.3, 0.9, 0.32247, 0.87753), (0, 1, 0.72247, 1), (0.5, 0.5, -0.27753, 0.27753)],
)
def test_fractions_on_which_all_resamples_agree_differ_by_none_of_the_prompts(
    before: float, after: float, low: float, high: float
):
    drawn_before, drawn_after = np.full(50, before), np.full(50, after)
    found = difference((before, after), (drawn_before, drawn_after), 10, fraction=True)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    back = difference((after, before), (drawn_after, drawn_before), 10, fraction=True)
    assert (back.low, back.high) == pytest.approx((-high, -low), abs=5e-5)
    few = difference((before, after), (drawn_before, drawn_after), 9, fraction=True)
    other = difference((before, after), (drawn_before, drawn_after), 10)
    assert (few.low, few.high) == (other.low, other.high) == (None, None)


def test_resamples_that_differ_in_the_last_bit_agree():
    after = np.where(np.arange(50) % 2, 0.3, np.nextafter(0.3, 1))
    found = difference((0.3, 0.3), (np.full(50, 0.3), after), 10, fraction=True)
    assert found.low is not None and found.high is not None
    assert found.low < -0.2 and found.high > 0.2


def test_what_is_retained_is_the_ratio_of_both_in_each_resample():
    before, after = 1 + np.arange(101) / 100, 2 + np.arange(101) / 50
    assert retained((1.5, 3.0), (before, after), PROMPTS) == Estimate(value=2, low=None, high=None)
    found = retained((1.5, 1.2), (np.full(101, 1.5), np.arange(101) / 50), PROMPTS)
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.05 / 1.5, 1.95 / 1.5))
    few = retained((1.5, 1.2), (before, after), FEWEST_CLUSTERS - 1)
    assert (few.value, few.low, few.high) == (pytest.approx(0.8), None, None)


@pytest.mark.parametrize("values", [(0.0, 1.0), (-1.0, 1.0), (1.0, -0.5), (math.nan, 1.0)])
def test_nothing_is_retained_of_what_is_not_above_zero(values: tuple[float, float]):
    found = retained(values, (np.ones(5), np.arange(5.0)), PROMPTS)
    assert found is NOT_DEFINED
    assert math.isnan(found.value) and (found.low, found.high) == (None, None)


def test_resamples_without_a_first_number_have_no_ratio():
    before = np.array([0.0, *np.linspace(1, 2, 101)])
    found = retained((1.5, 1.5), (before, np.full(102, 1.5)), PROMPTS)
    assert (found.value, found.low, found.high) == pytest.approx(
        (1, 1.5 / 1.975, 1.5 / 1.025), 1e-3
    )
    assert retained((1.5, 0.0), (before, np.zeros(102)), PROMPTS).value == 0
