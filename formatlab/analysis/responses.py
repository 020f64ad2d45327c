"""How far the first update moves each format, beside how far RL then moved it.

The response is measured on the model that a run started from, `formatlab.train.response`. Runs
write it before their first step; of older ones it is measured here and written beside the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any

import numpy as np

from formatlab.errors import InputError, RunError
from formatlab.forecast.case import EARLY, pretraining_of
from formatlab.measure.bootstrap import (
    DEFAULT_RESAMPLES,
    FEWEST_CLUSTERS,
    percentile_interval,
    resampled,
)
from formatlab.measure.counts import tally
from formatlab.measure.statistic import NOT_DEFINED, Estimate
from formatlab.store import RunFolder
from formatlab.store.runs_folder import is_run_folder
from formatlab.store.track import Track, untracked
from formatlab.store.weights import weights_digest

AFTER = EARLY[-1]
"""Epochs of RL after which shares are compared with the response."""
FEWEST_ROLLOUTS = 40
"""Rollouts of a format in the probe of the base below which its change says nothing."""


@dataclass(frozen=True, kw_only=True)
class Responses:
    """Responses and what came; rows of equal keys."""

    rows: Sequence[Mapping[str, Any]]
    """A row a run and format."""
    agreement: Mapping[tuple[str, str], tuple[Estimate, int]]
    """Optimiser of runs and of the response -> their correlation with the change of log share over
    the first quarter epoch, with a 95% interval over bases, and the number of runs."""


def measured_responses(runs: Sequence[RunFolder], *, track: Track = untracked) -> list[RunFolder]:
    """The runs that have a response; where it is missing and their start is there, it is measured.

    Args:
        runs: on-policy runs under a correctness reward.
        track: shows how far it is.

    Raises:
        RunError: a model is not what its folder says that it is.
    """
    from formatlab.train.response import write_response

    starts: dict[Path, dict[str, Path]] = {}
    for run in track(runs, "measuring responses"):
        if run.response() is not None:
            continue
        root = run.path.resolve().parent.parent
        if root not in starts:
            starts[root] = _starts(root)
        digest = run.config.get("start_sha256", "")
        start = starts[root].get(digest)
        if start is None:
            continue
        if weights_digest(start) != digest:
            raise RunError(
                f"{start} holds other weights than those that {run.path} started from; run the "
                "study again, and both are made anew"
            )
        write_response(run, start)
    return [run for run in runs if run.response()]


def responses(runs: Sequence[RunFolder]) -> Responses:
    """Put the responses of runs beside what came.

    Args:
        runs: with a response and probes.

    Raises:
        InputError: there are none.
    """
    rows = [row for run in runs for row in _rows(run)]
    if not rows:
        raise InputError(
            "no run has a response and a probe after a quarter epoch: it is measured of on-policy "
            "runs that train all weights of a small model, where the model they started from is "
            "still there"
        )
    agreement = {}
    for trained_by in ("adamw", "sgd"):
        used = [
            row
            for row in rows
            if row["optimiser"] == trained_by and row["n_rollouts"] >= FEWEST_ROLLOUTS
        ]
        count = len({row["run"] for row in used})
        for name in ("adamw", "sgd") if used else ():
            agreement[trained_by, name] = (_correlation(used, name), count)
    return Responses(rows=rows, agreement=agreement)


def _starts(root: Path) -> dict[str, Path]:
    """Digest of weights -> folder of the model, of bases and policies that a runs folder has."""
    found = {}
    for folder in filter(is_run_folder, root.glob("*/*")):
        summary = RunFolder.open(folder).summary or {}
        for name, model in (("sha256", "model"), ("policy_sha256", "policy")):
            if summary.get(name) and (folder / model).is_dir():
                found[summary[name]] = folder / model
    return found


def _rows(run: RunFolder) -> list[dict[str, Any]]:
    response, config, epochs = run.response() or {}, run.config, run.epochs("probe")
    if not response or AFTER not in epochs:
        return []
    counts = {epoch: _counts(run, epoch) for epoch in {0.0, AFTER, epochs[-1]}}
    totals = {epoch: sum(of.values()) for epoch, of in counts.items()}

    def share(epoch: float, tag: str) -> float:
        return counts[epoch].get(tag, 0) / totals[epoch]

    return [
        {
            "run": f"{config['study']}/{run.name}",
            "base": pretraining_of(config["base"]),
            "scale": config["scale"]["name"],
            "mixture": config["mixture_name"],
            "algorithm": config["algorithm"],
            "loss_type": config["settings"].get("loss_type", ""),
            "optimiser": config["settings"].get("optimiser", "adamw"),
            "seed": config["seed"],
            "tag": tag,
            "n_rollouts": counts[0.0].get(tag, 0),
            "share": share(0.0, tag),
            **of,
            "change": log(max(share(AFTER, tag), 0.5 / totals[AFTER]) / share(0.0, tag)),
            "end_share": share(epochs[-1], tag),
        }
        for tag, of in response.items()
        if counts[0.0].get(tag)
    ]


def _counts(run: RunFolder, epoch: float) -> dict[str, int]:
    counted = tally(run.rollouts("probe", epoch=epoch, columns=["prompt_id", "tag", "correct"]))
    return dict(zip(counted.tags, counted.rollouts.sum(axis=0).tolist(), strict=True))


def _correlation(rows: Sequence[Mapping[str, Any]], name: str) -> Estimate:
    """Pearson's, of the response and the change, over runs and formats.

    Each run's values are divided by their mean size: how far shares move in a quarter epoch is a
    matter of the learning rate, and which way is what the response says.
    """
    sums: dict[str, np.ndarray] = {}
    for run in dict.fromkeys(row["run"] for row in rows):
        of_run = [row for row in rows if row["run"] == run]
        x, y = (np.array([row[key] for row in of_run]) for key in (name, "change"))
        if not (np.abs(x).sum() and np.abs(y).sum()):
            continue
        x, y = x / np.abs(x).mean(), y / np.abs(y).mean()
        found = np.array([len(x), x.sum(), y.sum(), x @ x, y @ y, x @ y])
        base = of_run[0]["base"]
        sums[base] = sums.get(base, np.zeros(6)) + found
    if not sums:
        return NOT_DEFINED
    stacked = np.stack(list(sums.values()))
    value = float(_pearson(stacked.sum(axis=0)))
    if len(sums) < FEWEST_CLUSTERS:
        return Estimate(value=value, low=None, high=None)
    (drawn,) = resampled([stacked], DEFAULT_RESAMPLES, seed=0)  # (B, 6)
    low, high = percentile_interval(_pearson(drawn))
    return Estimate(value=value, low=float(low), high=float(high))


def _pearson(sums: np.ndarray) -> np.ndarray:
    """From (..., 6): n, sums of x, y, x squared, y squared and x y."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    return (n * xy - x * y) / np.sqrt((n * xx - x**2) * (n * yy - y**2))
