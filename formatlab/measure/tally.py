"""The tally: how many rollouts of each prompt have each tag, and how many of them are correct."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Counts by prompt and tag. P: prompts, F: tags."""

    prompt_ids: tuple[str, ...]
    """The prompts, sorted; length P."""
    tags: tuple[str, ...]
    """The tags that occur, sorted; length F."""
    rollouts: np.ndarray
    """Rollouts of each prompt with each tag; int64 (P, F)."""
    graded: np.ndarray
    """Those of them whose right answer was known; int64 (P, F)."""
    correct: np.ndarray
    """Those of them that are correct; int64 (P, F)."""

    @property
    def samples_per_prompt(self) -> int | None:
        """Rollouts of each prompt, or None if the prompts differ in it."""
        samples = np.unique(self.rollouts.sum(axis=1))
        return int(samples[0]) if len(samples) == 1 else None


def tally(rollouts: pa.Table) -> Tally:
    """Count rollouts by prompt and tag.

    Args:
        rollouts: a table with the columns `prompt_id`, `tag` and `correct`.
    """
    prompt_ids, prompt = np.unique(_strings(rollouts, "prompt_id"), return_inverse=True)
    tags, tag = np.unique(_strings(rollouts, "tag"), return_inverse=True)
    graded = _bools(rollouts["correct"].is_valid())
    correct = _bools(rollouts["correct"].fill_null(False))
    counts = np.zeros((3, len(prompt_ids), len(tags)), dtype=np.int64)
    np.add.at(counts[0], (prompt, tag), 1)
    np.add.at(counts[1], (prompt[graded], tag[graded]), 1)
    np.add.at(counts[2], (prompt[correct], tag[correct]), 1)
    return Tally(
        prompt_ids=tuple(prompt_ids.tolist()),
        tags=tuple(tags.tolist()),
        rollouts=counts[0],
        graded=counts[1],
        correct=counts[2],
    )


def _bools(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=bool)


def _strings(table: pa.Table, column: str) -> np.ndarray:
    # Fixed-width strings sort many times faster than the objects Arrow gives.
    return np.asarray(table[column].to_pylist(), dtype=np.str_)
