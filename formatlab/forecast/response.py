"""The format leads that the updates of RL move furthest, as measured at the base."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from scipy.special import log_softmax

from formatlab.forecast.case import Known
from formatlab.forecast.method import Method, parameters

DRAWS = 50
"""Probes and responses drawn from those of the base."""

_LEAST = 1e-6


class Response(Method):
    """d log p / dt = rate r: shares go on as the first update moves them.

    The response r is the change of the logarithm of a format's share in one update, from the
    gradient at the base and the optimiser's scaling of it (formatlab/train/response.py); time is in
    updates at the full learning rate. Where updates moved nothing but a table of probabilities, r
    would be a - mean a, and this the replicator flow.
    """

    name: ClassVar[str] = "response"
    words: ClassVar[str] = "response to an update"
    tried: ClassVar[Sequence[Mapping[str, Any]]] = parameters(
        rate=(0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.5)
    )
    gives_shares: ClassVar[bool] = True
    of_model: ClassVar[bool] = True

    def scores(self, known: Known, epochs: np.ndarray, **parameters: float) -> np.ndarray:
        """See `Method.scores`.

        Raises:
            ValueError: the response is not known.
        """
        if known.response is None:
            raise ValueError("the response of the base is not known")
        response, error = known.response  # (F,) each
        drawn = np.random.default_rng(0).standard_normal((DRAWS, len(response)))
        shares, _ = known.probe.resampled(DRAWS)  # (B, F)
        updates = known.settings.updates(epochs)  # (H,)
        moved = parameters["rate"] * updates[:, None] * (response + error * drawn)[:, None]
        return log_softmax(np.log(np.maximum(shares, _LEAST))[:, None] + moved, axis=2)
