"""The table of drift: how far each run's formats and accuracy moved from where it started."""

from typing import Any

from formatlab.measure import Drift, SeedInterval, seed_interval
from formatlab.show.arm import Arm
from formatlab.show.run_result import RunResult
from formatlab.show.study import Study
from formatlab.show.tables.table import Table
from formatlab.show.wording import epoch_text, interval_text, percent_text

_NOTE = (
    "Drift: total variation distance between the format shares of the last probe and those of the "
    "{start}, in percentage points: half the sum of the differences, with its 95% "
    "cluster-bootstrap interval over prompts, paired. Chance: what two probes of an unchanged "
    "policy of that size stay within in 95 of 100 cases, by permutation of {first} and final "
    "inside each prompt; below it the interval says little, and one unchanged run in twenty is "
    "beyond it. Accuracy: change in percentage points, likewise. Rows of seeds: mean over finished "
    "seeds of a trained base, with Student's 95% interval, the seeds being the sample."
)

_OF_CHAINS = (
    " From the base: the same distance from the base below all stages, where the study has a run "
    "that starts there."
)

_FROM_BASE = ("from_base", "from_base_low", "from_base_high", "from_base_floor")
"""Columns of studies with stages after others."""


def drift_rows(study: Study) -> list[dict[str, Any]]:
    """Return one row a run with both probes, and after the runs of an arm one of their mean.

    In the row of the mean `seed`, `run`, `floor` and `p_value` are empty, and `beyond_chance` is a
    number of seeds.
    """
    rows = []
    for arm in study.arms:
        rows += [_run_row(arm, run, run.drift) for run in arm.runs if run.drift]
        rows += _mean_rows(arm)
    if study.any_chain:
        return rows
    return [{key: row[key] for key in row if key not in _FROM_BASE} for row in rows]


def drift_table(study: Study) -> Table:
    """Return the table for people, with the rows of `drift_rows`."""
    start = "base (what the run started from)"
    headings = ["arm", "seed", "epoch", "drift [95%]", "chance", "beyond chance"]
    headings += ["accuracy change [95%]"]
    if study.any_chain:
        start = "start: of the base, or of the policy that the stages before left"
        headings += ["from the base [95%]"]
    cells, last = [], ""
    for row in drift_rows(study):
        of_mean = row["run"] is None
        line = [
            "" if row["arm"] == last else row["arm"],
            *(_mean_cells(row) if of_mean else _run_cells(row)),
            _change_text(row, "accuracy_change", "accuracy_low", "accuracy_high"),
        ]
        if study.any_chain:
            line.append(_change_text(row, "from_base", "from_base_low", "from_base_high"))
        cells.append(line)
        last = row["arm"]
    return Table(
        name="drift",
        title="Drift from the start of each run" if study.any_chain else "Drift from the base",
        headings=headings,
        rows=cells,
        note=_NOTE.format(start=start, first=study.start_name) + _OF_CHAINS * study.any_chain,
    )


def _run_cells(row: dict[str, Any]) -> list[str]:
    return [
        f"{row['seed']}{' *' if row['undertrained'] else ''}",
        epoch_text(row["epoch"]),
        interval_text(row["total_variation"], row["low"], row["high"]),
        percent_text(row["floor"]).removesuffix("%"),
        "yes" if row["beyond_chance"] else "no",
    ]


def _mean_cells(row: dict[str, Any]) -> list[str]:
    return [
        f"{row['n_seeds']} seeds",
        "",
        interval_text(row["total_variation"], row["low"], row["high"]),
        "",
        f"{row['beyond_chance']} of {row['n_seeds']}",
    ]


def _change_text(row: dict[str, Any], name: str, low: str, high: str) -> str:
    return "-" if row[name] is None else interval_text(row[name], row[low], row[high])


def _run_row(arm: Arm, run: RunResult, drift: Drift) -> dict[str, Any]:
    base, final = run.base or {}, run.final or {}
    further = run.from_base
    return _arm_columns(arm) | {
        "seed": run.seed,
        "run": run.name,
        "undertrained": run.undertrained,
        "n_seeds": 1,
        "n_prompts": drift.n_prompts,
        "epoch": final.get("epoch"),
        "step": final.get("step"),
        "total_variation": drift.total_variation,
        "low": drift.low,
        "high": drift.high,
        "floor": drift.floor,
        "p_value": drift.p_value,
        "beyond_chance": drift.beyond_chance,
        "accuracy_base": base.get("accuracy"),
        "accuracy_final": final.get("accuracy"),
        "accuracy_change": drift.accuracy_change,
        "accuracy_low": drift.accuracy_low,
        "accuracy_high": drift.accuracy_high,
        "from_base": further.total_variation if further else None,
        "from_base_low": further.low if further else None,
        "from_base_high": further.high if further else None,
        "from_base_floor": further.floor if further else None,
    }


def _mean_rows(arm: Arm) -> list[dict[str, Any]]:
    """Return the row of the mean over seeds, none for fewer than two."""
    rows = [_run_row(arm, run, run.drift) for run in arm.finished if run.drift]
    if len(rows) < 2:
        return []
    distance = _interval(rows, "total_variation")
    change = _interval(rows, "accuracy_change", lowest=-1.0)
    before, after = _interval(rows, "accuracy_base"), _interval(rows, "accuracy_final")
    further = _interval(rows, "from_base")
    mean = {
        "n_seeds": len(rows),
        **{name: _common(rows, name) for name in ("n_prompts", "epoch", "step")},
        "total_variation": distance.mean if distance else None,
        "low": distance.low if distance else None,
        "high": distance.high if distance else None,
        "beyond_chance": sum(row["beyond_chance"] for row in rows),
        "accuracy_base": before.mean if before else None,
        "accuracy_final": after.mean if after else None,
        "accuracy_change": change.mean if change else None,
        "accuracy_low": change.low if change else None,
        "accuracy_high": change.high if change else None,
        "from_base": further.mean if further else None,
        "from_base_low": further.low if further else None,
        "from_base_high": further.high if further else None,
    }
    # The columns of a run, in their order; those without a mean are empty.
    return [dict.fromkeys(rows[0]) | _arm_columns(arm) | mean]


def _arm_columns(arm: Arm) -> dict[str, Any]:
    return {
        "arm": arm.label,
        "algorithm": arm.algorithm,
        "reward": arm.reward.name,
        "parameters": arm.parameters,
    }


def _interval(rows: list[dict[str, Any]], name: str, *, lowest: float = 0.0) -> SeedInterval | None:
    """Return the mean over seeds of one column, None if a seed has no number in it."""
    values = [row[name] for row in rows]
    return None if None in values else seed_interval(values, lowest=lowest)


def _common(rows: list[dict[str, Any]], name: str) -> Any:
    """Return the value of a column if all rows have the same one, else None."""
    values = {row[name] for row in rows}
    return values.pop() if len(values) == 1 else None
