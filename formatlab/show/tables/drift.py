"""The verdict on an arm without signal: whether it drifted, and to which format.

The table of drift: how far each run's formats and accuracy are from its base.
"""

from dataclasses import dataclass
from typing import Any

from formatlab.measure import UNDECIDED, SeedInterval, attractor, seed_interval
from formatlab.show.arm import Arm
from formatlab.show.run_result import RunResult
from formatlab.show.study import Study
from formatlab.show.wording import epoch_text, interval_text, percent_text


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftVerdict:
    """What became of the formats of an arm that no reward pushed."""

    verb: str
    """`unchanged`, `stays with`, `drifts to`, `drifts further to`, `ends with`, or, without a
    format that leads in most seeds, `drifts to no one format`, `stays` or `ends undecided`."""
    end: str
    """The format that leads in most seeds at the end, or `undecided`."""
    start: str
    """The format that led in most seeds at the start, or `undecided`."""
    moved: int
    """Finished seeds in which the formats moved beyond chance."""
    measured: int
    """Finished seeds in which that could be told."""

    @property
    def drifted_to(self) -> str | None:
        """The format that it drifted to, None if it did not."""
        return self.end if self.verb in ("drifts to", "drifts further to") else None


def drift_verdict(arm: Arm) -> DriftVerdict:
    """Return what became of the formats of an arm's finished runs.

    They drifted if in more than half of the seeds they moved beyond chance, and to the format that
    leads in more than half and has gained.
    """
    drifts = [run.drift for run in arm.finished if run.drift]
    moved = sum(drift.beyond_chance for drift in drifts)
    start = attractor([run.base for run in arm.finished if run.base]).attractor
    end = arm.attractor.attractor
    most = 2 * moved > len(drifts)
    if drifts and not moved:
        verb = "unchanged"
    elif end == UNDECIDED:
        verb = "drifts to no one format" if most else "stays undecided"
        # A lead that was lost without most seeds moving is neither.
        verb = "ends undecided" if not most and start != UNDECIDED else verb
    elif most and arm.attractor.shares[end].mean > base_share(arm, end):
        verb = "drifts further to" if start == end else "drifts to"
    else:
        verb = "stays with" if start == end else "ends with"
    return DriftVerdict(verb=verb, end=end, start=start, moved=moved, measured=len(drifts))


def base_share(arm: Arm, tag: str) -> float:
    """Return the mean share of a format at the start of the finished runs."""
    bases = [
        sum(of["share"] for of in run.base["formats"] if of["tag"] == tag)
        for run in arm.finished
        if run.base
    ]
    return sum(bases) / len(bases) if bases else 0.0


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

_HEADINGS = ("arm", "seed", "epoch", "drift [95%]", "chance", "beyond chance")


def drift_title(study: Study) -> str:
    """Return the heading above the table."""
    return "Drift from the start of each run" if study.any_chain else "Drift from the base"


def drift_note(study: Study) -> str:
    """Return what the columns of `drift_table` are."""
    start = "base (what the run started from)"
    if study.any_chain:
        start = "start: of the base, or of the policy that the stages before left"
    return _NOTE.format(start=start, first=study.start_name) + _OF_CHAINS * study.any_chain


def drift_headings(study: Study) -> list[str]:
    """Return the headings of `drift_table`; stages after others have a further distance."""
    further = ["from the base [95%]"] * study.any_chain
    return [*_HEADINGS, "accuracy change [95%]", *further]


def drift_rows(study: Study) -> list[dict[str, Any]]:
    """Return one row a run that has both probes, and after each arm's one of their mean.

    `seed`, `run`, `floor` and `p_value` are empty in the row of the mean, whose `beyond_chance` is
    the number of seeds.
    """
    rows = []
    for arm in study.arms:
        rows += [_run_row(arm, run) for run in arm.runs]
        rows += _mean_rows(arm)
    known = [row for row in rows if row["total_variation"] is not None]
    if study.any_chain:
        return known
    return [{key: row[key] for key in row if key not in _FROM_BASE} for row in known]


def drift_table(study: Study) -> list[list[str]]:
    """Return the rows that people read, under `drift_headings`."""
    cells, last = [], ""
    chains = study.any_chain
    for row in drift_rows(study):
        accuracy = row["accuracy_change"]
        of_mean = row["run"] is None
        beyond = row["beyond_chance"]
        cells.append(
            [
                "" if row["arm"] == last else row["arm"],
                f"{row['n_seeds']} seeds"
                if of_mean
                else f"{row['seed']}{' *' if row['undertrained'] else ''}",
                "" if of_mean else epoch_text(row["epoch"]),
                interval_text(row["total_variation"], row["low"], row["high"]),
                "" if of_mean else percent_text(row["floor"]).removesuffix("%"),
                f"{beyond} of {row['n_seeds']}" if of_mean else ("yes" if beyond else "no"),
                "-"
                if accuracy is None
                else interval_text(accuracy, row["accuracy_low"], row["accuracy_high"]),
                *([_from_base_text(row)] if chains else []),
            ]
        )
        last = row["arm"]
    return cells


def _run_row(arm: Arm, run: RunResult) -> dict[str, Any]:
    drift, base, final = run.drift, run.base or {}, run.final or {}
    return _known(arm) | {
        "seed": run.seed,
        "run": run.name,
        "undertrained": run.undertrained,
        "n_seeds": 1,
        "n_prompts": drift.n_prompts if drift else None,
        "epoch": final.get("epoch"),
        "step": final.get("step"),
        "total_variation": drift.total_variation if drift else None,
        "low": drift.low if drift else None,
        "high": drift.high if drift else None,
        "floor": drift.floor if drift else None,
        "p_value": drift.p_value if drift else None,
        "beyond_chance": drift.beyond_chance if drift else None,
        "accuracy_base": base.get("accuracy"),
        "accuracy_final": final.get("accuracy"),
        "accuracy_change": drift.accuracy_change if drift else None,
        "accuracy_low": drift.accuracy_low if drift else None,
        "accuracy_high": drift.accuracy_high if drift else None,
        **_from_base(run),
    }


def _mean_rows(arm: Arm) -> list[dict[str, Any]]:
    """Return the row of the mean, if there are seeds to take it over."""
    runs = [run for run in arm.finished if run.drift]
    if len(runs) < 2:
        return []
    rows = [_run_row(arm, run) for run in runs]
    distance = _interval(rows, "total_variation")
    change = _interval(rows, "accuracy_change", lowest=-1.0)
    before, after = _interval(rows, "accuracy_base"), _interval(rows, "accuracy_final")
    return [
        _known(arm)
        | dict.fromkeys(("seed", "run", "undertrained"))
        | {
            "n_seeds": len(runs),
            "n_prompts": _common(rows, "n_prompts"),
            "epoch": _common(rows, "epoch"),
            "step": _common(rows, "step"),
            "total_variation": distance.mean if distance else None,
            "low": distance.low if distance else None,
            "high": distance.high if distance else None,
            "floor": None,
            "p_value": None,
            "beyond_chance": sum(row["beyond_chance"] for row in rows),
            "accuracy_base": before.mean if before else None,
            "accuracy_final": after.mean if after else None,
            "accuracy_change": change.mean if change else None,
            "accuracy_low": change.low if change else None,
            "accuracy_high": change.high if change else None,
            **_mean_from_base(rows),
        }
    ]


_FROM_BASE = ("from_base", "from_base_low", "from_base_high", "from_base_floor")
"""Columns of studies that have stages after others."""


def _from_base(run: RunResult) -> dict[str, float | None]:
    of = run.from_base
    values = (of.total_variation, of.low, of.high, of.floor) if of else (None,) * 4
    return dict(zip(_FROM_BASE, values, strict=True))


def _mean_from_base(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    of = _interval(rows, "from_base")
    values = (of.mean, of.low, of.high, None) if of else (None,) * 4
    return dict(zip(_FROM_BASE, values, strict=True))


def _from_base_text(row: dict[str, Any]) -> str:
    if row["from_base"] is None:
        return "-"
    return interval_text(row["from_base"], row["from_base_low"], row["from_base_high"])


def _known(arm: Arm) -> dict[str, Any]:
    return {
        "arm": arm.label,
        "algorithm": arm.algorithm,
        "reward": arm.reward,
        "parameters": arm.parameters,
    }


def _interval(rows: list[dict[str, Any]], name: str, *, lowest: float = 0.0) -> SeedInterval | None:
    """Return the mean over seeds of one column, None if a seed has no number in it."""
    values = [row[name] for row in rows]
    return None if None in values else seed_interval(values, lowest=lowest)


def _common(rows: list[dict[str, Any]], name: str) -> Any:
    """Return what all rows have in a column, None if they differ."""
    values = {row[name] for row in rows}
    return values.pop() if len(values) == 1 else None
