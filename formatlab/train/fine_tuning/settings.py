"""Fine-tuning: the settings of SFT and DPO, under the field's names."""

import math
from abc import abstractmethod
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from formatlab.errors import InputError
from formatlab.train.stage import StageInputs, StageSettings, largest_divisor
from formatlab.world.formats import FORMATS

if TYPE_CHECKING:
    from formatlab.train.fine_tuning.trainer import FineTuningTrainer


@dataclass(frozen=True, kw_only=True)
class FineTuning(StageSettings):
    """Settings of a run that learns from examples gathered before its first step.

    A step is one optimiser update. Where the examples are the starting model's own rollouts, all
    of these are sampled first, and recorded as training rollouts of step 0; `temperature` and
    `completion_length` are theirs, and the latter a probe's too.
    """

    counts: ClassVar[tuple[str, ...]] = ("examples", "samples", "epochs", "batch")

    examples: int = 1024
    """Most examples to learn from; how many there are depends on what is found."""
    samples: int = 8
    """Completions of each prompt, where the starting model's own rollouts are looked through."""
    epochs: int = 2
    """Passes over the examples."""
    batch: int = 16
    """Examples in one optimiser update."""
    checkpoint_every: int = 64
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        """Check that there is an update's worth of examples."""
        super().__post_init__()
        if self.examples < self.batch:
            raise InputError(
                f"{self.name}: examples is {self.examples}, fewer than one update takes "
                f"(batch is {self.batch})"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Most steps of one pass over the examples."""
        return self.updates_per_pass(self.examples)

    @property
    def steps(self) -> int:
        """Most steps of the run; fewer where fewer examples are found."""
        return self.steps_per_epoch * self.epochs

    @property
    def micro_batch_examples(self) -> int:
        """Examples in one forward pass: the largest divisor of a batch within `micro_batch`."""
        return largest_divisor(self.batch, self.micro_batch)

    def updates_per_pass(self, examples: int) -> int:
        """Updates that one pass over so many examples makes; the last may be a smaller one."""
        return math.ceil(examples / self.batch)

    @property
    @abstractmethod
    def rendered(self) -> tuple[str, ...]:
        """The formats, named by the settings, in which documents to learn from are rendered."""

    @property
    def rules(self) -> dict[str, Any]:
        """Those of all stages, and the versions of the formats that are rendered."""
        versions = {form: FORMATS[form].version for form in self.rendered}
        return {**super().rules, **({"format_versions": versions} if versions else {})}

    @property
    @abstractmethod
    def trl_options(self) -> dict[str, Any]:
        """The algorithm's own options, by TRL's names."""

    @abstractmethod
    def trainer(self) -> "type[FineTuningTrainer]":
        """The class that trains it; imported here, since importing TRL takes seconds."""


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
    """The problems that documents solve. `rl`: the training prompts' own problems. A later RL stage
    then asks problems whose answers the model has already seen. `pretrain`: problems of the
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

    @property
    def words(self) -> str:
        """The formats of the examples."""
        match self.source:
            case "rollouts":
                return "own " + ("+".join(self.formats) or "rollouts")
            case "preferred":
                return f"preferred {self.toward}"
            case "documents":
                return "+".join(self.formats) or "mixture"

    @property
    def rendered(self) -> tuple[str, ...]:
        """Those of the documents, or that of chosen documents."""
        if self.source == "documents":
            return self.formats
        return (self.toward,) if self.toward and self.chosen == "documents" else ()

    @property
    def trl_options(self) -> dict[str, Any]:
        """The loss, on rows that are tokenised already."""
        return {
            "loss_type": "nll",
            "packing": False,
            "dataset_kwargs": {"skip_prepare_dataset": True},
        }

    def trainer(self) -> "type[FineTuningTrainer]":
        """TRL's SFT trainer, with the lab's order and records."""
        from formatlab.train.fine_tuning.trainer import LabSftTrainer

        return LabSftTrainer

    def _train(self, inputs: StageInputs) -> None:
        from formatlab.train.fine_tuning.run import run_sft

        run_sft(self, inputs)


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
    def words(self) -> str:
        """The chosen format."""
        return self.toward

    @property
    def rendered(self) -> tuple[str, ...]:
        """That of chosen documents."""
        return (self.toward,) if self.chosen == "documents" else ()

    @property
    def trl_options(self) -> dict[str, Any]:
        """The loss, by TRL's names."""
        return {"beta": self.beta, "loss_type": ["sigmoid"], "disable_dropout": True}

    def trainer(self) -> "type[FineTuningTrainer]":
        """TRL's DPO trainer, with the lab's order and records."""
        from formatlab.train.fine_tuning.trainer import LabDpoTrainer

        return LabDpoTrainer

    def _train(self, inputs: StageInputs) -> None:
        from formatlab.train.fine_tuning.run import run_dpo

        run_dpo(self, inputs)

    @property
    def control(self) -> Sft:
        """SFT on the chosen halves: the same pairs, as many updates, all other settings alike."""
        shared = {field: value for field, value in asdict(self).items() if field != "beta"}
        return Sft(source="preferred", **shared)
