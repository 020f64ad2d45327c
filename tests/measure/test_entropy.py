"""Format entropies against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from formatlab.measure.entropy import format_entropy, format_entropy_given_prompt

LN2 = 0.693147


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
