"""The table of collapses: which arms collapse, to which format, when, and how good they are then.

Under a reward without signal the same is drift to one format, and counted in a column of its own.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import inf
from statistics import median
from typing import Any

from formatlab.measure import SeedInterval, seed_interval
from formatlab.show.arm import Arm
from formatlab.show.run_result import RunResult
from formatlab.show.study import Study
from formatlab.show.wording import name_text, percent_text


def collapse_title(study: Study) -> str:
    """Return the heading above the table; without signal there is drift, and no collapse."""
    return "Collapse and drift by arm" if study.any_without_signal else "Collapse by arm"


def collapse_note(study: Study) -> str:
    """Return what the columns of `collapse_table` are."""
    return f"{_NOTE} at the {study.start_name} and at the last probe."


_NOTE = (
    "Over finished seeds of a trained base. Collapsed: one format keeps 90% of the training "
    "rollouts from some step to the end. Step and rollouts: median over those seeds, of the "
    "training rollouts before that step. Share of the leading format and accuracy: of the last "
    "probe, mean over seeds with Student's 95% interval, the seeds being the sample. H(F): entropy "
    "of the formats in nats,"
)


def collapse_headings(study: Study) -> list[str]:
    """Return the headings of `collapse_table`."""
    return [
        *("arm", "seeds", "collapsed", "to", "step", "rollouts"),
        *("leading share [95%]", "accuracy [95%]", f"H(F) {study.start_name}", "H(F) end"),
    ]


def collapse_text(arm: Arm, step: int | None) -> str:
    """Return what is said of the step from which one format holds the rollouts of a run."""
    if step is None:
        return "-"
    return f"step {step}" if arm.has_signal else f"drift, step {step}"


def collapse_rows(study: Study) -> list[dict[str, Any]]:
    """Return one row an arm; `drifted` is counted where the reward has no signal."""
    return [_row(arm) for arm in study.arms]


def collapse_table(study: Study) -> list[list[str]]:
    """Return the rows that people read, under `collapse_headings`."""
    return [_cells(arm, _row(arm)) for arm in study.arms]


def _cells(arm: Arm, row: Mapping[str, Any]) -> list[str]:
    if not row["n_seeds"]:
        return [arm.label, "0", *["-"] * 8]
    number = row["collapsed"] if arm.has_signal else row["drifted"]
    count = f"{number} of {row['n_with_rollouts']}"
    rollouts = row["median_rollouts"]
    return [
        arm.label,
        str(row["n_seeds"]),
        "no rollouts" if number is None else count if arm.has_signal else f"drift: {count}",
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
    # What learns from documents has no rollouts that could collapse.
    rolled = [run for run in runs if run.training]
    count = len(held) if rolled else None
    finals = [run.final for run in runs if run.final]
    formats = Counter(name_text(_held_format(run)) for run in held)
    share = _interval([final["share"] for final in finals])
    accuracy = _interval([final["accuracy"] for final in finals])
    before = _interval([run.base["format_entropy"] for run in runs if run.base], highest=inf)
    after = _interval([final["format_entropy"] for final in finals], highest=inf)
    return {
        "arm": arm.label,
        "algorithm": arm.algorithm,
        "reward": arm.reward,
        "parameters": arm.parameters,
        "n_seeds": len(runs),
        "n_with_rollouts": len(rolled),
        "collapsed": count if arm.has_signal else None,
        "drifted": None if arm.has_signal else count,
        "formats": ", ".join(f"{tag} {number}" for tag, number in formats.most_common()),
        "median_step": median(run.collapse_step or 0 for run in held) if held else None,
        "median_rollouts": median(map(_rollouts_before, held)) if held else None,
        **_columns("share", share),
        **_columns("accuracy", accuracy),
        **_columns("format_entropy_base", before),
        **_columns("format_entropy_final", after),
    }


def _held_format(run: RunResult) -> str:
    """Return the format that leads the training rollouts of the last step, as collapse does."""
    last = max(row["step"] for row in run.training)
    of_step = [row for row in run.training if row["step"] == last]
    return max(of_step, key=lambda row: row["rollouts"])["tag"]


def _rollouts_before(run: RunResult) -> int:
    """Return the training rollouts sampled before the step of the collapse."""
    step = run.collapse_step or 0
    totals = {row["step"]: row["total"] for row in run.training if row["step"] < step}
    return sum(totals.values())


def _interval(values: Sequence[float | None], *, highest: float = 1.0) -> SeedInterval | None:
    known = [value for value in values if value is not None]
    return seed_interval(known, highest=highest) if known else None


def _columns(name: str, of: SeedInterval | None) -> dict[str, float | None]:
    return {
        name: of.mean if of else None,
        f"{name}_low": of.low if of else None,
        f"{name}_high": of.high if of else None,
    }


def _interval_text(row: Mapping[str, Any], name: str) -> str:
    mean, low, high = (row[key] for key in (name, f"{name}_low", f"{name}_high"))
    if mean is None:
        return "-"
    if low is None or high is None:
        return f"{percent_text(mean)} [one seed]"
    return f"{percent_text(mean)} [{percent_text(low)}, {percent_text(high)}]"


def _entropy_text(entropy: float | None) -> str:
    return "-" if entropy is None else f"{entropy:.2f}"
