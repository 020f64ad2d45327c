"""Probes of models: the formats and other measures of one, and a row for each of several."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from formatlab.measure import PassRate, pass_rates, winners
from formatlab.measure.bootstrap import FEWEST_CLUSTERS
from formatlab.show.tables.grader import print_grader_errors
from formatlab.show.tables.table import wide_console
from formatlab.show.wording import name_text, parameters_text
from formatlab.store.rollout import Rollout, rollouts_to_table

if TYPE_CHECKING:
    from rich.table import Table

_NAME_WIDTH = 60


@dataclass(frozen=True, kw_only=True)
class ProbedModel:
    """A model and its rollouts, measured."""

    name: str
    """Short, and different from those of the others."""
    parameters: int
    rows: Sequence[Rollout]
    winner: Mapping[str, Any]
    """The row of `winners.parquet` that the rollouts make."""
    passes: Sequence[PassRate]
    """pass@k by k, from 1."""
    flexible: PassRate
    """Accuracy by the flexible reading."""
    distinct: float
    """Different answers of a prompt, on average."""

    @property
    def truncated(self) -> float:
        """Share of the rollouts that the length limit ended."""
        return sum(row.truncated for row in self.rows) / len(self.rows)

    @property
    def leader(self) -> Mapping[str, Any]:
        """The leading format: its share and accuracy, with intervals."""
        return next(of for of in self.winner["formats"] if of["tag"] == self.winner["leader"])


def probed_model(
    name: str, parameters: int, rows: Sequence[Rollout], *, distinct: float
) -> ProbedModel:
    """Measure the rollouts of a model.

    Args:
        name: of the model.
        parameters: total.
        rows: its rollouts, at least one, all graded.
        distinct: different answers of a prompt, on average.
    """
    samples = Counter(row.prompt_id for row in rows)
    strict = Counter(row.prompt_id for row in rows if row.correct)
    flexible = Counter(row.prompt_id for row in rows if row.flexible_correct)
    (winner,) = winners(rollouts_to_table(rows)).to_pylist()
    counts = list(samples.values())
    return ProbedModel(
        name=name,
        parameters=parameters,
        rows=rows,
        winner=winner,
        passes=pass_rates([strict[prompt] for prompt in samples], counts),
        flexible=pass_rates([flexible[prompt] for prompt in samples], counts)[0],
        distinct=distinct,
    )


def print_probe(of: ProbedModel) -> None:
    """Print the formats of a model, pass@k, the winner, entropies and truncation."""
    winner, samples = of.winner, of.winner["samples_per_prompt"]
    console = wide_console()
    formats = sorted(winner["formats"], key=lambda row: -row["share"])
    console.print(_format_table(formats))
    print_grader_errors((row["tag"] for row in formats), console)
    entropies = [row.entropy for row in of.rows if row.entropy is not None]
    rates = [f"pass@{one.k} {_rate(one)}" for one in of.passes]
    print(
        f"\naccuracy {winner['accuracy']:.3f}, by the flexible reading {_rate(of.flexible)}; "
        f"{_winner(winner)}\n"
        f"{', '.join(rates)} (unbiased, intervals over prompts)\n"
        f"H(F) {winner['format_entropy']:.3f} nats, "
        f"H(F|X) {winner['format_entropy_given_prompt']:.3f} "
        f"nats (plug-in; compare at {samples} samples a prompt only)\n"
        f"distinct answers {of.distinct:.2f} of {samples} a prompt; "
        f"entropy {sum(entropies) / len(entropies):.3f} nats a token; "
        f"truncated {of.truncated:.1%}"
    )


def print_models(models: Sequence[ProbedModel]) -> None:
    """Print a row for each of several models that answered the same problems."""
    from rich.table import Table

    most = min(one.passes[-1].k for one in models)
    table = Table("model", "parameters", box=None, pad_edge=False)
    passes = [f"pass@{most}"] if most > 1 else []
    for title in ("accuracy", *passes, "flexible accuracy", "winner", "leader's share"):
        table.add_column(title)
    for title in ("H(F)", "truncated"):
        table.add_column(title, justify="right")
    for of in models:
        rates = [one for one in of.passes if one.k in (1, most)]
        table.add_row(
            name_text(of.name, _NAME_WIDTH),
            parameters_text(of.parameters),
            *map(_rate, [*rates, of.flexible]),
            of.winner["winner"],
            f"{of.winner['leader']} {_cell(of.leader, 'share')}",
            f"{of.winner['format_entropy']:.3f}",
            f"{of.truncated:.1%}",
        )
    wide_console().print(table)


def _format_table(formats: Sequence[Mapping[str, Any]]) -> "Table":
    """Share and accuracy of each format with their 95% intervals over prompts."""
    from rich.table import Table

    table = Table("format", "rollouts", "share", "accuracy", box=None, pad_edge=False)
    for row in formats:
        table.add_row(row["tag"], str(row["rollouts"]), _cell(row, "share"), _cell(row, "accuracy"))
    return table


def _cell(row: Mapping[str, Any], name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return _with_interval(row[name], None if low is None else (low, high))


def _rate(of: PassRate) -> str:
    return _with_interval(of.rate, of.interval)


def _with_interval(value: float, interval: tuple[float, float] | None) -> str:
    if interval is None:
        return f"{value:.3f}"
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


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
