"""Tag counts: how many tagged rows there are of each kind, by step and by prompt.

They take the same little memory however many rows are counted, and the counts of several files or
processes can be added.
"""

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from formatlab.observe.files.verdict_counts import VerdictCounts

COUNTED = (
    *("rows", "well_formed", "mixed", "truncated", "graded", "correct"),
    *("judged", "called_right"),
)
"""What is counted of each tag; the last two are rows with a verdict of their file."""

_CLUSTERS = 1024


def cluster_of(prompt: object) -> int:
    """The cluster of a prompt, one of 1,024; the intervals resample clusters.

    All rollouts of a prompt fall into one cluster, and prompts fall into clusters at random, so
    clusters are as independent as prompts.
    """
    key = prompt if isinstance(prompt, str) else repr(prompt)
    return zlib.crc32(key.encode("utf-8", "replace")) % _CLUSTERS


_Key = tuple[float | None, str, bool, bool, bool, bool | None, bool | None]
"""Step or cluster, tag, well formed, mixed, truncated, correct, and correct as the file says."""


@dataclass(slots=True)
class TagCounts:
    """Numbers of rows, by step and by cluster of prompts."""

    by_step: Counter[_Key] = field(default_factory=Counter)
    by_cluster: Counter[_Key] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    """Why graded rows are not correct."""
    verdicts: VerdictCounts = field(default_factory=VerdictCounts)

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
        theirs: bool | None = None,
    ) -> None:
        """Count a row; `correct` and `theirs` are None where we, or its file, did not judge it."""
        key = (tag, well_formed, mixed, truncated, correct, theirs)
        self.by_step[step, *key] += 1
        self.by_cluster[cluster, *key] += 1

    def merge(self, other: "TagCounts") -> None:
        """Add the counts of other rows."""
        self.by_step.update(other.by_step)
        self.by_cluster.update(other.by_cluster)
        self.reasons.update(other.reasons)
        self.verdicts.merge(other.verdicts)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that occur, most frequent first."""
        totals = Counter[str]()
        for (_, name, *_), number in self.by_step.items():
            totals[name] += number
        by_count = sorted(totals.items(), key=lambda item: (-item[1], item[0]))
        return tuple(name for name, _ in by_count)

    @property
    def steps(self) -> tuple[float, ...]:
        """The steps that occur, in their order."""
        return tuple(sorted({key[0] for key in self.by_step if key[0] is not None}))

    def cells_by_cluster(self) -> dict[str, np.ndarray]:
        """The counts by cluster: each of `COUNTED` -> (P, F), with F as `tags` go."""
        return self._cells(self.by_cluster, sorted({key[0] or 0 for key in self.by_cluster}))

    def cells_by_step(self) -> dict[str, np.ndarray]:
        """The counts by step: each of `COUNTED` -> (S, F), as `steps` and `tags` go.

        Rows without a step are left out.
        """
        return self._cells(self.by_step, self.steps)

    def _cells(self, counts: Counter[_Key], places: Sequence[float]) -> dict[str, np.ndarray]:
        place_of: dict[float | None, int] = {place: i for i, place in enumerate(places)}
        tag_of = {tag: i for i, tag in enumerate(self.tags)}
        cells = np.zeros((len(COUNTED), len(place_of), len(tag_of)))
        for (place, name, *flags, correct, theirs), number in counts.items():
            if place in place_of:
                judged = (correct is not None, bool(correct), theirs is not None, bool(theirs))
                cells[(True, *flags, *judged), place_of[place], tag_of[name]] += number
        return dict(zip(COUNTED, cells, strict=True))
