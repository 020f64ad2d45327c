"""What is said of the rollouts of one training step."""

from collections.abc import Sequence
from typing import Any

from formatlab.observe.recorder import Observation


def step_metrics(observations: Sequence[Observation]) -> dict[str, Any]:
    """Reward, entropy, lengths, truncation, and share and accuracy of every tag."""
    count = len(observations)
    tags = sorted({o.grade.tag.format for o in observations})
    by_tag = {
        name: [o.grade.correct for o in observations if o.grade.tag.format == name] for name in tags
    }
    return {
        "reward": sum(o.reward or 0.0 for o in observations) / count,
        "entropy": sum(o.entropy for o in observations) / count,
        "tokens_mean": sum(o.tokens for o in observations) / count,
        "tokens_max": max(o.tokens for o in observations),
        "truncated": sum(o.truncated for o in observations) / count,
        "well_formed": sum(o.grade.tag.well_formed for o in observations) / count,
        "share": {name: len(correct) / count for name, correct in by_tag.items()},
        "accuracy": {name: sum(correct) / len(correct) for name, correct in by_tag.items()},
    }
