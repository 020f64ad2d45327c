"""The tables of anyone's tagged rollouts: each format over all rows, and shares by step."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from formatlab.show.wording import fraction_text, name_text, percent_text

if TYPE_CHECKING:
    from rich.table import Table

_MOST_SPANS = 12
_MOST_FORMATS = 5
_NOTHING = 1e-9  # what rounding leaves of 0


@dataclass(frozen=True, kw_only=True, slots=True)
class FormatRow:
    """One tag over all rows, or all tags."""

    tag: str
    rows: int
    share: float
    share_interval: tuple[float, float] | None
    well_formed: float
    """Fraction of the rows."""
    mixed: float
    truncated: float
    accuracy: float | None
    """Of the rows that were graded; None without any."""
    accuracy_interval: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class StepRow:
    """One step."""

    step: float
    rows: int
    shares: dict[str, float]
    """Share of each tag that occurs."""
    graded: int
    correct: int


def format_table(rows: Sequence[FormatRow], whole: FormatRow) -> "Table":
    """Lay out a row a tag, and one over all."""
    from rich.table import Table

    graded = whole.accuracy is not None
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("format", no_wrap=True)
    for name in ("rows", "share, %", "well\nformed", "mixed", "cut\noff"):
        table.add_column(name, justify="right", vertical="bottom")
    if graded:
        table.add_column("accuracy, %", justify="right", vertical="bottom")
    for row in (*rows, whole):
        cells = [
            name_text(row.tag, 14),
            f"{row.rows:,}",
            _with_interval(row.share, row.share_interval),
            percent_text(row.well_formed),
            percent_text(row.mixed),
            percent_text(row.truncated),
        ]
        if graded:
            cells.append(_with_interval(row.accuracy, row.accuracy_interval))
        table.add_row(*cells, style="bold" if row is whole else "")
    return table


def step_table(rows: Sequence[StepRow], tags: Sequence[str]) -> "Table":
    """Lay out the shares of the commonest tags by step, or by spans of steps where there are many.

    Args:
        rows: every step, ascending.
        tags: every tag, most frequent first.
    """
    from rich.table import Table

    shown = tags if len(tags) <= _MOST_FORMATS + 1 else tags[:_MOST_FORMATS]
    graded = any(row.graded for row in rows)
    table = Table(box=None, pad_edge=False)
    names = ["step", "rows", *(name_text(tag, 12) for tag in shown)]
    names += ["other"] if len(shown) < len(tags) else []
    names += ["accuracy"] if graded else []
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for span in step_spans(rows, _MOST_SPANS):
        parts = [span.share(tag) for tag in shown]
        cells = [span.name, f"{span.rows:,}", *map(percent_text, parts)]
        if len(shown) < len(tags):
            cells.append(percent_text(max(0.0, 1 - sum(parts))))
        if graded:
            cells.append(fraction_text(span.accuracy))
        table.add_row(*cells)
    return table


@dataclass(frozen=True, kw_only=True, slots=True)
class StepSpan:
    """Neighbouring steps."""

    members: tuple[StepRow, ...]

    @property
    def name(self) -> str:
        """The step, or the first and the last."""
        first, last = (f"{row.step:.10g}" for row in (self.members[0], self.members[-1]))
        return first if first == last else f"{first}-{last}"

    @property
    def middle(self) -> float:
        """The mean of the steps."""
        return sum(row.step for row in self.members) / len(self.members)

    @property
    def rows(self) -> int:
        """Rows of all of them."""
        return sum(row.rows for row in self.members)

    def share(self, tag: str) -> float:
        """Share of a tag in their rows."""
        return sum(row.shares.get(tag, 0.0) * row.rows for row in self.members) / self.rows

    @property
    def accuracy(self) -> float | None:
        """Of the rows that were graded; None without any."""
        graded = sum(row.graded for row in self.members)
        return sum(row.correct for row in self.members) / graded if graded else None


def step_spans(rows: Sequence[StepRow], most: int) -> list[StepSpan]:
    """Put steps together into at most `most` spans of equal numbers of steps, as near as can be."""
    n = min(most, len(rows))
    bounds = [round(k * len(rows) / n) for k in range(n + 1)] if n else []
    return [StepSpan(members=tuple(rows[a:b])) for a, b in pairwise(bounds)]


def _with_interval(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None:
        return "-"
    if interval is None:
        return _percent(value)
    return f"{_percent(value)} [{', '.join(map(_percent, interval))}]"


def _percent(value: float) -> str:
    """A fraction in percent, with a decimal; what is not quite none or all is not rounded to it."""
    if value < _NOTHING or value > 1 - _NOTHING:
        return f"{100 * value:.0f}"
    return f"{min(max(100 * value, 0.1), 99.9):.1f}"
