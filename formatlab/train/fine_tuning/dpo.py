"""DPO: direct preference optimisation toward a chosen format, and its control."""

from dataclasses import asdict, dataclass
from typing import ClassVar

from formatlab.errors import InputError
from formatlab.train.fine_tuning.settings import FineTuning
from formatlab.train.fine_tuning.sft import ChosenFrom, Sft
from formatlab.world.formats import FORMATS


@dataclass(frozen=True, kw_only=True)
class Dpo(FineTuning):
    """Settings of DPO (Rafailov et al. 2023, arXiv:2305.18290); an example is a pair.

    The protocol is the lab's version of Manduzio et al. 2024 (arXiv:2410.18890): right and well
    formed against wrong or malformed. The reference model is the starting model.
    """

    name: ClassVar[str] = "dpo"

    toward: str = "prose"
    """The format of the chosen completions."""
    chosen: ChosenFrom = "rollouts"
    """Where these come from: `rollouts`, the starting model's own, or `documents`, rendered by the
    world without mistranslations. The rejected ones are always its own rollouts."""
    beta: float = 0.1
    """How strongly the policy is held to the reference model."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        if self.toward not in FORMATS:
            raise InputError(
                f"dpo: unknown format {self.toward!r}; known formats: {', '.join(FORMATS)}"
            )
        if self.beta <= 0:
            raise InputError(f"dpo: beta is {self.beta}; it must be positive")

    @property
    def control(self) -> Sft:
        """SFT on the chosen halves: the same pairs, as many updates, all other settings alike."""
        shared = {field: value for field, value in asdict(self).items() if field != "beta"}
        return Sft(source="preferred", **shared)
