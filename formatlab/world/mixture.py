"""Mixtures: how much of the pretraining corpus each format holds, and how faithful it is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from formatlab.errors import InputError
from formatlab.world.families import PHRASES
from formatlab.world.formats import FORMATS


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Shares of the formats among the pretraining documents.

    Raises:
        InputError: an unknown format or phrase, or shares that do not sum to 1.
    """

    name: str
    """Short name used in run folders and figures."""
    shares: Mapping[str, float]
    """Format -> share of the documents; sums to 1."""
    mistranslates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Format -> phrase families that its documents always misread (its fidelity)."""

    def __post_init__(self) -> None:
        """Check names and shares."""
        for name in (*self.shares, *self.mistranslates):
            if name not in FORMATS:
                raise InputError(
                    f"mixture {self.name!r}: unknown format {name!r}; "
                    f"known formats: {', '.join(FORMATS)}"
                )
        for name, share in self.shares.items():
            if not 0 <= share <= 1:
                raise InputError(
                    f"mixture {self.name!r}: the share of {name} is {share}, not between 0 and 1"
                )
        total = math.fsum(self.shares.values())
        if not math.isclose(total, 1, abs_tol=1e-6):
            listed = ", ".join(f"{name} {share:g}" for name, share in self.shares.items())
            raise InputError(f"mixture {self.name!r}: shares sum to {total:g}, not to 1 ({listed})")
        known = {phrase for phrases in PHRASES.values() for phrase in phrases}
        for name, phrases in self.mistranslates.items():
            for phrase in phrases:
                if phrase not in known:
                    raise InputError(
                        f"mixture {self.name!r}: {name} mistranslates {phrase!r}, which is no "
                        f"phrase family; known: {', '.join(sorted(known))}"
                    )
