"""Scale or competence, for people: the coefficients of each model, and pairs of runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from formatlab.show.tables.table import wide_console
from formatlab.show.wording import fraction_text

Row = Mapping[str, Any]

_UNITS = {
    "leader is worked": "log-odds that the leader is a worked format",
    "end share of worked": "share of the last probe in worked formats",
}
_NOTE = (
    "A coefficient is for one standard deviation of its predictor over the runs; those of single "
    "formats are in the file alone. Intervals: 95%, of a bootstrap over pretrainings, widened as "
    "they are few; none below ten."
)


def print_competence(coefficients: Sequence[Row], pairs: Sequence[Row]) -> None:
    """Print a table an outcome, and one of pairs.

    Args:
        coefficients: see `formatlab.analysis.competence.coefficient_rows`.
        pairs: see `formatlab.analysis.competence.pair_rows`.
    """
    console = wide_console()
    predictors = list(
        dict.fromkeys(
            row["predictor"] for row in coefficients if not row["model"].endswith("by format")
        )
    )
    for outcome in dict.fromkeys(row["outcome"] for row in coefficients):
        of_outcome = [row for row in coefficients if row["outcome"] == outcome]
        table = Table(_UNITS[outcome], box=None, pad_edge=False)
        for name in (*predictors, "runs", "pretrainings"):
            table.add_column(name, justify="right")
        for model in dict.fromkeys(row["model"] for row in of_outcome):
            rows = {row["predictor"]: row for row in of_outcome if row["model"] == model}
            first = next(iter(rows.values()))
            if rows.keys() & set(predictors):
                cells = [_cell(rows.get(name), "coefficient") for name in predictors]
                table.add_row(model, *cells, str(first["runs"]), str(first["pretrainings"]))
        console.print(table)
        console.print()
    console.print(f"{_NOTE}\n")
    table = Table("pairs of runs: scale", "accuracies", box=None, pad_edge=False)
    for name in ("pairs", "runs", "same kind leads", "same format leads"):
        table.add_column(name, justify="right")
    for row in pairs:
        counts = (str(row["pairs"]), str(row["runs"]))
        alike = [_cell(row, name) for name in ("same_kind", "same_format")]
        table.add_row(row["scale"], row["accuracy"], *counts, *alike)
    console.print(table)


def _cell(row: Row | None, name: str) -> str:
    if row is None or row[name] is None:
        return "-"
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    text = _number if name == "coefficient" else fraction_text
    return text(value) if low is None else f"{text(value)} [{text(low)}, {text(high)}]"


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"
