"""Winners of a run folder, with the collapse step of its training rollouts."""

import pyarrow as pa

from formatlab.measure.bootstrap import DEFAULT_RESAMPLES
from formatlab.measure.collapse import DEFAULT_THRESHOLD, collapse_step
from formatlab.measure.counts import counts
from formatlab.measure.winners import PROBE_COLUMNS, winners
from formatlab.store import RunFolder

_FROM_EXAMPLES = ("sft", "dpo")
"""Algorithms whose training rollouts are all of step 0: what they start from, and no course."""


def run_winners(
    run: RunFolder,
    *,
    threshold: float = DEFAULT_THRESHOLD,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> pa.Table:
    """Measure a run from its rollouts, whatever of them is there yet.

    Args:
        run: the run folder; it need not be done.
        threshold: dominant share that counts as collapsed.
        resamples: resamples of the bootstrap.
        seed: of the bootstrap.

    Returns:
        One row an epoch of the probe, see `formatlab.measure.winners`; none without a probe.
    """
    collapsed = None
    if run.config.get("algorithm") not in _FROM_EXAMPLES:
        train = counts(run.rollout_batches("train", columns=["step", "tag"]), by=["step"])
        collapsed = collapse_step(
            train["step"].to_numpy(),
            train["tag"].to_pylist(),
            rollouts=train["n_rollouts"].to_numpy(),
            threshold=threshold,
        )
    probe = run.rollout_batches("probe", columns=PROBE_COLUMNS)
    return winners(probe, collapse_step=collapsed, resamples=resamples, seed=seed)


def record_winners(
    run: RunFolder,
    *,
    threshold: float = DEFAULT_THRESHOLD,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> pa.Table:
    """Measure a run as `run_winners` does and write its `winners.parquet`."""
    table = run_winners(run, threshold=threshold, resamples=resamples, seed=seed)
    run.write_winners(table)
    return table
