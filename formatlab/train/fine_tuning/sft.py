"""SFT: supervised fine-tuning on documents or on the starting model's own right answers."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from formatlab.errors import InputError
from formatlab.train.fine_tuning.settings import FineTuning
from formatlab.world.formats import FORMATS

ChosenFrom = Literal["rollouts", "documents"]


@dataclass(frozen=True, kw_only=True)
class Sft(FineTuning):
    """Settings of SFT; the loss is on completions alone, end mark included."""

    name: ClassVar[str] = "sft"

    source: Literal["documents", "rollouts", "preferred"] = "documents"
    """`documents`: solutions that the world renders. `rollouts`: the starting model's own, those
    that are right, well formed and distinct. `preferred`: the chosen halves of the pairs that DPO
    makes of the same model and seed, its control."""
    formats: tuple[str, ...] = ()
    """Of documents: their formats, equal numbers of each; empty for the shares of the mixture. Of
    rollouts: the formats that count; empty for all."""
    faithful: bool = True
    """Whether documents are free of the mixture's mistranslations."""
    problems: Literal["rl", "pretrain"] = "rl"
    """What documents are about. `rl`: the problems of the prompts, as rollouts and pairs are; an RL
    stage after it then asks what this one has shown the answers to. `pretrain`: problems of the
    pretraining split that no corpus reaches, which RL never asks."""
    toward: str | None = None
    """The chosen format of the pairs; needed by `preferred`."""
    chosen: ChosenFrom = "rollouts"
    """Where the chosen halves of the pairs come from; see `Dpo`."""

    def __post_init__(self) -> None:
        """Check the ranges and what the source needs."""
        super().__post_init__()
        object.__setattr__(self, "formats", tuple(self.formats))
        for form in (*self.formats, *filter(None, [self.toward])):
            if form not in FORMATS:
                raise InputError(
                    f"sft: unknown format {form!r}; known formats: {', '.join(FORMATS)}"
                )
        if self.source == "preferred" and self.toward is None:
            raise InputError(
                "sft: source is 'preferred', so the chosen format of the pairs is needed; set "
                "toward"
            )
        if self.source != "preferred" and self.toward is not None:
            raise InputError(
                f"sft: toward is {self.toward!r}, which only source 'preferred' reads; name "
                "formats instead"
            )
        if self.source == "preferred" and self.formats:
            raise InputError("sft: source is 'preferred'; its format is toward, leave formats out")
