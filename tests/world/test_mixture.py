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


OWN = Mixture(
    name="own", shares={"program": 0.5, "prose": 0.5}, mistranslates={"program": ("times", "fold")}
)


@pytest.mark.parametrize(
    ("text", "name", "mistranslates"),
    [
        ("program=.5,prose=.5", "program50-prose50", {"program": ("times", "fold")}),
        ("half: program=.5 , prose=.5", "half", {"program": ("times", "fold")}),
        ("program=.5/none,prose=.5", "program50-none-prose50", {}),
        ("program=.5/none,prose=.5/times+fold", "program50-none-prose50-times-fold", None),
        ("code_fenced=.125,prose=.875", "codefenced12.5-prose87.5", {}),
    ],
)
def test_mixtures_are_written_as_text(text: str, name: str, mistranslates: dict | None) -> None:
    read = Mixture.read(text, OWN)
    assert read.name == name
    assert read.mistranslates == (
        {"prose": ("times", "fold")} if mistranslates is None else mistranslates
    )


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=len(FORMATS)), st.data())
def test_the_text_of_a_mixture_gives_the_mixture(weights: list[int], data: st.DataObject) -> None:
    shares = {name: weight / sum(weights) for name, weight in zip(FORMATS, weights, strict=False)}
    phrases = st.lists(st.sampled_from(["times", "fold"]), min_size=1, unique=True).map(tuple)
    misread = data.draw(st.dictionaries(st.sampled_from(sorted(shares)), phrases))
    mixture = Mixture(name="a b+1", shares=shares, mistranslates=misread)
    assert Mixture.read(str(mixture), OWN) == mixture


@pytest.mark.parametrize("name", ["", ".", "a/b", "a\nb", "a:b", "a,b", "x="])
def test_a_name_that_folders_cannot_have_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="its name is part of folders' names"):
        Mixture(name=name, shares={"prose": 1.0})
