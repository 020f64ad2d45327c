"""One probe of one model: the table of its formats, and the sentences below it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from formatlab.measure.bootstrap import FEWEST_CLUSTERS
from formatlab.show.tables.grader import print_grader_errors
from formatlab.store.rollout import Rollout

if TYPE_CHECKING:
    from rich.table import Table


def print_probe(
    rows: Sequence[Rollout], winner: Mapping[str, Any], *, samples: int, distinct: float
) -> None:
    """Print the formats, the winner, entropies and truncation.

    Args:
        rows: the rollouts, at least one.
        winner: the row of `winners.parquet` that they make.
        samples: of each prompt.
        distinct: different answers of a prompt, on average.
    """
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    formats = sorted(winner["formats"], key=lambda of: -of["share"])
    console.print(_format_table(formats))
    print_grader_errors((of["tag"] for of in formats), console)
    entropies = [row.entropy for row in rows if row.entropy is not None]
    print(
        f"\naccuracy {winner['accuracy']:.3f}; {_winner(winner)}\n"
        f"H(F) {winner['format_entropy']:.3f} nats, "
        f"H(F|X) {winner['format_entropy_given_prompt']:.3f} "
        f"nats (plug-in; compare at {samples} samples a prompt only)\n"
        f"distinct answers {distinct:.2f} of {samples} a prompt; "
        f"entropy {sum(entropies) / len(entropies):.3f} nats a token; "
        f"truncated {sum(row.truncated for row in rows) / len(rows):.1%}"
    )


def _format_table(formats: Sequence[Mapping[str, Any]]) -> "Table":
    """Share and accuracy of each format with their 95% intervals over prompts."""
    from rich.table import Table

    table = Table("format", "rollouts", "share", "accuracy", box=None, pad_edge=False)
    for row in formats:
        cells = [
            f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
            if row[f"{name}_low"] is not None
            else f"{row[name]:.3f}"
            for name in ("share", "accuracy")
        ]
        table.add_row(row["tag"], str(row["rollouts"]), *cells)
    return table


def _winner(row: Mapping[str, Any]) -> str:
    if row["margin_low"] is None:
        return (
            f"leader {row['leader']}, no winner: {row['n_prompts']} prompts, and intervals need "
            f"{FEWEST_CLUSTERS} or more"
        )
    return (
        f"winner {row['winner']} (leader {row['leader']}, margin {row['margin']:.3f} "
        f"[{row['margin_low']:.3f}, {row['margin_high']:.3f}])"
    )
