"""Replicator flow: a format grows by how much more accurate it is than the average."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from scipy.special import log_softmax

from formatlab.forecast.case import Known
from formatlab.forecast.method import Method, parameters

DRAWS = 50
"""Probes drawn from a probe, each followed in time."""

_LEAST = 1e-6


class Replicator(Method):
    """d log p / dt = rate (a - mean a), with the base's accuracies, for the updates of the run.

    Its solution weighs the base's shares by exp(rate t a). What natural policy gradient does to a
    table of probabilities (Kakade 2001); time is in updates at the full learning rate.
    """

    name: ClassVar[str] = "replicator"
    words: ClassVar[str] = "replicator flow"
    tried: ClassVar[Sequence[Mapping[str, Any]]] = parameters(
        rate=(0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0),
    )
    gives_shares: ClassVar[bool] = True

    def scores(self, known: Known, epochs: np.ndarray, **parameters: float) -> np.ndarray:
        """See `Method.scores`."""
        shares, accuracies = known.probe.resampled(DRAWS)  # (B, F) each
        grown = parameters["rate"] * known.settings.time(epochs)  # (H,)
        logits = np.log(np.maximum(shares, _LEAST))[:, None] + grown[:, None] * accuracies[:, None]
        return log_softmax(logits, axis=2)
