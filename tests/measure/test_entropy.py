"""Format entropies against values worked out by hand, the definitions, and a known policy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.spatial.distance import jensenshannon

from formatlab.measure.entropy import (
    corrected_entropies,
    entropy_of_samples,
    format_entropy,
    format_entropy_given_prompt,
    js_divergence,
)

LN2 = 0.693147

KNOWN = np.array([0.6, 0.2, 0.1, 0.05, 0.03, 0.02])
"""Shares of the formats that a policy writes; their entropy is 1.1919 nats."""

COUNTS = arrays(np.int64, st.integers(1, 5), elements=st.integers(0, 6))


@pytest.mark.parametrize(
    ("counts", "entropy"),
    [
        ([4, 2, 1, 1], 1.213008),  # AAAABBCD
        ([3, 2], 0.673012),  # AAABB; exp is 1.960132
        ([5], 0.0),
        ([5, 0], 0.0),
        ([1, 1], LN2),
        ([[2, 0], [0, 2]], LN2),  # two prompts, pooled
    ],
)
def test_entropy_of_all_rollouts(counts: list, entropy: float) -> None:
    assert format_entropy(np.array(counts)) == pytest.approx(entropy, abs=1e-6)


@pytest.mark.parametrize(
    ("counts", "entropy"),
    [
        ([[2, 0], [0, 2]], 0.0),  # each prompt has its own format
        ([[1, 1], [1, 1]], LN2),
        ([[2, 0], [1, 1]], LN2 / 2),
        ([[4, 2, 1, 1], [8, 0, 0, 0]], 1.213008 / 2),
        ([[1, 1], [100, 0]], LN2 / 2),  # prompts count alike, whatever their samples
    ],
)
def test_entropy_given_the_prompt(counts: list, entropy: float) -> None:
    assert format_entropy_given_prompt(np.array(counts)) == pytest.approx(entropy, abs=1e-6)


@given(arrays(np.int64, array_shapes(min_dims=2, max_dims=2), elements=st.integers(0, 9)))
def test_the_prompt_never_adds_entropy_at_equal_samples(counts: np.ndarray) -> None:
    counts = np.hstack([counts, counts.sum(axis=1).max() + 1 - counts.sum(axis=1, keepdims=True)])
    given_prompt, marginal = format_entropy_given_prompt(counts), format_entropy(counts)
    assert -1e-12 <= given_prompt <= marginal + 1e-12 <= np.log(counts.shape[1]) + 2e-12


@pytest.mark.parametrize("counts", [np.zeros((2, 3)), np.zeros((0, 3)), np.zeros((2, 0))])
def test_no_rollouts_have_no_entropy(counts: np.ndarray) -> None:
    for entropy in (format_entropy, format_entropy_given_prompt):
        with pytest.raises(ValueError, match="no rollouts"):
            entropy(counts)


@pytest.mark.parametrize("counts", [[0, 0], [1, 0], []])
def test_fewer_than_two_rollouts_have_no_corrected_entropy(counts: list[int]) -> None:
    assert np.isnan(corrected_entropies(np.array(counts)))


@pytest.mark.parametrize("n", [2, 3, 8, 1_000])
def test_a_single_format_has_no_corrected_entropy_to_tell(n: int) -> None:
    assert corrected_entropies(np.array([0, n, 0])) == 0


@given(COUNTS.filter(lambda counts: counts.sum() >= 2))
def test_the_correction_is_made_by_leaving_out_each_rollout(counts: np.ndarray) -> None:
    n = counts.sum()
    without = []
    for tag, count in enumerate(counts):
        fewer = counts.copy()
        fewer[tag] -= 1
        without += [format_entropy(fewer)] * count if count else []
    corrected = n * format_entropy(counts) - (n - 1) * np.mean(without)
    found = float(corrected_entropies(counts))
    assert found == pytest.approx(corrected, abs=1e-9)
    assert found >= format_entropy(counts) - 1e-9


def test_each_row_is_corrected_for_itself() -> None:
    counts = np.array([[[4, 2, 2], [1, 0, 0]], [[2, 0, 0], [3, 3, 0]]])
    found = corrected_entropies(counts)
    assert found.shape == (2, 2)
    assert np.isnan(found).tolist() == [[False, True], [False, False]]
    assert found[1].tolist() == [0, corrected_entropies(np.array([3, 3]))]


def test_the_correction_takes_out_most_of_the_bias() -> None:
    truth = float(-(KNOWN * np.log(KNOWN)).sum())
    assert truth == pytest.approx(1.1919, abs=1e-4)
    drawn = np.random.default_rng(0).multinomial(8, KNOWN, size=20_000)
    assert abs(corrected_entropies(drawn).mean() - truth) < 0.08
    assert format_entropy_given_prompt(drawn) == pytest.approx(truth - 0.3, abs=0.03)


@pytest.mark.parametrize("n", [2, 3, 8])
@pytest.mark.parametrize("counts", [[9, 4, 2, 1], [8, 1, 0], [5, 5], [8]])
def test_entropy_of_samples_is_what_they_show_on_average(counts: list[int], n: int) -> None:
    drawing = np.random.default_rng(n).multivariate_hypergeometric
    drawn = corrected_entropies(drawing(counts, n, size=20_000))
    error = drawn.std() / np.sqrt(len(drawn))
    assert float(entropy_of_samples(np.array(counts), n)) == pytest.approx(
        drawn.mean(), abs=4 * error + 1e-9
    )


def test_entropy_of_all_samples_is_their_own() -> None:
    rows = np.array([[4, 2, 1, 1, 0], [8, 0, 0, 0, 0]])
    assert entropy_of_samples(rows, 8) == pytest.approx(corrected_entropies(rows), abs=1e-9)


def test_entropy_of_many_samples_is_that_of_the_policy() -> None:
    rows = np.array([KNOWN, np.full(6, 1 / 6)]) * 60_000
    found = entropy_of_samples(rows.round(), 2_000)
    assert found == pytest.approx([1.1919, np.log(6)], abs=1e-3)


@pytest.mark.parametrize(
    ("shares", "others", "divergence"),
    [
        ([0.3, 0.7], [0.3, 0.7], 0.0),
        ([1, 0], [0, 1], LN2),
        ([0.5, 0.5, 0, 0], [0, 0, 0.1, 0.9], LN2),
        ([1, 0], [0.5, 0.5], 0.215762),  # H(3/4) - H(1/2) / 2
    ],
)
def test_js_divergence(shares: list, others: list, divergence: float) -> None:
    both = np.array(shares), np.array(others)
    assert js_divergence(*both) == pytest.approx(divergence, abs=1e-6)
    assert js_divergence(*reversed(both)) == js_divergence(*both)


@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_js_divergence_is_the_square_of_the_distance_of_scipy(seed: int, tags: int) -> None:
    shares, others = np.random.default_rng(seed).dirichlet(np.full(tags, 0.3), size=(2, 3))
    found = js_divergence(shares, others)
    expected = [jensenshannon(*pair) ** 2 for pair in zip(shares, others, strict=True)]
    assert found == pytest.approx(expected, abs=1e-9)
    assert np.all((found >= 0) & (found <= np.log(2) + 1e-12))
    assert js_divergence(others, shares) == pytest.approx(found)
