"""The table of the grader's errors in each format, which stands beside every accuracy."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from formatlab.measure import grader_errors
from formatlab.show.tables.table import interval_columns
from formatlab.show.wording import name_text

if TYPE_CHECKING:
    from rich.console import Console

GRADER_COMMAND = "python -m benchmarks.grading"
"""The command that measures the errors."""

GRADER_NOTE = (
    "Errors of the grader, which bound what an accuracy can say: right answers that it refused and "
    "wrong answers that it paid, with 95% Wilson intervals, pooled over what it was tried on in "
    "each format: verdicts published with Rho-1 and ToRA, solutions of GSM8K, MATH-500 and "
    "OpenMathInstruct-2, answers of many models read or run by other code, and renderings of the "
    "controlled world, most of them also held against a near miss."
)
"""The meaning of the errors, for a page that has room."""

GRADER_HEADINGS = ("format", "right answers refused", "wrong answers paid")

_TITLE = f"the grader's errors by format, 95% Wilson (docs/instruments.md; {GRADER_COMMAND})"


def grader_cells(tags: Iterable[str]) -> list[tuple[str, str, str]]:
    """Return a row of cells for each format but `none`, under `GRADER_HEADINGS`."""
    return [
        (
            name_text(rate.format, 14),
            error_text(rate.refused, rate.right, rate.false_negative),
            error_text(rate.paid, rate.wrong, rate.false_positive),
        )
        for rate in grader_errors(tags)
    ]


def print_grader_errors(tags: Iterable[str], console: "Console") -> None:
    """Print the table with its title; nothing where there are no formats."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in GRADER_HEADINGS:
        table.add_column(heading, no_wrap=True)
    for cells in grader_cells(tags):
        table.add_row(*map(Text, cells))
    if table.row_count:
        console.print(Text(f"\n{_TITLE}"))
        console.print(table)


def grader_rows(tags: Iterable[str]) -> list[dict[str, Any]]:
    """Return the numbers, one row a format."""
    return [
        {
            "tag": rate.format,
            "right_answers": rate.right,
            "refused": rate.refused,
            **interval_columns("false_negative", rate.false_negative),
            "wrong_answers": rate.wrong,
            "paid": rate.paid,
            **interval_columns("false_positive", rate.false_positive),
        }
        for rate in grader_errors(tags)
    ]


def grader_sentence(tags: Iterable[str]) -> str:
    """Return the largest of the rates in a sentence; nothing where the grader was never tried."""
    tried = [rate for rate in grader_errors(tags) if rate.right and rate.wrong]
    if not tried:
        return ""
    refused = max(rate.refused / rate.right for rate in tried)
    paid = max(rate.paid / rate.wrong for rate in tried)
    return (
        f"The grader was seen to refuse {_at_most(refused)} of the right answers in a format, and "
        f"to pay {_at_most(paid)} of the wrong ones (n and intervals: tables/grader_errors.csv)."
    )


def error_text(count: int, total: int, share: Sequence[float] | None) -> str:
    """Return a rate in words: `2 of 2,094: 0.10% [0.03, 0.35]`."""
    if share is None:
        return "not tried"
    middle, low, high = map(_percent, share)
    return f"{count:,} of {total:,}: {middle}% [{low}, {high}]"


def _percent(share: float) -> str:
    return f"{100 * share:.2f}" if share > 1e-9 else "0"


def _at_most(share: float) -> str:
    return f"at most {_percent(share)}%" if share else "none"
