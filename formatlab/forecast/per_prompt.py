"""The format that has most of the right rollouts, prompt by prompt, leads."""

from typing import ClassVar

import numpy as np

from formatlab.forecast.case import Known
from formatlab.forecast.method import Method, constant


class PerPrompt(Method):
    """Score: the mean over prompts of a format's share among the prompt's right rollouts.

    Advantages compare rollouts of one prompt, so prompts that are always right or always wrong
    teach nothing and do not count; if all are so, the score is the share.
    """

    name: ClassVar[str] = "per_prompt"
    words: ClassVar[str] = "share of the right, by prompt"

    def scores(self, known: Known, epochs: np.ndarray, **parameters: float) -> np.ndarray:
        """See `Method.scores`."""
        correct = known.probe.correct
        right = correct.sum(axis=1)  # (P,)
        teaches = (right > 0) & (right < known.probe.rollouts.sum(axis=1))
        if not teaches.any():
            return constant(known.probe.shares, epochs)
        return constant((correct[teaches] / right[teaches, None]).mean(axis=0), epochs)
