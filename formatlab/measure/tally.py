"""The tally: how many rollouts of each prompt have each tag, and how many of them are correct."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from formatlab.measure.counts import Rollouts, counts


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


def tally(rollouts: Rollouts) -> Tally:
    """Count rollouts by prompt and tag.

    Args:
        rollouts: with the columns `prompt_id`, `tag` and `correct`.
    """
    return tally_of_counts(counts(rollouts, by=["prompt_id"]))


def tally_of_counts(counted: pa.Table) -> Tally:
    """Arrange counts by prompt and tag.

    Args:
        counted: `counts` by `prompt_id`, or by more than that, which is then added up.
    """
    prompt_ids, prompt = _places(counted["prompt_id"])
    tags, tag = _places(counted["tag"])
    arranged = np.zeros((3, len(prompt_ids), len(tags)), dtype=np.int64)
    for index, name in enumerate(("n_rollouts", "n_graded", "n_correct")):
        np.add.at(arranged[index], (prompt, tag), counted[name].to_numpy())
    return Tally(
        prompt_ids=prompt_ids,
        tags=tags,
        rollouts=arranged[0],
        graded=arranged[1],
        correct=arranged[2],
    )


def _places(column: pa.ChunkedArray) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the strings that occur, sorted, and the place among them of each row's."""
    names = sorted(column.unique().to_pylist())
    found = pc.index_in(column, pa.array(names, pa.string()))  # pyright: ignore[reportAttributeAccessIssue]
    return tuple(names), found.to_numpy()
