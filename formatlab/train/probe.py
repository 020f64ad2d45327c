"""The probe: a fixed set of held-out prompts, sampled the same way at every checkpoint."""

import math
from dataclasses import dataclass

from formatlab.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Probe:
    """How policies are observed, base and checkpoints alike."""

    prompts: int = 256
    """Number of held-out prompts; confidence intervals are over them."""
    samples: int = 8
    """Completions of each prompt."""
    temperature: float = 1.0
    """Sampling temperature; 1 samples the policy itself."""
    fractions: tuple[float, ...] = (0.125, 0.25, 0.5)
    """Fractions of the first epoch after which to observe, beside the end of every epoch."""
    batch: int = 1024
    """Completions sampled side by side; bounds memory, does not change what is sampled."""
    seed: int = 0
    """Decides all draws."""

    def __post_init__(self) -> None:
        """Check counts and fractions."""
        for name in ("prompts", "samples", "batch"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"the probe's {name} is {getattr(self, name)}; it must be at least 1"
                )
        if not 0 <= self.temperature < math.inf:
            raise InputError(
                f"the probe's temperature is {self.temperature}; it must be a number from 0 on"
            )
        for fraction in self.fractions:
            if not 0 < fraction < 1:
                raise InputError(
                    f"the probe's fraction {fraction} of the first epoch must be between 0 and 1"
                )

    def steps(self, *, per_epoch: int, epochs: int) -> dict[int, float]:
        """Steps after which the policy is observed, with their epochs.

        These are the start (step 0), the fractions of the first epoch rounded to whole steps, and
        the end of every epoch.

        Args:
            per_epoch: steps of an epoch.
            epochs: of the run.
        """
        fractions = {round(fraction * per_epoch) for fraction in self.fractions}
        ends = {epoch * per_epoch for epoch in range(1, epochs + 1)}
        return {step: step / per_epoch for step in sorted({0} | fractions | ends)}
