"""How often the grader errs, per format: a verifier that errs by format would decide the winner.

The table is written by `python -m benchmarks.grading` and comes with the package.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from formatlab.errors import RunError
from formatlab.measure.wilson import wilson_interval

TABLE = "grader_error_rates.json"
"""Name of the packaged table."""

_FIELDS = frozenset(("source", "right", "refused", "wrong", "paid"))


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorRate:
    """The grader's errors on answers in one format, of one source or of all."""

    format: str
    source: str
    """Where the answers come from, and who says which of them are right; empty for all sources."""
    right: int
    """Answers that are right."""
    refused: int
    """Right answers that the grader took for wrong."""
    wrong: int
    """Answers that are wrong."""
    paid: int
    """Wrong answers that the grader took for right."""

    @property
    def false_negative(self) -> tuple[float, float, float] | None:
        """Share of right answers refused, with its interval; None where there were none."""
        return wilson(self.refused, self.right)

    @property
    def false_positive(self) -> tuple[float, float, float] | None:
        """Share of wrong answers paid, with its interval; None where there were none."""
        return wilson(self.paid, self.wrong)


def wilson(count: int, total: int) -> tuple[float, float, float] | None:
    """A share, and the ends of its 95% Wilson score interval; None of nothing."""
    if total == 0:
        return None
    low, high = wilson_interval(count / total, total)
    return count / total, float(low), float(high)


@cache
def error_rates() -> tuple[ErrorRate, ...]:
    """The measured error rates, by format and source.

    Raises:
        RunError: the packaged table is missing or damaged.
    """
    table = files("formatlab.measure") / TABLE
    try:
        formats = json.loads(table.read_text(encoding="utf-8"))["formats"]
        return tuple(
            ErrorRate(format=name, **{field: row[field] for field in _FIELDS})
            for name, rows in formats.items()
            for row in rows
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"the grader's error rates cannot be read from {table} ({error!r}); install formatlab "
            "anew, or write them with `python -m benchmarks.grading FOLDER`"
        ) from error


def grader_errors(tags: Iterable[str]) -> list[ErrorRate]:
    """The grader's errors in some formats, pooled over all sources it was tried on.

    Args:
        tags: `none` is passed over: there is no answer that the grader could read.

    Returns:
        One rate a tag, in their order; without answers for a format on which it was never tried,
        such as one of the user's own.

    Raises:
        RunError: the packaged table is missing or damaged.
    """
    return [_pooled(tag) for tag in tags if tag != "none"]


def _pooled(tag: str) -> ErrorRate:
    rates = [rate for rate in error_rates() if rate.format == tag]
    return ErrorRate(
        format=tag,
        source="",
        right=sum(rate.right for rate in rates),
        refused=sum(rate.refused for rate in rates),
        wrong=sum(rate.wrong for rate in rates),
        paid=sum(rate.paid for rate in rates),
    )
