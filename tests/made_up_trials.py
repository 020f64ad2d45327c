"""Trials that cost what they are told, in a module that the process of a calibration can import."""

import os
from dataclasses import dataclass

from formatlab.launch.estimates.trial import Cost, Trial


@dataclass(frozen=True, kw_only=True)
class MadeUpTrial(Trial):
    """Gives a cost, or goes wrong as it is told to."""

    name: str
    seconds: float = 1.0
    trouble: str = ""
    """`error`: raise; `death`: end the process."""

    @property
    def label(self) -> str:
        return self.name

    @property
    def key(self) -> str:
        return self.name

    def measure(self) -> Cost:
        if self.trouble == "error":
            raise ValueError("this cannot be done\nand more")
        if self.trouble == "death":
            os._exit(3)
        return Cost(seconds=self.seconds, memory=1)
