"""Numbers and choices are those that `Random` itself draws, and leave it in the same state."""

from random import Random

import pytest

from formatlab.world.draw import below, one_of


@pytest.mark.parametrize("count", [*range(1, 70), 127, 128, 129, 1000, 2**40])
def test_numbers_are_those_of_the_standard_library(count: int) -> None:
    ours, theirs = Random(count), Random(count)
    for _ in range(50):
        assert below(ours.getrandbits, count) == theirs.randrange(count)
    assert ours.getstate() == theirs.getstate()


@pytest.mark.parametrize("count", range(1, 20))
def test_choices_are_those_of_the_standard_library(count: int) -> None:
    ours, theirs, options = Random(count), Random(count), "abcdefghijklmnopqrst"[:count]
    for _ in range(50):
        assert one_of(ours.getrandbits, options) == theirs.choice(options)
    assert ours.getstate() == theirs.getstate()
