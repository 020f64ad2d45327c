"""What the first steps of RL show: the format whose share rises most leads."""

from typing import ClassVar

import numpy as np

from formatlab.errors import InputError
from formatlab.forecast.case import Known
from formatlab.forecast.method import Method, constant


class EarlySlope(Method):
    """Score: the rise of the share from the base to a probe early in training.

    No forecast before RL: it stands beside them as what a little RL tells.
    """

    after: ClassVar[float]
    """Epochs after which the probe was taken."""

    def scores(self, known: Known, epochs: np.ndarray, **parameters: float) -> np.ndarray:
        """See `Method.scores`.

        Raises:
            InputError: the run has no such probe.
        """
        if self.after not in known.early:
            raise InputError(f"{self.words}: there is no probe after {self.after:g} epochs")
        now = known.early[self.after]
        later = np.array([now.get(form, 0.0) for form in known.probe.formats])
        return constant(later - known.probe.shares, epochs)


class EighthSlope(EarlySlope):
    """Over the first eighth of an epoch."""

    name: ClassVar[str] = "slope_eighth"
    words: ClassVar[str] = "slope of 1/8 epoch"
    after: ClassVar[float] = 0.125
    needs: ClassVar[tuple[float, ...]] = (0.125,)


class QuarterSlope(EarlySlope):
    """Over the first quarter of an epoch."""

    name: ClassVar[str] = "slope_quarter"
    words: ClassVar[str] = "slope of 1/4 epoch"
    after: ClassVar[float] = 0.25
    needs: ClassVar[tuple[float, ...]] = (0.25,)
