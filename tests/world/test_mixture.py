"""Mixtures: names and shares are checked when one is made."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatlab.errors import InputError
from formatlab.world.formats import FORMATS
from formatlab.world.mixture import Mixture


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shares": {"program": 0.5, "prosa": 0.5}}, "unknown format 'prosa'; known formats: pro"),
        ({"shares": {"program": 0.5, "prose": 0.4}}, "sum to 0.9, not to 1 .program 0.5, prose"),
        ({"shares": {}}, "sum to 0"),
        ({"shares": {"program": 1.5, "prose": -0.5}}, "share of program is 1.5"),
        ({"shares": {"program": float("nan")}}, "share of program is nan"),
        ({"shares": {"program": 1.0}, "mistranslates": {"sonnet": ("times",)}}, "'sonnet'"),
        (
            {"shares": {"program": 1.0}, "mistranslates": {"program": ("rhymes",)}},
            "program mistranslates 'rhymes', which is no phrase family; known: change, ",
        ),
    ],
)
def test_wrong_mixtures_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Mixture(name="m", **fields)
    assert "mixture 'm'" in str(caught.value)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=len(FORMATS)))
def test_shares_that_sum_to_one_up_to_rounding_are_taken(weights: list[int]) -> None:
    shares = {name: weight / sum(weights) for name, weight in zip(FORMATS, weights, strict=False)}
    assert Mixture(name="m", shares=shares).shares == shares
