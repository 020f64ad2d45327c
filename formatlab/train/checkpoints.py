"""Checkpoints: which of them are whole, and which one a resumed run goes on from.

Neither TRL nor transformers writes them at once: a kill in the middle of a write leaves a folder
that transformers would choose and fail on. So a mark is written into each one last.
"""

import json
import shutil
from pathlib import Path

_WHOLE = "WHOLE"
"""File that is written into a checkpoint last."""


def mark_whole(checkpoint: Path) -> None:
    """Write the mark into a checkpoint, then remove the older ones."""
    (checkpoint / _WHOLE).write_text(f"{checkpoint.name}\n", encoding="utf-8")
    for old in _checkpoints(checkpoint.parent):
        if old != checkpoint:
            shutil.rmtree(old)


def newest_checkpoint(folder: Path) -> tuple[Path, int] | None:
    """The newest whole checkpoint and its number of optimiser updates; others are removed."""
    whole = [path for path in _checkpoints(folder) if (path / _WHOLE).exists()]
    for path in _checkpoints(folder):
        if not whole or path != whole[-1]:
            shutil.rmtree(path)
    if not whole:
        return None
    state = json.loads((whole[-1] / "trainer_state.json").read_text(encoding="utf-8"))
    return whole[-1], int(state["global_step"])


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
