"""The most frequent format leads."""

from typing import ClassVar

import numpy as np

from formatlab.forecast.case import Known
from formatlab.forecast.method import Method, constant


class Share(Method):
    """Score: the share."""

    name: ClassVar[str] = "share"
    words: ClassVar[str] = "share"

    def scores(self, known: Known, epochs: np.ndarray, **parameters: float) -> np.ndarray:
        """See `Method.scores`."""
        return constant(known.probe.shares, epochs)
