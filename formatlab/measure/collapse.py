"""Collapse: the first step from which one format dominates the training rollouts to the end."""

from collections.abc import Sequence

import numpy as np

from formatlab.errors import InputError

DEFAULT_THRESHOLD = 0.9


def collapse_step(
    steps: Sequence[int] | np.ndarray,
    tags: Sequence[str] | np.ndarray,
    *,
    rollouts: Sequence[int] | np.ndarray | None = None,
    threshold: float = DEFAULT_THRESHOLD,
) -> int | None:
    """Return the first step from which the dominant share stays at or above a threshold.

    The dominant format is the one that leads at the last step; collapse is the start of the
    unbroken series of steps up to the last one in which its share is at least the threshold.
    One step is one batch, so a collapse at the very last step rests on a single batch.

    Args:
        steps: the step of each training rollout, or of several with one tag; (N,).
        tags: its tag; (N,).
        rollouts: how many they are, as in `formatlab.measure.counts`; (N,). None for one each.
        threshold: smallest dominant share that counts as collapsed, in (0.5, 1].

    Returns:
        The step, or None if the last step is below the threshold or there are no rollouts.

    Raises:
        InputError: a threshold outside (0.5, 1].
    """
    if not 0.5 < threshold <= 1:
        raise InputError(
            f"The collapse threshold must be above 0.5 and at most 1, and is {threshold}: a format "
            "with half of the rollouts or less does not dominate."
        )
    numbers, step = np.unique(np.asarray(steps), return_inverse=True)
    if len(numbers) == 0:
        return None
    names, tag = np.unique(np.asarray(tags, dtype=np.str_), return_inverse=True)
    counts = np.zeros((len(numbers), len(names)), dtype=np.int64)
    np.add.at(counts, (step, tag), 1 if rollouts is None else rollouts)
    dominant = counts[-1].argmax()
    held = counts[:, dominant] / counts.sum(axis=1) >= threshold
    broken = np.flatnonzero(~held)
    first = broken[-1] + 1 if len(broken) else 0
    return int(numbers[first]) if first < len(numbers) else None
