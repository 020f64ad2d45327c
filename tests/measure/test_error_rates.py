"""The grader's error rates: the interval, and the table that comes with the package."""

from pathlib import Path
from typing import Any

import pytest

from formatlab.errors import RunError
from formatlab.measure import error_rates as module
from formatlab.measure.error_rates import error_rates, grader_errors, wilson
from formatlab.world.formats import FORMATS


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (1, 100, 0.0018, 0.0545),
        (0, 1319, 0.0, 0.0029),
    ],
)
def test_wilson_intervals(count: int, total: int, low: float, high: float) -> None:
    assert wilson(count, total) == pytest.approx((count / total, low, high), abs=5e-5)


def test_nothing_has_no_share() -> None:
    assert wilson(0, 0) is None


def test_every_format_has_been_measured() -> None:
    rates = error_rates()
    assert {rate.format for rate in rates} >= set(FORMATS)
    for rate in rates:
        assert 0 <= rate.refused <= rate.right
        assert 0 <= rate.paid <= rate.wrong
        assert rate.source


def test_no_controlled_rendering_is_graded_wrong() -> None:
    controlled = [rate for rate in error_rates() if "controlled world" in rate.source]
    assert {rate.format for rate in controlled} == set(FORMATS)
    for rate in controlled:
        assert rate.false_negative is not None and rate.false_negative[0] == 0
        assert rate.false_positive is not None and rate.false_positive[0] == 0


def test_the_sources_of_a_format_are_pooled() -> None:
    prose = [rate for rate in error_rates() if rate.format == "prose"]
    pooled, mine = grader_errors(["prose", "none", "mine"])
    assert (pooled.format, pooled.right) == ("prose", sum(rate.right for rate in prose))
    assert pooled.refused == sum(rate.refused for rate in prose)
    assert pooled.false_positive == wilson(pooled.paid, pooled.wrong)
    assert (mine.format, mine.false_negative, mine.false_positive) == ("mine", None, None)


@pytest.mark.parametrize("content", [None, "{}", "[]", "no json", '{"formats": {"prose": [{}]}}'])
def test_a_damaged_table_is_said_to_be_one(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / module.TABLE).write_text(content)

    def folder(_: Any) -> Path:
        return tmp_path

    monkeypatch.setattr(module, "files", folder)
    error_rates.cache_clear()
    with pytest.raises(RunError, match="write them with"):
        error_rates()
    error_rates.cache_clear()
