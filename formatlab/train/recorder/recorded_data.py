"""The data of a recorded run: what tells its data sets from others, as its configuration has it."""

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from formatlab.train.recorder.recorded_batch import Trainer

_PROMPT = "prompt"
"""The column that TRL reads."""
_LOADERS = ("arrow", "csv", "generator", "json", "pandas", "parquet", "sql", "text")
"""What the library datasets calls data sets that it read from files, or was handed."""


def data_config(trainer: "Trainer", gold: str | None) -> dict[str, Any]:
    """The data sets of a trainer: their names, rows and digests.

    Args:
        trainer: the trainer.
        gold: the column of the right answers, if one is named.
    """
    return {
        "train": _described(trainer.train_dataset, gold),
        "eval": _described(trainer.eval_dataset, gold),
    }


def _described(dataset: Any, gold: str | None) -> Any:
    """A data set in short; of several by name, each; None without one."""
    if dataset is None:
        return None
    if isinstance(dataset, Mapping):  # as TRL takes evaluation sets
        return {str(name): _described(of, gold) for name, of in sorted(dataset.items())}
    name = str(getattr(getattr(dataset, "info", None), "dataset_name", None) or "")
    name = "" if name in _LOADERS else name
    columns = [of for of in (_PROMPT, gold) if of in (getattr(dataset, "column_names", None) or ())]
    if columns:
        dataset = dataset.select_columns(columns)
    if not hasattr(dataset, "__len__"):
        # What is streamed may have no end: its name stands for it, or else its first row.
        return {"name": name, "rows": None, "digest": "" if name else _digest(dataset.take(1))}
    return {"name": name, "rows": len(dataset), "digest": _digest(dataset)}


def _digest(rows: Any) -> str:
    """16 hexadecimal digits of the rows in any order, since a shuffle is no other data set."""
    total = 0
    for row in rows:
        text = json.dumps(row, sort_keys=True, default=str)
        total += int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return f"{total % 2**64:016x}"
