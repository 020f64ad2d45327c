"""Verdict counts: what the files themselves say of their rollouts, beside what we read in them.

They take the same little memory however many rows are counted: a disagreement of one kind is a
number, with the first row of its kind as an example.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

_EXCERPT = 160
"""Most characters of an example: the end of a text, where its answer is."""


class Compared(NamedTuple):
    """Rows that have the same tag and the same verdicts."""

    tag: str
    theirs: bool
    """Whether the file calls them right."""
    ours: bool | None
    """Whether we do; None where they were not graded."""
    reason: str
    """Why we do not; empty where we do or did not grade."""


@dataclass(slots=True)
class VerdictCounts:
    """Verdicts, rewards and truncations of the files, counted beside ours."""

    rows: Counter[Compared] = field(default_factory=Counter)
    examples: dict[Compared, str] = field(default_factory=dict)
    """The first row of each kind of disagreement: where it is, and how its text ends."""
    flexible: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    """Rows that both judge: as the file says, as our flexible reading does."""
    cut: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    """Rows whose file knows whether they were cut off: as the file says, as the text looks."""
    rewarded: Counter[bool | None] = field(default_factory=Counter)
    """Rows with a reward in the file, by our verdict."""
    rewards: dict[bool | None, float] = field(default_factory=dict)
    """The sums of these rewards."""

    def add(
        self, compared: Compared, text: str, where: str, *, flexible: bool | None = None
    ) -> None:
        """Count a row with a verdict of its file; `where` is its file and row."""
        self.rows[compared] += 1
        if flexible is not None:
            self.flexible[compared.theirs, flexible] += 1
        if compared.ours not in (None, compared.theirs) and compared not in self.examples:
            self.examples[compared] = f"{where}: {_ending(text)}"

    def add_reward(self, ours: bool | None, reward: float) -> None:
        """Count a reward, beside our verdict."""
        self.rewarded[ours] += 1
        self.rewards[ours] = self.rewards.get(ours, 0.0) + reward

    def merge(self, other: "VerdictCounts") -> None:
        """Add the counts of other rows, which come after these."""
        self.rows.update(other.rows)
        self.flexible.update(other.flexible)
        self.cut.update(other.cut)
        self.rewarded.update(other.rewarded)
        for ours, total in other.rewards.items():
            self.rewards[ours] = self.rewards.get(ours, 0.0) + total
        self.examples = other.examples | self.examples

    @property
    def disagreements(self) -> list[tuple[Compared, int]]:
        """The rows that we grade otherwise than their file, the commonest kind first."""
        found = [(kind, n) for kind, n in self.rows.items() if kind.ours not in (None, kind.theirs)]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def _ending(text: str) -> str:
    line = "".join(sign if sign.isprintable() else "?" for sign in " ".join(text.split()))
    return line if len(line) <= _EXCERPT else f"...{line[-_EXCERPT:]}"
