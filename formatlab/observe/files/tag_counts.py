"""Tag counts: how many tagged rows there are of each kind, by step, by prompt and by group.

A group is a value of the column that the user asks to compare by, such as the language or the file.
Counts take the same little memory however many rows are counted, and the counts of several files or
processes can be added.
"""

import zlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from formatlab.observe.files.verdict_counts import VerdictCounts

COUNTED = (
    *("rows", "well_formed", "mixed", "truncated", "graded", "correct"),
    *("flexible_correct", "judged", "called_right"),
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


Group = str | float | bool | None
"""A value of the column to compare by; None where a row has none, or where none is compared by."""

_Kind = tuple[str, bool, bool, bool, bool, bool | None, bool | None]
"""Tag, well formed, mixed, truncated, flexibly correct, correct, and correct as the file says."""


@dataclass(slots=True)
class TagCounts:
    """Numbers of rows, by step and by cluster of prompts."""

    by_step: Counter[tuple[float | None, _Kind]] = field(default_factory=Counter)
    by_cluster: Counter[tuple[int, Group, _Kind]] = field(default_factory=Counter)
    """By cluster of prompts, and by group."""
    by_group: Counter[Group] = field(default_factory=Counter)
    """Rows of each group."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why graded rows are not correct."""
    writings: Counter[tuple[str, bool]] = field(default_factory=Counter)
    """Rows by the script of their text, and whether a second one is mixed in."""
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
        flexible: bool = False,
        theirs: bool | None = None,
        group: Group = None,
    ) -> None:
        """Count a row; `correct` and `theirs` are None where we, or its file, did not judge it."""
        kind = (tag, well_formed, mixed, truncated, flexible, correct, theirs)
        self.by_step[step, kind] += 1
        self.by_cluster[cluster, group, kind] += 1
        self.by_group[group] += 1

    def merge(self, other: "TagCounts") -> None:
        """Add the counts of other rows."""
        self.by_step.update(other.by_step)
        self.by_cluster.update(other.by_cluster)
        self.by_group.update(other.by_group)
        self.reasons.update(other.reasons)
        self.writings.update(other.writings)
        self.verdicts.merge(other.verdicts)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that occur, most frequent first."""
        totals = Counter[str]()
        for (_, (name, *_)), number in self.by_step.items():
            totals[name] += number
        by_count = sorted(totals.items(), key=lambda item: (-item[1], item[0]))
        return tuple(name for name, _ in by_count)

    @property
    def steps(self) -> tuple[float, ...]:
        """The steps that occur, in their order."""
        return tuple(sorted({step for step, _ in self.by_step if step is not None}))

    def cells_by_step(self) -> dict[str, np.ndarray]:
        """The counts by step: each of `COUNTED` -> (S, F), as `steps` and `tags` go.

        Rows without a step are left out.
        """
        place_of = {step: place for place, step in enumerate(self.steps)}
        cells = self._cells(len(place_of))
        for (step, kind), number in self.by_step.items():
            if step is not None:
                cells.add((place_of[step],), kind, number)
        return cells.by_name()

    def cells_by_cluster(self) -> dict[str, np.ndarray]:
        """The counts by cluster: each of `COUNTED` -> (P, F), with F as `tags` go."""
        place_of = self._clusters()
        cells = self._cells(len(place_of))
        for (cluster, _, kind), number in self.by_cluster.items():
            cells.add((place_of[cluster],), kind, number)
        return cells.by_name()

    def cells_by_group(self, groups: Sequence[Collection[Group]]) -> dict[str, np.ndarray]:
        """The counts by cluster of some groups, pooled: each of `COUNTED` -> (P, G, F).

        Args:
            groups: G of them, each some values, of which none is in two; other rows are left out.
        """
        place_of = self._clusters()
        group_of = {value: place for place, values in enumerate(groups) for value in values}
        cells = self._cells(len(place_of), len(groups))
        for (cluster, value, kind), number in self.by_cluster.items():
            if value in group_of:
                cells.add((place_of[cluster], group_of[value]), kind, number)
        return cells.by_name()

    def _clusters(self) -> dict[int, int]:
        clusters = sorted({cluster for cluster, _, _ in self.by_cluster})
        return {cluster: place for place, cluster in enumerate(clusters)}

    def _cells(self, *shape: int) -> "_Cells":
        return _Cells(shape, self.tags)


class _Cells:
    """Arrays of counts: each of `COUNTED`, by some places, by tag."""

    def __init__(self, shape: tuple[int, ...], tags: Sequence[str]) -> None:
        self._tag_of = {tag: place for place, tag in enumerate(tags)}
        self._cells = np.zeros((len(COUNTED), *shape, len(tags)))

    def add(self, place: tuple[int, ...], kind: _Kind, number: int) -> None:
        """Count rows of a kind at a place."""
        name, *flags, flexible, correct, theirs = kind
        judged = (correct is not None, bool(correct), flexible, theirs is not None, bool(theirs))
        self._cells[(True, *flags, *judged), *place, self._tag_of[name]] += number

    def by_name(self) -> dict[str, np.ndarray]:
        """Each of `COUNTED` -> its counts."""
        return dict(zip(COUNTED, self._cells, strict=True))
