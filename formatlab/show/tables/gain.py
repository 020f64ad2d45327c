"""The table of gains: how much of each run's change in accuracy is format, routing and skill."""

from collections.abc import Mapping, Sequence
from typing import Any

from formatlab.measure import SeedInterval, seed_interval
from formatlab.show.arm import Arm
from formatlab.show.run_result import RunResult
from formatlab.show.study import Study
from formatlab.show.tables.table import Table, interval_columns, run_columns
from formatlab.show.wording import epoch_text, interval_text, percent_text

_NOTE = (
    "Gain: accuracy of the last probe less that of the {start}, in percentage points. Format: what "
    "of it comes from writing other formats. Routing: what comes from matching formats to prompts. "
    "Skill: what is solved that was not, within formats and prompts. The three add up to the gain; "
    "where share and accuracy both change, each has half of what they do together (Shapley). "
    "Intervals: 95%, cluster bootstrap over prompts. Rows of seeds: mean over finished seeds of a "
    "trained base, with Student's 95% interval, the seeds being the sample."
)

_PARTS = ("gain", "gain_format", "gain_routing", "gain_skill_within")


def gain_rows(study: Study) -> list[dict[str, Any]]:
    """Return one row a run with both probes, and after the runs of an arm one of their mean.

    In the row of the mean `seed` and `run` are empty.
    """
    rows: list[dict[str, Any]] = []
    for arm in study.arms:
        rows += [_run_row(study, arm, run) for run in arm.runs if _is_known(run)]
        counted = [_run_row(study, arm, run) for run in arm.finished if _is_known(run)]
        if len(counted) > 1:
            of_mean: dict[str, Any] = dict.fromkeys(counted[0])
            of_mean |= {name: counted[0][name] for name in ("arm", "reward") if name in of_mean}
            of_mean |= {"parameters": arm.parameters, "n_seeds": len(counted)}
            for name in ("accuracy_base", "accuracy_final"):
                of_mean[name] = _over_seeds(counted, name).mean
            for name in _PARTS:
                found = _over_seeds(counted, name)
                of_mean |= interval_columns(name, (found.mean, found.low, found.high))
            rows.append(of_mean)
    return rows


def gain_table(study: Study) -> Table:
    """Return the table for people, with the rows of `gain_rows`."""
    cells, last = [], ""
    for row in gain_rows(study):
        seed = f"{row['n_seeds']} seeds" if row["run"] is None else f"{row['seed']}"
        cells.append(
            [
                "" if row["arm"] == last else row["arm"],
                f"{seed}{' *' if row['undertrained'] else ''}",
                "" if row["epoch"] is None else epoch_text(row["epoch"]),
                f"{percent_text(row['accuracy_base'])} to {percent_text(row['accuracy_final'])}",
                *(_interval_text(row, name) for name in _PARTS),
            ]
        )
        last = row["arm"]
    return Table(
        name="gain",
        title="Where the gain in accuracy comes from",
        headings=[
            *("arm", "seed", "epoch", "accuracy", "gain [95%]"),
            *("format [95%]", "routing [95%]", "skill [95%]"),
        ],
        rows=cells,
        note=_NOTE.format(start=study.start_name),
    )


def gain_lines(study: Study) -> list[str]:
    """Return a sentence for each arm with finished runs: its gain and the parts of it."""
    lines = []
    for arm in study.arms:
        runs = [_run_row(study, arm, run) for run in arm.finished if _is_known(run)]
        if not runs:
            continue
        total, by_format, routing, skill = (_over_seeds(runs, name) for name in _PARTS)
        interval = ""
        if total.low is not None and total.high is not None:
            interval = f" [{_points(total.low)}, {_points(total.high)}]"
        seeds = f"{len(runs)} seed{'' if len(runs) == 1 else 's'}"
        lines.append(
            f"{arm.label}: accuracy {_points(total.mean)} points{interval} over {seeds}: "
            f"{_points(by_format.mean)} by writing other formats, {_points(routing.mean)} by "
            f"matching formats to prompts, {_points(skill.mean)} by skill within formats."
        )
    return lines


def _is_known(run: RunResult) -> bool:
    return bool(run.base and run.final) and (run.final or {}).get("gain") is not None


def _run_row(study: Study, arm: Arm, run: RunResult) -> dict[str, Any]:
    base, final = run.base or {}, run.final or {}
    bounds = ("", "_low", "_high")
    return run_columns(study, arm, run) | {
        "undertrained": run.undertrained,
        "n_seeds": 1,
        "n_prompts": final["n_prompts"],
        "epoch": final["epoch"],
        "accuracy_base": base["accuracy"],
        "accuracy_final": final["accuracy"],
        **{f"{name}{bound}": final[f"{name}{bound}"] for name in _PARTS for bound in bounds},
    }


def _over_seeds(rows: Sequence[Mapping[str, Any]], name: str) -> SeedInterval:
    return seed_interval([row[name] for row in rows], lowest=-1.0)


def _points(share: float) -> str:
    return f"{round(100 * share):+d}"


def _interval_text(row: Mapping[str, Any], name: str) -> str:
    return interval_text(row[name], row[f"{name}_low"], row[f"{name}_high"])
