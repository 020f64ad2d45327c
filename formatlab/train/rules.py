"""Rules of training: what decides rollouts, rewards and updates without being a setting.

Numbers stand here as they are. Code has a version, here or beside it: `version` of an algorithm's
settings, of `Reward`, `Exploration` and `LoraSettings`, and `VERSION` of the grader. The
configuration of a run holds all that apply to it, so a run under another rule has another folder.
Whoever changes what the code computes raises its version; `tests/test_versions.py` says when.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """The rules of all stages."""

    weight_decay: float = 0.0
    """AdamW's."""
    least_rate: float = 0.1
    """Share of the peak learning rate at which the schedule `cosine_with_min_lr` ends."""
    sampling: int = 2
    """Version of the draws: `sampler`, and the seeds of rollouts and of probes."""
    order: int = 1
    """Version of `epoch_order`: in which order prompts and examples come."""


RULES = Rules()
