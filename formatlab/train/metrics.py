"""What is said of a set of rollouts in one line: of a training step, or of a base.

The format tally: counts of a set of rollouts, and the measures that are logged of them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from formatlab.observe.recorder import Observation
from formatlab.store.rollout import Rollout

StepReport = Callable[[int, dict[str, Any]], None]
"""Told (steps done, the step's line of metrics.jsonl)."""


def step_metrics(observations: Sequence[Observation]) -> dict[str, Any]:
    """Reward, entropy, lengths, truncation, and share and accuracy of every tag."""
    count = len(observations)
    by_tag = _correct_by_tag(observations)
    entropies = [o.entropy for o in observations if o.entropy is not None]
    return {
        "reward": sum(o.reward or 0.0 for o in observations) / count,
        "entropy": sum(entropies) / len(entropies) if entropies else None,
        "tokens_mean": sum(o.tokens for o in observations) / count,
        "tokens_max": max(o.tokens for o in observations),
        "truncated": sum(o.truncated for o in observations) / count,
        "well_formed": sum(o.grade.tag.well_formed for o in observations) / count,
        "share": {name: len(correct) / count for name, correct in by_tag.items()},
        "accuracy": accuracies(observations),
    }


def accuracies(observations: Sequence[Observation]) -> dict[str, float]:
    """Share of right answers among the rollouts of every tag, by name."""
    by_tag = _correct_by_tag(observations)
    return {name: sum(correct) / len(correct) for name, correct in by_tag.items()}


def _correct_by_tag(observations: Sequence[Observation]) -> dict[str, list[bool]]:
    tags = sorted({o.grade.tag.format for o in observations})
    return {
        name: [o.grade.correct for o in observations if o.grade.tag.format == name] for name in tags
    }


class FormatTally:
    """Counts rollouts by tag."""

    def __init__(self) -> None:
        """Start with no rollouts."""
        self.total = 0
        self._tags: Counter[str] = Counter()
        self._graded: Counter[str] = Counter()
        self._correct: Counter[str] = Counter()
        self._flags: Counter[str] = Counter()
        self._tokens = 0
        self._longest = 0
        self._rewards: list[float] = []

    def add(self, rows: Iterable[Rollout]) -> None:
        """Count rollouts."""
        for row in rows:
            self.total += 1
            self._tags[row.tag] += 1
            self._graded[row.tag] += row.correct is not None
            self._correct[row.tag] += bool(row.correct)
            self._flags["well_formed"] += row.well_formed
            self._flags["mixed"] += row.mixed
            self._flags["truncated"] += row.truncated
            self._tokens += row.tokens
            self._longest = max(self._longest, row.tokens)
            if row.reward is not None:
                self._rewards.append(row.reward)

    @property
    def tags(self) -> set[str]:
        """The tags that occurred."""
        return set(self._tags)

    @property
    def accuracy(self) -> dict[str, float]:
        """Tag -> share of right answers among its rollouts whose right answer is known."""
        graded = {tag: count for tag, count in sorted(self._graded.items()) if count}
        return {tag: self._correct[tag] / count for tag, count in graded.items()}

    def line(self) -> dict[str, Any]:
        """The measures as a line of `metrics.jsonl` has them; of at least one rollout."""
        return {
            "rollouts": self.total,
            "reward": sum(self._rewards) / len(self._rewards) if self._rewards else None,
            "tokens_mean": self._tokens / self.total,
            "tokens_max": self._longest,
            **{name: count / self.total for name, count in sorted(self._flags.items())},
            "share": {tag: count / self.total for tag, count in sorted(self._tags.items())},
            "accuracy": self.accuracy,
        }

    def logs(self, tags: Iterable[str]) -> dict[str, float]:
        """The measures as a trainer's logs have them; of at least one rollout.

        Args:
            tags: tags to give the share of, whether they occurred or not: a curve that falls to 0
                is to be seen there.
        """
        graded = self._graded.total()
        return {
            **{f"format/{tag}": self._tags[tag] / self.total for tag in sorted(tags)},
            **{f"format/{name}": count / self.total for name, count in sorted(self._flags.items())},
            **{f"format_accuracy/{tag}": value for tag, value in self.accuracy.items()},
            **({"format_accuracy/all": self._correct.total() / graded} if graded else {}),
        }
