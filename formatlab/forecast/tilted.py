"""The format leads that has the largest share in the optimum of a reward with a KL penalty."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from formatlab.forecast.case import Known
from formatlab.forecast.method import Method, constant, parameters

_LEAST = 1e-6


class Tilted(Method):
    """Score: log p + a / beta, the logarithm of the optimum's share up to a constant.

    The policy that maximises E[reward] - beta KL(policy || base) weighs the base by
    exp(reward / beta) (Korbak et al. 2022, arXiv 2205.11275). Where a run has no KL coefficient,
    beta stands for how far training goes.
    """

    name: ClassVar[str] = "tilted"
    words: ClassVar[str] = "KL-tilted optimum"
    tried: ClassVar[Sequence[Mapping[str, Any]]] = parameters(
        beta=(0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1.0, 2.0)
    )

    def scores(self, known: Known, epochs: np.ndarray, **parameters: float) -> np.ndarray:
        """See `Method.scores`."""
        shares = np.maximum(known.probe.shares, _LEAST)
        return constant(np.log(shares) + known.probe.accuracies / parameters["beta"], epochs)
