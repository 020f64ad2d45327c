"""Counting parameters."""

import pytest
from tiny_llama import VOCABULARY, tiny_model

from formatlab.models.model import count_parameters


@pytest.mark.parametrize(("tied", "tables"), [(True, 1), (False, 2)])
def test_shared_parameters_count_once(tied: bool, tables: int) -> None:
    # per layer: queries and outputs 64 x 64, keys and values 64 x 32, three of 64 x 96, two norms
    layer = 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 96 + 2 * 64
    count = count_parameters(tiny_model(tied=tied))
    assert count.non_embedding == 2 * layer + 64
    assert count.total == count.non_embedding + tables * (len(VOCABULARY) + 1) * 64
