"""What is said of a set of rollouts in one line: of a training step, or of a base."""

from collections.abc import Callable, Sequence
from typing import Any

from formatlab.observe.recorder import Observation

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
