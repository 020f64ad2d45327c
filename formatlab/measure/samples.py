"""Samples: rollouts by prompt, and how many of a prompt's rollouts a comparison can use.

What is computed from a set of samples depends on its size, so measures of diversity look at equally
many rollouts of each prompt: the first `budget` ones in the order in which they were sampled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

MOST_SAMPLES = 8
"""Rollouts of a prompt that measures of diversity look at, where there are as many."""

SPARED = 10
"""One prompt in so many may have fewer rollouts than are asked of each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptRollouts:
    """The rollouts of one prompt, in the order in which they were sampled; n of them."""

    prompt_id: str
    tags: Sequence[str]
    correct: Sequence[bool | None]
    """None where it was not graded."""
    columns: Mapping[str, Sequence[Any]]
    """All columns of the rollouts, by name."""

    @property
    def right(self) -> list[int]:
        """Places of the right rollouts."""
        return [place for place, correct in enumerate(self.correct) if correct]

    @property
    def graded(self) -> list[int]:
        """Places of the graded rollouts."""
        return [place for place, correct in enumerate(self.correct) if correct is not None]

    def values(self, column: str, places: Sequence[int]) -> list[Any] | None:
        """The values of a column at some places; None without the column, or if one is missing."""
        if column not in self.columns:
            return None
        values = [self.columns[column][place] for place in places]
        return None if any(value is None for value in values) else values


def by_prompt(rollouts: pa.Table) -> list[PromptRollouts]:
    """Return the rollouts of each prompt, by prompt.

    Args:
        rollouts: as `formatlab.measure.frames.rollouts_of` gives them. Without `sample`, the order
            of the rows is that of sampling.
    """
    names = rollouts.column_names
    order = ["prompt_id", *(["sample"] if "sample" in names else []), "row"]
    ranked = rollouts.append_column("row", pa.array(np.arange(rollouts.num_rows)))
    ranked = ranked.sort_by([(name, "ascending") for name in order])
    columns = {name: ranked[name].to_pylist() for name in names}
    prompts = np.array(columns["prompt_id"], dtype=object)
    starts = [0, *(np.flatnonzero(prompts[1:] != prompts[:-1]) + 1), len(prompts)]
    return [
        PromptRollouts(
            prompt_id=columns["prompt_id"][start],
            tags=columns["tag"][start:end],
            correct=columns["correct"][start:end] if "correct" in names else [None] * (end - start),
            columns={name: values[start:end] for name, values in columns.items()},
        )
        for start, end in pairwise(starts)
        if end > start
    ]


def budget(*numbers: Sequence[int]) -> int:
    """The most rollouts that nine in ten prompts of every set have; 0 without prompts.

    Args:
        numbers: for each set of rollouts, how many each prompt has.
    """
    if not all(len(of) for of in numbers):
        return 0
    return min(sorted(of)[len(of) // SPARED] for of in numbers)
