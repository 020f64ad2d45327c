"""Points and bars."""

from formatlab.show.figures.layout import Measured, Spread, spread


def test_one_seed_has_its_own_interval() -> None:
    found = spread([Measured(value=0.5, low=0.4, high=0.7)])
    assert found == Spread(middle=0.5, low=0.4, high=0.7)


def test_one_seed_without_interval_has_no_bar() -> None:
    found = spread([Measured(value=0.5, low=None, high=None)])
    assert found == Spread(middle=0.5, low=0.5, high=0.5)


def test_several_seeds_have_their_range() -> None:
    seeds = [Measured(value=value, low=0.0, high=1.0) for value in (0.25, 0.75, 0.5)]
    assert spread(seeds) == Spread(middle=0.5, low=0.25, high=0.75)
