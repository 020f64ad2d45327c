"""The format with the most right rollouts leads."""

from typing import ClassVar

import numpy as np

from formatlab.forecast.case import Known
from formatlab.forecast.method import Method, constant


class Product(Method):
    """Score: share x accuracy, the share of rollouts that are right and in the format."""

    name: ClassVar[str] = "product"
    words: ClassVar[str] = "share x accuracy"

    def scores(self, known: Known, epochs: np.ndarray, **parameters: float) -> np.ndarray:
        """See `Method.scores`."""
        return constant(known.probe.shares * known.probe.accuracies, epochs)
