"""Tables of tagged rollout files: each format over all rows, and shares by step.

The numbers come from counts of rows, well_formed, mixed, truncated, graded, correct and
flexible_correct, each an array over clusters of prompts or over steps, and over tags.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from formatlab.measure.bootstrap import ratio_intervals
from formatlab.show.tables.grader import print_grader_errors
from formatlab.show.wording import fraction_text, name_text, percent_text

if TYPE_CHECKING:
    import numpy as np
    from rich.table import Table

_MOST_SPANS = 12
_MOST_FORMATS = 5
_NOTHING = 1e-9  # rounding errors of 0


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
    flexible: float | None = None
    """Accuracy by the flexible reading."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepRow:
    """One step."""

    step: float
    rows: int
    shares: dict[str, float]
    """Share of each tag that occurs."""
    graded: int
    correct: int


def format_rows(tags: Sequence[str], counts: Mapping[str, "np.ndarray"]) -> list[FormatRow]:
    """The numbers of each tag, with intervals over clusters of prompts, and last those of all rows.

    Args:
        tags: F of them, in the order of the rows.
        counts: name -> (P, F).
    """
    rows, correct, graded = (counts[name] for name in ("rows", "correct", "graded"))
    totals = {name: cells.sum(axis=0) for name, cells in counts.items()}  # each (F,)
    shares = ratio_intervals(rows, rows.sum(axis=1, keepdims=True))
    accuracies = ratio_intervals(correct, graded)
    (overall,) = ratio_intervals(
        correct.sum(axis=1, keepdims=True), graded.sum(axis=1, keepdims=True)
    )
    made = [
        _format_row(
            tag,
            {name: numbers[i] for name, numbers in totals.items()},
            rows.sum(),
            shares[i],
            accuracies[i],
        )
        for i, tag in enumerate(tags)
    ]
    sums = {name: numbers.sum() for name, numbers in totals.items()}
    return [*made, _format_row("all", sums, rows.sum(), None, overall)]


def _format_row(
    tag: str,
    numbers: dict[str, float],
    n_rows: float,
    share: tuple[float, float] | None,
    accuracy: tuple[float, float] | None,
) -> FormatRow:
    n, graded = numbers["rows"], numbers["graded"]
    return FormatRow(
        tag=tag,
        rows=int(n),
        share=n / n_rows,
        share_interval=share,
        well_formed=numbers["well_formed"] / n,
        mixed=numbers["mixed"] / n,
        truncated=numbers["truncated"] / n,
        accuracy=numbers["correct"] / graded if graded else None,
        accuracy_interval=accuracy if graded else None,
        flexible=numbers["flexible_correct"] / graded if graded else None,
    )


def step_rows(
    steps: Sequence[float], tags: Sequence[str], counts: Mapping[str, "np.ndarray"]
) -> list[StepRow]:
    """The numbers of each step.

    Args:
        steps: S of them, ascending.
        tags: F of them.
        counts: name -> (S, F).
    """
    made = []
    for place, step in enumerate(steps):
        n = counts["rows"][place]
        made.append(
            StepRow(
                step=step,
                rows=int(n.sum()),
                shares={tag: n[i] / n.sum() for i, tag in enumerate(tags) if n[i]},
                graded=int(counts["graded"][place].sum()),
                correct=int(counts["correct"][place].sum()),
            )
        )
    return made


def print_tags(
    rows: Sequence[FormatRow],
    steps: Sequence[StepRow],
    *,
    reasons: Mapping[str, int] | None,
    interval: str,
) -> None:
    """Print the tables, with the errors of the grader where rows were graded.

    Args:
        rows: each tag, most frequent first, and last all rows.
        steps: every step, ascending.
        reasons: why graded rows are not correct, most frequent first; None if grading was off.
        interval: what the intervals are.
    """
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    *formats, whole = rows
    tags = [row.tag for row in formats]
    console.print(format_table(formats, whole))
    if any(row.share_interval for row in formats):
        print(f"\n[low, high] is the {interval}")
    if whole.accuracy is not None:
        said = ", ".join(f"{n:,} {reason}" for reason, n in (reasons or {}).items())
        print(f"not correct: {said or 'none'}")
        if whole.flexible != whole.accuracy:
            gain = [row for row in formats if row.flexible != row.accuracy]
            print(
                "flexible reading (else the last number that sentences commit to): "
                f"{_percent(whole.flexible or 0.0)}% right in all, "
                + ", ".join(f"{name_text(r.tag, 14)} {_percent(r.flexible or 0.0)}%" for r in gain)
            )
        print_grader_errors(tags, console)
    elif reasons is not None:
        print("\nnot graded: no column is known to hold the right answer; name it with --gold")
    if len(steps) > 1:
        counted = sum(step.rows for step in steps)
        some = "" if counted == whole.rows else f", {counted:,} rows that have one"
        print(f"\nshare by step ({len(steps):,} steps{some})")
        console.print(step_table(steps, tags))


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
    """Divide steps into at most `most` spans of about equal numbers of steps."""
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
    """A fraction in percent with a decimal, never rounded to 0% or 100%."""
    if value < _NOTHING or value > 1 - _NOTHING:
        return f"{100 * value:.0f}"
    return f"{min(max(100 * value, 0.1), 99.9):.1f}"
