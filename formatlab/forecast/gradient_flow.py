"""Softmax policy-gradient flow: frequent formats learn faster than rare ones."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from scipy.special import log_softmax

from formatlab.forecast.case import Known
from formatlab.forecast.method import Method, parameters
from formatlab.forecast.replicator import DRAWS

_LEAST = 1e-6
_LARGEST_STEP = 0.25
"""Largest rate x time of one step of the integration."""
_MOST_STEPS = 2_000
"""Of the integration between two epochs; by then one format has all."""


class GradientFlow(Method):
    """d logit / dt = rate p (a - mean a), with the base's accuracies, for the updates of the run.

    Gradient ascent on the mean reward of a softmax over formats (Mei et al. 2020,
    arXiv 2005.06392); time is in updates at the full learning rate.
    """

    name: ClassVar[str] = "gradient_flow"
    words: ClassVar[str] = "policy-gradient flow"
    tried: ClassVar[Sequence[Mapping[str, Any]]] = parameters(
        rate=(0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0),
    )
    gives_shares: ClassVar[bool] = True

    def scores(self, known: Known, epochs: np.ndarray, **parameters: float) -> np.ndarray:
        """See `Method.scores`."""
        shares, accuracies = known.probe.resampled(DRAWS)  # (B, F) each
        logits = np.log(np.maximum(shares, _LEAST))
        found, reached = [], 0.0
        for time in parameters["rate"] * known.settings.time(epochs):
            steps = min(max(1, int(np.ceil((time - reached) / _LARGEST_STEP))), _MOST_STEPS)
            for _ in range(steps):
                now = np.exp(log_softmax(logits, axis=1))
                mean = (now * accuracies).sum(axis=1, keepdims=True)
                logits = logits + (time - reached) / steps * now * (accuracies - mean)
            reached = time
            found.append(log_softmax(logits, axis=1))
        return np.stack(found, axis=1)
