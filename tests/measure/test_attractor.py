"""The attractor of a scale."""

import pytest

from formatlab.measure.attractor import attractor, seed_interval


def final(winner: str, **shares: float) -> dict:
    return {
        "winner": winner,
        "formats": [{"tag": tag, "share": share} for tag, share in shares.items()],
    }


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a"], "a"),
        (["a", "a", "b"], "a"),
        (["a", "b"], "undecided"),
        (["a", "a", "b", "b"], "undecided"),
        (["a", "undecided", "undecided"], "undecided"),
        (["a", "a", "undecided", "b"], "undecided"),  # half is not more than half
        (["none", "none", "a"], "none"),
        ([], "undecided"),
    ],
)
def test_more_than_half_of_the_seeds_decide(names: list[str], expected: str) -> None:
    found = attractor([final(name, a=0.5, b=0.5) for name in names])
    assert found.attractor == expected
    assert found.n_seeds == len(names) == sum(found.wins.values())


def test_a_format_that_is_gone_counts_as_a_share_of_nothing() -> None:
    found = attractor([final("a", a=1.0), final("a", a=0.8, b=0.2)])
    assert {tag: share.mean for tag, share in found.shares.items()} == pytest.approx(
        {"a": 0.9, "b": 0.1}
    )
    assert list(found.shares) == ["a", "b"]


@pytest.mark.parametrize(
    ("n_seeds", "interval"),
    [  # with the quantiles 12.7062, 4.3027 and 2.7764 of printed tables
        (2, [0.49314690, 0.50585310]),
        (3, [0.49653876, 0.50412792]),
        (5, [0.49704525, 0.50375479]),
    ],
)
def test_the_interval_is_students(n_seeds: int, interval: list[float]) -> None:
    found = seed_interval([0.5 + 0.001 * (-1) ** i * i for i in range(n_seeds)])
    assert found.n_seeds == n_seeds
    assert [found.low, found.high] == pytest.approx(interval, abs=1e-6)


def test_many_seeds_have_the_quantile_of_their_number() -> None:
    found = seed_interval([0.4, 0.6] * 50)
    assert found.low is not None
    assert found.mean - found.low == pytest.approx(1.9842 * 0.1005038 / 10, rel=1e-4)


def test_the_interval_stays_a_share() -> None:
    found = seed_interval([0.9, 1.0, 0.2])
    assert (found.low, found.high) == (0.0, 1.0)


def test_one_seed_has_no_interval() -> None:
    found = seed_interval([0.7])
    assert (found.mean, found.low, found.high, found.n_seeds) == (0.7, None, None, 1)
