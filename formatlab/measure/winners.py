"""Winners: the format with the largest share in each probe of a run, with its interval.

`winners` measures probe rollouts; `run_winners` reads them from a run folder and adds the collapse
step of its training rollouts. Each row has the `MEASURES` beside its winner, and the gain in
accuracy since the base with its parts.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from formatlab.measure.bootstrap import (
    DEFAULT_RESAMPLES,
    FEWEST_CLUSTERS,
    cluster_interval,
    resampled,
)
from formatlab.measure.collapse import DEFAULT_THRESHOLD, collapse_step
from formatlab.measure.counts import Rollouts, Tally, counts, tally_of_counts
from formatlab.measure.gain import Gain, gain_of_tallies
from formatlab.measure.probe_measures import MEASURES
from formatlab.measure.statistic import Estimate
from formatlab.store import RunFolder

UNDECIDED = "undecided"
"""The winner where the interval of the margin covers 0, or where there is none."""

VERSION = "3"
"""Raised when the same rollouts are measured otherwise; kept in the metadata of the table."""

PROBE_COLUMNS = ("epoch", "step", "prompt_id", "tag", "correct")
"""Columns of the probe rollouts that `winners` reads."""


FROM_DOCUMENTS = ("sft", "dpo")
"""Algorithms that learn from texts made beforehand. Their training rollouts, if any, were sampled
before the first step, so they cannot collapse."""


def _field(name: str, kind: pa.DataType, meaning: str, unit: str = "") -> pa.Field:
    metadata = {"description": meaning} | ({"unit": unit} if unit else {})
    return pa.field(name, kind, metadata=metadata)


_FORMAT = pa.struct(
    [
        _field("tag", pa.string(), "format, or none where no format was recognised"),
        _field("rollouts", pa.int64(), "probe rollouts with this tag"),
        _field("share", pa.float64(), "rollouts / n_rollouts"),
        _field("share_low", pa.float64(), "lower bound, 95%; null below 10 prompts"),
        _field("share_high", pa.float64(), "upper bound, 95%; null below 10 prompts"),
        _field("correct", pa.int64(), "correct rollouts with this tag"),
        _field("accuracy", pa.float64(), "correct / graded rollouts; null if none was graded"),
        _field(
            "accuracy_low",
            pa.float64(),
            "lower bound, 95%; null below 10 prompts, or if none",
        ),
        _field(
            "accuracy_high",
            pa.float64(),
            "upper bound, 95%; null below 10 prompts, or if none",
        ),
    ]
)

_WINNER = (
    _field("epoch", pa.float64(), "passes over the training prompts completed; 0 is the base"),
    _field("step", pa.int64(), "RL steps completed"),
    _field("winner", pa.string(), "the leader, or undecided where the interval covers 0"),
    _field("leader", pa.string(), "the format with the largest share, first by name if equal"),
    _field("runner_up", pa.string(), "the format with the second largest share; null if none"),
    _field("share", pa.float64(), "share of the leader"),
    _field("margin", pa.float64(), "share of the leader less that of the runner-up"),
    _field("margin_low", pa.float64(), "lower bound, 95%; null below 10 prompts"),
    _field("margin_high", pa.float64(), "upper bound, 95%; null below 10 prompts"),
    _field("n_prompts", pa.int64(), "prompts of the probe: the clusters of the bootstrap"),
    _field("n_rollouts", pa.int64(), "rollouts of the probe"),
    _field("samples_per_prompt", pa.int64(), "rollouts of each prompt; null if they differ"),
)
_GAIN = {
    "change": "accuracy less that of the base, each prompt with the same weight",
    "format": "part of the gain that comes from writing other formats",
    "skill": "part of the gain within formats, over all prompts; gain = gain_format + gain_skill",
    "routing": "part of gain_skill that comes from matching formats to prompts",
    "skill_within": "part of gain_skill within formats and prompts",
}
"""What the columns of a gain say, by the names of its parts."""
_FORMATS = _field("formats", pa.list_(_FORMAT), "each tag that occurs at this epoch, by name")
_COLLAPSE = _field("collapse_step", pa.int64(), "of the run, the same in every row; null if none")


def winners_schema() -> pa.Schema:
    """Return the schema of `winners.parquet`.

    Each field's metadata has a `description`, that of the whole the `version` of the measurement.
    """
    measures = [
        _field(name, pa.float64(), measure.meaning, measure.unit)
        for name, measure in MEASURES.items()
    ]
    gains = [
        _field(_gain_column(part) + bound, pa.float64(), meaning + where)
        for part, meaning in _GAIN.items()
        for bound, where in (
            ("", "; null at the base and without one"),
            ("_low", "; lower bound, 95%; null below 10 prompts"),
            ("_high", "; upper bound, 95%; null below 10 prompts"),
        )
    ]
    fields = [*_WINNER, *measures, *gains, _FORMATS, _COLLAPSE]
    return pa.schema(fields, metadata={"version": VERSION})


def up_to_date(table: pa.Table) -> bool:
    """Whether a stored table is what `winners` would make of the same rollouts today."""
    schema = winners_schema()
    version = (table.schema.metadata or {}).get(b"version", b"1").decode()
    return version == VERSION and table.schema.equals(schema)


def winners(
    probe: Rollouts,
    *,
    collapse_step: int | None = None,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> pa.Table:
    """Find the winner of each epoch of a probe.

    Intervals are 95% percentile intervals of a cluster bootstrap over prompts, or Wilson's where
    all resamples agree. The margin of a
    resample is the share of the leader (of the whole sample) less the largest other share of that
    resample, so that a lead over two close rivals is judged against whichever comes second. With
    fewer than `FEWEST_CLUSTERS` prompts there is no interval and no winner. `none` (no format
    recognised) is counted like a format and may win.

    Args:
        probe: probe rollouts with `PROBE_COLUMNS`.
        collapse_step: stored in every row; see `formatlab.measure.collapse`.
        resamples: resamples of the bootstrap.
        seed: of the bootstrap.

    Returns:
        One row an epoch, ascending, with `winners_schema`.
    """
    counted = counts(probe, by=["epoch", "step", "prompt_id"])
    by_epoch = {
        epoch: counted.filter(pc.field("epoch") == epoch)
        for epoch in sorted(counted["epoch"].unique().to_pylist())
    }
    tallies = {epoch: tally_of_counts(of_epoch) for epoch, of_epoch in by_epoch.items()}
    base = tallies.get(0.0)
    matrices = [
        of for tally in tallies.values() for of in (tally.rollouts, tally.graded, tally.correct)
    ]
    drawn = resampled(matrices, resamples, seed)
    rows = [
        _epoch_row(tally, drawn[3 * place : 3 * place + 3])
        | {
            "epoch": epoch,
            "step": pc.max(by_epoch[epoch]["step"]).as_py(),  # pyright: ignore[reportAttributeAccessIssue]
            "collapse_step": collapse_step,
        }
        | _gain_columns(
            gain_of_tallies(base, tally, resamples=resamples, seed=seed)
            if base and epoch > 0
            else None
        )
        for place, (epoch, tally) in enumerate(tallies.items())
    ]
    return pa.Table.from_pylist(rows, schema=winners_schema())


def _gain_column(part: str) -> str:
    return "gain" if part == "change" else f"gain_{part}"


def _gain_columns(found: Gain | None) -> dict[str, float | None]:
    columns: dict[str, float | None] = {}
    for name in _GAIN:
        part: Estimate | None = getattr(found, name) if found else None
        columns[_gain_column(name)] = part.value if part else None
        columns[f"{_gain_column(name)}_low"] = part.low if part else None
        columns[f"{_gain_column(name)}_high"] = part.high if part else None
    return columns


def _epoch_row(counts: Tally, drawn: Sequence[np.ndarray]) -> dict[str, object]:
    by_tag = counts.rollouts.sum(axis=0)  # (F,)
    graded = counts.graded.sum(axis=0)  # (F,)
    correct = counts.correct.sum(axis=0)  # (F,)
    total = int(by_tag.sum())
    # Stable on counts: equal shares stay in the order of the names.
    order = np.argsort(-by_tag, kind="stable")
    leader = int(order[0])
    runner_up = int(order[1]) if len(order) > 1 else None
    second = by_tag[runner_up] if runner_up is not None else 0

    bounds = _bounds(counts, leader, drawn)
    margin_low, margin_high = bounds["margin"]
    decided = margin_low is not None and margin_low > 0
    return {
        "winner": counts.tags[leader] if decided else UNDECIDED,
        "leader": counts.tags[leader],
        "runner_up": counts.tags[runner_up] if runner_up is not None else None,
        "share": by_tag[leader] / total,
        "margin": (by_tag[leader] - second) / total,
        "margin_low": margin_low,
        "margin_high": margin_high,
        "n_prompts": len(counts.prompt_ids),
        "n_rollouts": total,
        "samples_per_prompt": counts.samples_per_prompt,
        **{name: measure.compute(counts) for name, measure in MEASURES.items()},
        "formats": [
            {
                "tag": tag,
                "rollouts": by_tag[i],
                "share": by_tag[i] / total,
                "share_low": bounds["share"][i][0],
                "share_high": bounds["share"][i][1],
                "correct": correct[i],
                "accuracy": correct[i] / graded[i] if graded[i] else None,
                "accuracy_low": bounds["accuracy"][i][0],
                "accuracy_high": bounds["accuracy"][i][1],
            }
            for i, tag in enumerate(counts.tags)
        ],
    }


def _bounds(counts: Tally, leader: int, drawn: Sequence[np.ndarray]) -> dict:
    """Return (low, high) of the margin, and of share and accuracy for each tag.

    Args:
        counts: of the probe.
        leader: index of the leading tag.
        drawn: rollouts, graded rollouts and correct rollouts of each resample; (B, F) each.
    """
    prompts, tags = counts.rollouts.shape
    if prompts < FEWEST_CLUSTERS:
        nothing = (None, None)
        return {"margin": nothing, "share": [nothing] * tags, "accuracy": [nothing] * tags}
    rollouts, graded, correct = drawn
    share = rollouts / rollouts.sum(axis=1, keepdims=True)
    accuracy = np.where(graded > 0, correct / np.maximum(graded, 1), np.nan)
    others = np.delete(share, leader, axis=1)
    margin = share[:, leader] - others.max(axis=1, initial=0.0)  # (B,)
    low, high = cluster_interval(margin, prompts, lowest=-1.0)
    bearing = (counts.graded > 0).sum(axis=0)  # (F,)
    return {
        "margin": (float(low), float(high)),
        "share": list(zip(*cluster_interval(share, prompts), strict=True)),
        "accuracy": [
            (None, None) if np.isnan(low) else (low, high)
            for low, high in zip(*cluster_interval(accuracy, bearing), strict=True)
        ],
    }


def run_winners(
    run: RunFolder,
    *,
    threshold: float = DEFAULT_THRESHOLD,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> pa.Table:
    """Measure the rollouts that a run has so far.

    Args:
        run: the run folder; it need not be done.
        threshold: smallest dominant share that counts as collapsed.
        resamples: resamples of the bootstrap.
        seed: of the bootstrap.

    Returns:
        One row an epoch of the probe, see `formatlab.measure.winners`; none without a probe.
    """
    collapsed = None
    if run.config.get("algorithm") not in FROM_DOCUMENTS:
        train = counts(run.rollout_batches("train", columns=["step", "tag"]), by=["step"])
        collapsed = collapse_step(
            train["step"].to_numpy(),
            train["tag"].to_pylist(),
            rollouts=train["n_rollouts"].to_numpy(),
            threshold=threshold,
        )
    probe = run.rollout_batches("probe", columns=PROBE_COLUMNS)
    return winners(probe, collapse_step=collapsed, resamples=resamples, seed=seed)
