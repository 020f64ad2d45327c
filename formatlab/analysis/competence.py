"""Scale or competence: does a base's size decide which kind of format wins, or what it has learned?

The larger of two bases of one pretraining budget has learned more, so scale and competence go
together; intermediate bases part them. Two questions are asked of the runs of a study:

* A regression of how a run ends on the logarithm of the parameters, on what its base is able to
  (`gap`, and the share of worked formats that RL starts from), and on both. What has an effect of
  its own keeps it beside the other.
* Pairs of runs whose bases are right equally often in every format: do they end alike although
  their scales differ, and do runs of one scale end otherwise where accuracies differ?

The runs of one pretraining are one cluster of every interval.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log10
from typing import Any

import numpy as np

from formatlab.errors import InputError
from formatlab.measure.regression import Kind, agreement, regression
from formatlab.measure.statistic import Estimate
from formatlab.show.run_result import RunResult
from formatlab.show.study import Study
from formatlab.show.tables.table import interval_columns
from formatlab.world.formats import EXECUTED

TOLERANCE = 0.1
"""Largest difference of two bases' accuracies, in each format, that counts as none."""
FEWEST_ROLLOUTS = 20
"""Rollouts of a base below which an accuracy says nothing."""

_LOG_PARAMETERS, _GAP, _SHARE = "log parameters", "accuracy gap", "worked share"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunPoint:
    """What a run started from, and how it ended."""

    run: str
    """Name of its folder."""
    scale: str
    parameters: int
    after: float
    """Fraction of its pretraining that the base has seen."""
    pretraining: str
    """Scale and seed of the base: the cluster."""
    shares: Mapping[str, float]
    """Format of the mixture -> share of the base's probe."""
    accuracies: Mapping[str, float | None]
    """Format of the mixture -> accuracy of the base; None below `FEWEST_ROLLOUTS`."""
    worked_share: float
    """Share of the base's probe that is in worked formats: those whose answer the model itself
    writes."""
    gap: float
    """Accuracy of the base in worked formats less that in executed ones."""
    winner: str
    """Of the last probe; may be undecided."""
    leader: str
    """The format with the largest share of the last probe."""
    end_share: float
    """Share of the last probe that is in worked formats."""

    @property
    def worked(self) -> bool:
        """Whether the leader is a worked format."""
        return self.leader not in EXECUTED


@dataclass(frozen=True, kw_only=True)
class Competence:
    """What decides the kind of format that wins; rows of equal keys, ready for files."""

    runs: Sequence[Mapping[str, Any]]
    """A row a run."""
    coefficients: Sequence[Mapping[str, Any]]
    """A row an outcome, model and predictor."""
    pairs: Sequence[Mapping[str, Any]]
    """A row a kind of pairs of runs."""
    left_out: Mapping[str, int]
    """Why runs do not count -> how many."""


def competence(study: Study) -> Competence:
    """Ask whether scale or competence decides which kind of format wins.

    Args:
        study: runs of one setting, at several scales.

    Raises:
        InputError: the runs differ in more than scale, seed and pretraining, or none counts.
    """
    facts = [run.facts for run in study.runs]
    settings = {(of.chain or of.algorithm, of.reward, of.mixture_name) for of in facts}
    if len(settings) > 1:
        raise InputError(
            f"competence: the runs of {study.name} differ in more than scale, seed and pretraining "
            f"({len(settings)} combinations of stages, reward and mixture); give a study of one"
        )
    points: list[RunPoint] = []
    left_out: Counter[str] = Counter()
    for run in study.runs:
        found = _point(run)
        if isinstance(found, RunPoint):
            points.append(found)
        else:
            left_out[found] += 1
    if not points:
        reasons = "; ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise InputError(f"competence: no run of {study.name} counts: {reasons}")
    return Competence(
        runs=[_run_row(point) for point in points],
        coefficients=coefficient_rows(points),
        pairs=pair_rows(points),
        left_out=left_out,
    )


def coefficient_rows(points: Sequence[RunPoint]) -> list[dict[str, Any]]:
    """Return the coefficients of all models: scale, competence, and both.

    A coefficient is for one standard deviation of its predictor: log-odds that the leader is a
    worked format, and share of the last probe in worked formats.
    """
    rows: list[dict[str, Any]] = []
    for model, (predictors, counted) in _models(points).items():
        used = [point for point in points if counted(point)]
        if not used:
            continue
        table = np.array([[of(point) for of in predictors.values()] for point in used], float)
        outcomes: dict[str, tuple[Kind, list[float]]] = {
            "leader is worked": ("logistic", [float(point.worked) for point in used]),
            "end share of worked": ("linear", [point.end_share for point in used]),
        }
        clusters = _clusters(used)
        for outcome, (kind, values) in outcomes.items():
            found = regression(np.array(values), table, clusters, kind=kind)
            rows += [
                {
                    "outcome": outcome,
                    "model": model,
                    "predictor": name,
                    **_columns("coefficient", of),
                    "runs": len(used),
                    "pretrainings": int(clusters.max()) + 1,
                }
                for name, of in zip(predictors, found, strict=True)
            ]
    return rows


def pair_rows(points: Sequence[RunPoint]) -> list[dict[str, Any]]:
    """Return how often two runs end alike, by whether their scales and accuracies are alike."""
    clusters = _clusters(points)
    kinds: dict[tuple[bool, bool], list[tuple[int, int]]] = {
        (scale, matched): [] for matched in (True, False) for scale in (False, True)
    }
    for one, other in combinations(range(len(points)), 2):
        alike = _alike(points[one], points[other])
        if alike is not None:
            same_scale = points[one].scale == points[other].scale
            kinds[same_scale, alike].append((one, other))
    rows = []
    for (same_scale, alike), pairs in kinds.items():
        both = [(points[one], points[other]) for one, other in pairs]
        same_kind = agreement(pairs, [a.worked == b.worked for a, b in both], clusters)
        same_format = agreement(pairs, [a.leader == b.leader for a, b in both], clusters)
        rows.append(
            {
                "scale": "same" if same_scale else "different",
                "accuracy": "matched" if alike else "different",
                "pairs": len(pairs),
                "runs": len({place for pair in pairs for place in pair}),
                **_columns("same_kind", same_kind),
                **_columns("same_format", same_format),
            }
        )
    return rows


Predictor = Callable[[RunPoint], float | None]


def _models(
    points: Sequence[RunPoint],
) -> dict[str, tuple[dict[str, Predictor], Callable[[RunPoint], bool]]]:
    """The predictors of each model by name, and which runs have all of them."""
    scale: dict[str, Predictor] = {_LOG_PARAMETERS: lambda point: log10(point.parameters)}
    short: dict[str, Predictor] = {
        _GAP: lambda point: point.gap,
        _SHARE: lambda point: point.worked_share,
    }
    formats = list(points[0].shares)
    long: dict[str, Predictor] = {
        f"accuracy {form}": lambda point, form=form: point.accuracies[form] for form in formats
    }
    # The shares add up to nearly 1, so the last one tells nothing more.
    long |= {f"share {form}": lambda point, form=form: point.shares[form] for form in formats[:-1]}

    def every(point: RunPoint) -> bool:
        return True

    def by_format(point: RunPoint) -> bool:
        return None not in point.accuracies.values()

    return {
        "scale": (scale, every),
        "competence": (short, every),
        "both": (scale | short, every),
        "competence by format": (long, by_format),
        "both by format": (scale | long, by_format),
    }


def _point(run: RunResult) -> RunPoint | str:
    """A run's point, or why it does not count."""
    base, final = run.base, run.final
    if not run.done or base is None or final is None:
        return "not finished"
    if run.undertrained:
        return "of an undertrained base"
    worked, executed = _counts(base, worked=True), _counts(base, worked=False)
    if min(worked[0], executed[0]) < FEWEST_ROLLOUTS:
        return f"of a base with fewer than {FEWEST_ROLLOUTS} rollouts of a kind of format"
    if final["leader"] == "none":
        return "that end in no format"
    facts, of_base = run.facts, {row["tag"]: row for row in base["formats"]}
    absent = {"rollouts": 0, "share": 0.0, "accuracy": None}
    rows = {form: of_base.get(form, absent) for form in facts.mixture}
    return RunPoint(
        run=run.name,
        scale=facts.scale,
        parameters=facts.parameters,
        after=facts.after,
        pretraining=f"{facts.scale} w{facts.world_seed}s{facts.base_seed}",
        shares={form: row["share"] for form, row in rows.items()},
        accuracies={
            form: row["accuracy"] if row["rollouts"] >= FEWEST_ROLLOUTS else None
            for form, row in rows.items()
        },
        worked_share=worked[0] / base["n_rollouts"],
        gap=worked[1] / worked[0] - executed[1] / executed[0],
        winner=final["winner"],
        leader=final["leader"],
        end_share=_counts(final, worked=True)[0] / final["n_rollouts"],
    )


def _counts(probe: Mapping[str, Any], *, worked: bool) -> tuple[int, int]:
    """Rollouts in formats of a kind, and how many are right."""
    rows = [
        row
        for row in probe["formats"]
        if row["tag"] != "none" and (row["tag"] not in EXECUTED) == worked
    ]
    return sum(row["rollouts"] for row in rows), sum(row["correct"] for row in rows)


def _alike(one: RunPoint, other: RunPoint) -> bool | None:
    """Whether the accuracies of two bases are alike in every format; None where one is missing."""
    pairs = [(one.accuracies[form], other.accuracies.get(form)) for form in one.accuracies]
    if any(a is None or b is None for a, b in pairs):
        return None
    return all(abs(a - b) <= TOLERANCE for a, b in pairs if a is not None and b is not None)


def _clusters(points: Sequence[RunPoint]) -> np.ndarray:
    """The number of each run's pretraining, from 0; (N,)."""
    return np.unique([point.pretraining for point in points], return_inverse=True)[1]


def _run_row(point: RunPoint) -> dict[str, Any]:
    return {
        "run": point.run,
        "scale": point.scale,
        "parameters": point.parameters,
        "pretraining": point.pretraining,
        "after": point.after,
        **{f"share_{form}": share for form, share in point.shares.items()},
        **{f"accuracy_{form}": accuracy for form, accuracy in point.accuracies.items()},
        "worked_share": point.worked_share,
        "gap": point.gap,
        "winner": point.winner,
        "leader": point.leader,
        "worked": point.worked,
        "end_share": point.end_share,
    }


def _columns(name: str, of: Estimate) -> dict[str, float | None]:
    """An estimate as three columns; empty where it is not defined."""
    value = None if np.isnan(of.value) else of.value
    return interval_columns(name, None if value is None else (value, of.low, of.high))
