"""Checkpoints and resuming: which checkpoint is whole, and where an interrupted run continues.

Neither TRL nor transformers writes a checkpoint atomically: a kill in the middle of a write leaves
a folder that transformers would choose and fail on. So a mark is written into each one last, with
the length of every file, since a disk can also lose the end of one after it was written.

Every kind of training resumes by the same rule (`resume`): it continues from its newest whole
checkpoint, and what the run folder holds beyond that is dropped and made again. Where the folder
lacks something that was there when the checkpoint was written, training begins anew. Expert
iteration needs no checkpoint in the middle of a round, whose policy does not change, so it works
out the step itself and shares the rest (`resume_at`).
"""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from formatlab.store.atomic_file import explained_os_errors, sync, write_json_atomically
from formatlab.store.run_folder import RunFolder

_WHOLE = "WHOLE"
"""File that is written into a checkpoint last."""


def checkpoint_folder(folder: Path, updates: int) -> Path:
    """Where the checkpoint after so many optimiser updates is, by the naming of transformers."""
    return folder / f"checkpoint-{updates}"


def mark_whole(checkpoint: Path) -> None:
    """Sync a checkpoint to the disk and write the mark into it, then remove the older ones."""
    with explained_os_errors(checkpoint):
        lengths = _lengths(checkpoint)
        for name in lengths:
            sync(checkpoint / name)
    write_json_atomically(checkpoint / _WHOLE, {"bytes": lengths})
    for old in _checkpoints(checkpoint.parent):
        if old != checkpoint:
            shutil.rmtree(old)


def newest_checkpoint(folder: Path) -> tuple[Path, int] | None:
    """The newest whole checkpoint and its number of optimiser updates; others are removed."""
    whole = [path for path in _checkpoints(folder) if _is_whole(path)]
    for path in _checkpoints(folder):
        if not whole or path != whole[-1]:
            shutil.rmtree(path)
    return (whole[-1], _updates(whole[-1])) if whole else None


def resume(
    folder: RunFolder,
    complete: Callable[[int], bool],
    *,
    updates_per_step: int = 1,
    first_rollouts: int = 0,
) -> tuple[Path | None, int]:
    """Find the checkpoint to continue from and drop what the folder holds beyond it.

    Args:
        folder: the run folder.
        complete: see `resume_at`.
        updates_per_step: optimiser updates in a step.
        first_rollouts: see `resume_at`.

    Returns:
        The checkpoint and the number of its steps; None and 0 to begin anew.
    """
    newest = newest_checkpoint(folder.checkpoints)
    step = newest[1] // updates_per_step if newest else 0
    step = resume_at(folder, step, complete, first_rollouts=first_rollouts)
    return (newest[0] if newest and step else None), step


def resume_at(
    folder: RunFolder, step: int, complete: Callable[[int], bool], *, first_rollouts: int = 0
) -> int:
    """Drop what a folder holds beyond `step` completed steps, and note the resume.

    Args:
        folder: the run folder.
        step: completed steps that training can continue from.
        complete: called with a number of steps when nothing of later ones is left; tells whether
            the folder holds everything that those steps leave.
        first_rollouts: first step whose rollouts can be dropped; 1 keeps those of step 0.

    Returns:
        The step to continue from: `step`, or 0 where something is missing before it.
    """
    lines = folder.metrics()
    made = lines[-1]["step"] + 1 if lines else 0
    _drop(folder, step, first_rollouts)
    if step and not complete(step):  # a file was removed or cut short
        step = 0
        _drop(folder, step, first_rollouts)
    if made:
        folder.note_resumed(step=step, lost=max(0, made - step))
    return step


def is_complete(
    folder: RunFolder, steps: int, *, probes: Mapping[int, float], rollouts_per_step: int | None
) -> bool:
    """Whether a folder holds all rollouts, probes and metrics of the first `steps` steps.

    Args:
        folder: the run folder.
        steps: completed steps; the folder holds nothing of later ones.
        probes: steps after which the policy is observed, with their epochs.
        rollouts_per_step: training rollouts of each step. None if all rollouts were sampled before
            step 0; the caller then checks them itself.
    """
    probed = folder.epochs("probe")
    rollouts = None if rollouts_per_step is None else steps * rollouts_per_step
    return (
        rollouts in (None, folder.count_rollouts("train"))
        and len(folder.metrics()) == steps
        and all(epoch in probed for step, epoch in probes.items() if 0 < step <= steps)
    )


def _drop(folder: RunFolder, step: int, first_rollouts: int) -> None:
    folder.drop_rollouts_from(max(step, first_rollouts))
    folder.drop_metrics_from(step)


def _is_whole(checkpoint: Path) -> bool:
    try:
        marked = json.loads((checkpoint / _WHOLE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return marked.get("bytes") == _lengths(checkpoint)


def _lengths(checkpoint: Path) -> dict[str, int]:
    """Length of every file but the mark, in bytes."""
    return {
        path.relative_to(checkpoint).as_posix(): path.stat().st_size
        for path in sorted(checkpoint.rglob("*"))
        if path.is_file() and path.name != _WHOLE
    }


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*"), key=_updates)


def _updates(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[1])
