"""Checkpoints: which of them are whole, and which one a resumed run goes on from.

Neither TRL nor transformers writes them at once: a kill in the middle of a write leaves a folder
that transformers would choose and fail on. So a mark is written into each one last, with the length
of every file, since a disk can also lose the end of one after it was written.
"""

import json
import shutil
from pathlib import Path

from formatlab.store.atomic_file import explained_os_errors, sync, write_json_atomically

_WHOLE = "WHOLE"
"""File that is written into a checkpoint last."""


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
    if not whole:
        return None
    state = json.loads((whole[-1] / "trainer_state.json").read_text(encoding="utf-8"))
    return whole[-1], int(state["global_step"])


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
    return sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
