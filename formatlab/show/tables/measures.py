"""Measures of sets of rollouts, a row for each: those that most readers look at first."""

from collections.abc import Mapping, Sequence
from typing import Any

from formatlab.measure.measures import FRACTIONS
from formatlab.show.tables.table import wide_console
from formatlab.show.wording import epoch_text, fraction_text, name_text

_NAME_WIDTH = 60
_SHORT = (
    ("accuracy", "accuracy", "all"),
    ("H(F)", "format_entropy_corrected", "all"),
    ("H(F|X)", "format_entropy_given_prompt_corrected", "all"),
    ("I(F;X)", "format_information", "all"),
    ("answers", "answer_distinct@k", "all"),
    ("texts", "text_distinct@k", "all"),
    ("chrF distance", "chrf_distance", "all"),
    ("chrF, right ones", "chrf_distance", "right"),
)
"""Columns: heading, measure and subset."""

_NOTE = (
    "Means with 95% intervals of a bootstrap over prompts. Entropies: nats, jackknifed. Answers, "
    "texts: different ones among {k} rollouts of a prompt. chrF distance: of two of its rollouts"
)


def print_measures(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a row for each set of rollouts.

    Args:
        rows: with `run`, `epoch` and the columns of `formatlab.measure.comparison.MEASURE_SCHEMA`.
    """
    from rich.table import Table

    sets: dict[tuple[str, float | None], dict[tuple[str, str], Mapping[str, Any]]] = {}
    for row in rows:
        of_set = sets.setdefault((row["run"], row["epoch"]), {})
        of_set[row["measure"], row["subset"]] = row
    table = Table("rollouts", box=None, pad_edge=False)
    table.add_column("epoch", justify="right")
    for heading, _, _ in _SHORT:
        table.add_column(heading, justify="right")
    for (run, epoch), found in sets.items():
        table.add_row(
            name_text(run, _NAME_WIDTH),
            "" if epoch is None else epoch_text(epoch),
            *(_cell(found.get((measure, subset))) for _, measure, subset in _SHORT),
        )
    wide_console().print(table)
    shown = [found.get(("text_distinct@k", "all")) for found in sets.values()]
    ks = sorted({row["k"] for row in shown if row is not None})
    print(f"\n{_NOTE.format(k=' or '.join(map(str, ks)) or 'some')}.")


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return "-"
    if row["measure"] in FRACTIONS:
        texts = [fraction_text(row[name]) for name in ("value", "low", "high")]
    else:
        texts = [
            "-" if row[name] is None else f"{round(row[name], 2) + 0.0:.2f}"
            for name in ("value", "low", "high")
        ]
    return texts[0] if row["low"] is None else f"{texts[0]} [{texts[1]}, {texts[2]}]"
