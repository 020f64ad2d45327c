"""pass@k against the definition, spelt out, and against what is known of single cases."""

from itertools import combinations
from math import comb

import numpy as np
import pytest

from formatlab.measure import pass_at_k, pass_rates


@pytest.mark.parametrize(("n", "c"), [(1, 0), (1, 1), (4, 1), (5, 3), (6, 0), (6, 6)])
def test_it_is_the_share_of_choices_with_a_right_sample(n: int, c: int):
    right = [True] * c + [False] * (n - c)
    for k in range(1, n + 1):
        share = sum(map(any, combinations(right, k))) / comb(n, k)
        assert pass_at_k([c], [n], k) == pytest.approx([share])


def test_it_is_unbiased():
    n, k, p = 6, 3, 0.3
    chances = [comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    estimates = pass_at_k(range(n + 1), [n] * (n + 1), k)
    assert chances @ estimates == pytest.approx(1 - (1 - p) ** k)


@pytest.mark.parametrize("k", [0, 3])
def test_more_than_there_are_samples_is_refused(k: int):
    with pytest.raises(ValueError, match="samples of each prompt"):
        pass_at_k([1, 1], [4, 2], k)


@pytest.mark.parametrize(
    ("samples", "ks"), [(1, [1]), (2, [1, 2]), (4, [1, 2, 4]), (6, [1, 2, 4, 6])]
)
def test_k_goes_as_far_as_the_samples(samples: int, ks: list[int]):
    assert [of.k for of in pass_rates([1] * 12, [samples] * 12)] == ks


def test_the_first_is_the_accuracy_and_more_samples_pass_more():
    correct, samples = [0, 1, 2, 4] * 5, [4] * 20
    rates = pass_rates(correct, samples)
    assert rates[0].rate == pytest.approx(sum(correct) / sum(samples))
    assert [of.rate for of in rates] == sorted(of.rate for of in rates)
    for of in rates:
        assert of.interval is not None
        assert of.interval[0] < of.rate < of.interval[1]


def test_the_interval_is_over_prompts_and_not_over_samples():
    few, many = (pass_rates([samples // 2, 0] * 10, [samples] * 20)[0] for samples in (2, 32))
    assert few.interval is not None
    assert many.interval is not None
    assert np.subtract(*few.interval) == pytest.approx(np.subtract(*many.interval), rel=0.05)


def test_none_right_is_not_certain_to_be_none():
    (rate,) = pass_rates([0] * 32, [1] * 32)
    assert rate.rate == 0
    assert rate.interval is not None
    assert rate.interval[1] > 0.05


def test_few_prompts_have_no_interval_and_ungraded_ones_do_not_count():
    rates = pass_rates([1, 0, 0], [2, 3, 0])
    assert [(of.k, of.rate, of.interval) for of in rates] == [(1, 0.25, None), (2, 0.5, None)]
    assert pass_rates([0], [0]) == []
