"""The format that has most of the right rollouts, prompt by prompt, leads."""

from typing import ClassVar

import numpy as np

from formatlab.forecast.case import Known
from formatlab.forecast.method import Method, constant


class PerPrompt(Method):
    """Score: the mean over prompts of a format's share among the prompt's right rollouts.

    Advantages compare rollouts of one prompt, so what counts is which format is right where others
    are not. Prompts without a right rollout teach nothing and do not count.
    """

    name: ClassVar[str] = "per_prompt"
    words: ClassVar[str] = "share of the right, by prompt"

    def scores(self, known: Known, epochs: np.ndarray, **parameters: float) -> np.ndarray:
        """See `Method.scores`."""
        correct = known.probe.correct
        right = correct.sum(axis=1)  # (P,)
        if not right.any():
            return constant(known.probe.shares, epochs)
        return constant((correct[right > 0] / right[right > 0, None]).mean(axis=0), epochs)
