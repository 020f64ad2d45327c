"""Tag counts: what is counted of tagged rows, small enough to be kept however many there are."""

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

_CLUSTERS = 1024

COUNTED = ("rows", "well_formed", "mixed", "truncated", "graded", "correct")
"""What is counted of each tag."""


def cluster_of(prompt: object) -> int:
    """The group that a prompt belongs to in the intervals, of 1,024.

    Rollouts of a prompt stay together, and prompts are in a group at random, so groups are
    independent as prompts are.
    """
    key = prompt if isinstance(prompt, str) else repr(prompt)
    return zlib.crc32(key.encode("utf-8", "replace")) % _CLUSTERS


_Key = tuple[float | None, str, bool, bool, bool, bool | None]


@dataclass(slots=True)
class TagCounts:
    """Rows by step or cluster of prompts, tag, well formed, mixed, truncated and correct."""

    by_step: Counter[_Key] = field(default_factory=Counter)
    by_cluster: Counter[_Key] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    """Why graded rows are not correct."""

    def add(
        self,
        step: float | None,
        cluster: int,
        tag: str,
        *,
        well_formed: bool,
        mixed: bool,
        truncated: bool,
        correct: bool | None,
    ) -> None:
        """Count a row; `correct` is None where it was not graded."""
        self.by_step[step, tag, well_formed, mixed, truncated, correct] += 1
        self.by_cluster[cluster, tag, well_formed, mixed, truncated, correct] += 1

    def merge(self, other: "TagCounts") -> None:
        """Add the counts of other rows."""
        self.by_step.update(other.by_step)
        self.by_cluster.update(other.by_cluster)
        self.reasons.update(other.reasons)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that occur, most frequent first."""
        totals = Counter[str]()
        for (_, tag, *_), number in self.by_step.items():
            totals[tag] += number
        return tuple(tag for tag, _ in sorted(totals.items(), key=lambda item: (-item[1], item[0])))

    @property
    def steps(self) -> tuple[float, ...]:
        """The steps that occur, in their order."""
        return tuple(sorted({key[0] for key in self.by_step if key[0] is not None}))

    def cluster_array(self) -> np.ndarray:
        """The counts by cluster; (6, P, F) as `COUNTED` and `tags` go."""
        return self._array(self.by_cluster, sorted({key[0] or 0 for key in self.by_cluster}))

    def step_array(self) -> np.ndarray:
        """The counts by step, rows without one left out; (6, S, F) as `steps` and `tags` go."""
        return self._array(self.by_step, self.steps)

    def _array(self, counts: Counter[_Key], places: Sequence[float]) -> np.ndarray:
        place_of: dict[float | None, int] = {place: i for i, place in enumerate(places)}
        tag_of = {tag: i for i, tag in enumerate(self.tags)}
        cells = np.zeros((len(COUNTED), len(place_of), len(tag_of)))
        for (place, tag, well_formed, mixed, truncated, correct), number in counts.items():
            if place in place_of:
                held = (True, well_formed, mixed, truncated, correct is not None, bool(correct))
                cells[held, place_of[place], tag_of[tag]] += number
        return cells
