"""The format that the first update favours most leads."""

from typing import ClassVar

import numpy as np

from formatlab.forecast.case import Known
from formatlab.forecast.method import Method, constant


class FirstStep(Method):
    """Score: p (a - mean a), the gradient of the mean reward with respect to a format's logit.

    p is the share and a the accuracy of a format, and the mean is over rollouts: softmax policy
    gradient (Williams 1992; Mei et al. 2020, arXiv 2005.06392, equation 5).
    """

    name: ClassVar[str] = "first_step"
    words: ClassVar[str] = "p (a - mean a)"

    def scores(self, known: Known, epochs: np.ndarray, **parameters: float) -> np.ndarray:
        """See `Method.scores`."""
        shares, accuracies = known.probe.shares, known.probe.accuracies
        return constant(shares * (accuracies - shares @ accuracies), epochs)
