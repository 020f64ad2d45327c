"""The table of collapses: how many runs of each arm collapse, to which format and at which step.

Under a reward without signal the same dominance is drift, counted in a column of its own.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import inf
from statistics import median
from typing import Any

from formatlab.measure import seed_interval
from formatlab.show.arm import Arm
from formatlab.show.run_result import RunResult
from formatlab.show.study import Study
from formatlab.show.tables.table import Table, interval_columns
from formatlab.show.wording import name_text, percent_text

_NOTE = (
    "Over finished seeds of a trained base. Collapsed: one format keeps 90% of the training "
    "rollouts from some step to the end. Step and rollouts: median over those seeds, of the "
    "training rollouts before that step. Share of the leading format and accuracy: of the last "
    "probe, mean over seeds with Student's 95% interval, the seeds being the sample. H(F): entropy "
    "of the formats in nats,"
)


def collapse_text(arm: Arm, step: int | None) -> str:
    """Return the cell for a run whose rollouts one format dominates from a step on."""
    if step is None:
        return "-"
    return f"step {step}" if arm.reward.has_signal else f"drift, step {step}"


def collapse_rows(study: Study) -> list[dict[str, Any]]:
    """Return one row an arm; runs are counted in `drifted` if the reward has no signal."""
    return [_row(arm) for arm in study.arms]


def collapse_table(study: Study) -> Table:
    """Return the table for people, one row an arm."""
    start = study.start_name
    return Table(
        name="collapse",
        # Without signal there is drift, and no collapse.
        title="Collapse and drift by arm" if study.any_without_signal else "Collapse by arm",
        headings=[
            *("arm", "seeds", "collapsed", "to", "step", "rollouts"),
            *("leading share [95%]", "accuracy [95%]", f"H(F) {start}", "H(F) end"),
        ],
        rows=[_cells(arm, _row(arm)) for arm in study.arms],
        note=f"{_NOTE} at the {start} and at the last probe.",
    )


def _cells(arm: Arm, row: Mapping[str, Any]) -> list[str]:
    if not row["n_seeds"]:
        return [arm.label, "0", *["-"] * 8]
    number = row["collapsed"] if arm.reward.has_signal else row["drifted"]
    count = f"{number} of {row['n_with_rollouts']}"
    if number is None:
        count = "no rollouts"
    elif not arm.reward.has_signal:
        count = f"drift: {count}"
    rollouts = row["median_rollouts"]
    return [
        arm.label,
        str(row["n_seeds"]),
        count,
        row["formats"] or "-",
        "-" if row["median_step"] is None else f"{row['median_step']:g}",
        "-" if rollouts is None else f"{rollouts:,.0f}",
        _interval_text(row, "share"),
        _interval_text(row, "accuracy"),
        _entropy_text(row["format_entropy_base"]),
        _entropy_text(row["format_entropy_final"]),
    ]


def _row(arm: Arm) -> dict[str, Any]:
    runs = arm.finished
    held = [run for run in runs if run.collapse_step is not None]
    # Learning from documents has no rollouts that could collapse.
    with_rollouts = [run for run in runs if run.training_shares]
    count = len(held) if with_rollouts else None
    formats = Counter(name_text(_dominant_format(run)) for run in held)
    starts = [run.base for run in runs if run.base]
    ends = [run.final for run in runs if run.final]
    return {
        "arm": arm.label,
        "algorithm": arm.algorithm,
        "reward": arm.reward.name,
        "parameters": arm.parameters,
        "n_seeds": len(runs),
        "n_with_rollouts": len(with_rollouts),
        "collapsed": count if arm.reward.has_signal else None,
        "drifted": None if arm.reward.has_signal else count,
        "formats": ", ".join(f"{tag} {number}" for tag, number in formats.most_common()),
        "median_step": median(run.collapse_step or 0 for run in held) if held else None,
        "median_rollouts": median(map(_rollouts_before, held)) if held else None,
        **_columns("share", ends, "share"),
        **_columns("accuracy", ends, "accuracy"),
        **_columns("format_entropy_base", starts, "format_entropy", highest=inf),
        **_columns("format_entropy_final", ends, "format_entropy", highest=inf),
    }


def _dominant_format(run: RunResult) -> str:
    """Return the leading format of the last step, as `collapse_step` defines dominance."""
    last = max(row["step"] for row in run.training_shares)
    of_step = [row for row in run.training_shares if row["step"] == last]
    return max(of_step, key=lambda row: row["rollouts"])["tag"]


def _rollouts_before(run: RunResult) -> int:
    """Return the training rollouts sampled before the step of the collapse."""
    step = run.collapse_step or 0
    totals = {row["step"]: row["total"] for row in run.training_shares if row["step"] < step}
    return sum(totals.values())


def _columns(
    name: str, probes: Sequence[Mapping[str, Any]], measure: str, *, highest: float = 1.0
) -> dict[str, float | None]:
    """Return the mean of a measure over the probes of seeds, and its interval."""
    known = [probe[measure] for probe in probes if probe[measure] is not None]
    if not known:
        return interval_columns(name, None)
    interval = seed_interval(known, highest=highest)
    return interval_columns(name, (interval.mean, interval.low, interval.high))


def _interval_text(row: Mapping[str, Any], name: str) -> str:
    mean, low, high = (row[key] for key in (name, f"{name}_low", f"{name}_high"))
    if mean is None:
        return "-"
    if low is None or high is None:
        return f"{percent_text(mean)} [one seed]"
    return f"{percent_text(mean)} [{percent_text(low)}, {percent_text(high)}]"


def _entropy_text(entropy: float | None) -> str:
    return "-" if entropy is None else f"{entropy:.2f}"
