"""The summary of a set of rollouts: what metrics.jsonl and a trainer's logs say of them."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from formatlab.store.rollout import Rollout

StepReport = Callable[[int, dict[str, Any]], None]
"""Told (steps done, the step's line of metrics.jsonl)."""


class RolloutSummary:
    """Counts of rollouts by tag, and the metrics that follow from them.

    It keeps counts and not rows, so that many steps can be summarised between two logs.
    """

    def __init__(self, rows: Iterable[Rollout] = ()) -> None:
        """Count some rollouts."""
        self.total = 0
        self._tags: Counter[str] = Counter()
        self._graded: Counter[str] = Counter()
        self._correct: Counter[str] = Counter()
        self._flags: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._tokens = 0
        self._longest = 0
        self._rewards: list[float] = []
        self._entropies: list[float] = []
        self.add(rows)

    def add(self, rows: Iterable[Rollout]) -> None:
        """Count more rollouts."""
        for row in rows:
            self.total += 1
            self._tags[row.tag] += 1
            self._graded[row.tag] += row.correct is not None
            self._correct[row.tag] += bool(row.correct)
            self._flags["well_formed"] += row.well_formed
            self._flags["mixed"] += row.mixed
            self._flags["truncated"] += row.truncated
            self._reasons[row.reason] += 1
            self._tokens += row.tokens
            self._longest = max(self._longest, row.tokens)
            if row.reward is not None:
                self._rewards.append(row.reward)
            if row.entropy is not None:
                self._entropies.append(row.entropy)

    @property
    def tags(self) -> set[str]:
        """The tags that occurred."""
        return set(self._tags)

    @property
    def flags(self) -> dict[str, float]:
        """Share of the rollouts that are mixed, truncated and well formed; of at least one."""
        return {name: count / self.total for name, count in sorted(self._flags.items())}

    @property
    def accuracy(self) -> dict[str, float]:
        """Tag -> share of right answers among its rollouts whose right answer is known."""
        graded = {tag: count for tag, count in sorted(self._graded.items()) if count}
        return {tag: self._correct[tag] / count for tag, count in graded.items()}

    @property
    def reasons(self) -> dict[str, float]:
        """Reason -> share of the rollouts that are not right for it; of at least one."""
        found = sorted(self._reasons.items())
        return {reason: count / self.total for reason, count in found if reason}

    def line(self) -> dict[str, Any]:
        """The metrics in a line of `metrics.jsonl`; of at least one rollout."""
        return {
            "reward": _mean(self._rewards),
            "entropy": _mean(self._entropies),
            "tokens_mean": self._tokens / self.total,
            "tokens_max": self._longest,
            "truncated": self.flags["truncated"],
            "well_formed": self.flags["well_formed"],
            "share": {tag: count / self.total for tag, count in sorted(self._tags.items())},
            "accuracy": self.accuracy,
            "reason": self.reasons,
        }

    def logs(self, tags: Iterable[str]) -> dict[str, float]:
        """The metrics in a trainer's logs; of at least one rollout.

        Args:
            tags: tags to give the share of, whether they occurred or not: a curve that falls to 0
                has to show the 0.
        """
        graded = self._graded.total()
        return {
            **{f"format/{tag}": self._tags[tag] / self.total for tag in sorted(tags)},
            **{f"format/{name}": share for name, share in self.flags.items()},
            **{f"format_accuracy/{tag}": value for tag, value in self.accuracy.items()},
            **({"format_accuracy/all": self._correct.total() / graded} if graded else {}),
        }


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
