"""The response of formats to the first update, for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from formatlab.measure.statistic import Estimate
from formatlab.show.tables.table import wide_console

OPTIMISERS = {"adamw": "AdamW", "sgd": "gradient descent"}
"""Name -> words."""
_MOST_RUNS = 30
"""Runs that are printed; of more, the file has all."""


def print_responses(
    rows: Sequence[Mapping[str, Any]],
    agreement: Mapping[tuple[str, str], tuple[Estimate, int]],
    *,
    fewest: int,
) -> None:
    """Print a line a run and format, and how far responses agree with what came.

    Args:
        rows: see `formatlab.analysis.responses.Responses`.
        agreement: likewise.
        fewest: rollouts of a format below which it is not printed.
    """
    console = wide_console()
    runs = list(dict.fromkeys(row["run"] for row in rows))
    table = Table("run", "trained by", "format", box=None, pad_edge=False)
    headings = ("share", "AdamW", "gradient descent", "came, 1/4 epoch", "share at the end")
    for name in headings:
        table.add_column(name, justify="right")
    for run in runs[:_MOST_RUNS]:
        of_run = [row for row in rows if row["run"] == run and row["n_rollouts"] >= fewest]
        for place, row in enumerate(of_run):
            first = (run, f"{row['optimiser']} {row['loss_type']}") if place == 0 else ("", "")
            table.add_row(
                *first,
                row["tag"],
                f"{row['share']:.2f}",
                f"{row['adamw']:+.3f} ± {row['adamw_error']:.3f}",
                f"{row['sgd']:+.3f} ± {row['sgd_error']:.3f}",
                f"{row['change']:+.3f}",
                f"{row['end_share']:.2f}",
            )
    console.print(table)
    if len(runs) > _MOST_RUNS:
        console.print(f"\n{len(runs) - _MOST_RUNS} more runs are in the file that --output writes.")
    console.print(
        "\nChange of the logarithm of a format's share: in the first update at the full learning "
        "rate, as AdamW scales the gradient and as gradient descent leaves it (as large over all), "
        "with standard errors; and what came in the first quarter epoch."
    )
    console.print()
    for (trained_by, name), (found, count) in agreement.items():
        console.print(
            f"{count} runs by {OPTIMISERS[trained_by]}: correlation of what came with the "
            f"response by {OPTIMISERS[name]} {estimate_text(found)}"
        )


def estimate_text(estimate: Estimate) -> str:
    """The value with its interval, if it has one."""
    interval = "" if estimate.low is None else f" [{estimate.low:.2f}, {estimate.high:.2f}]"
    return f"{estimate.value:.2f}{interval}"
