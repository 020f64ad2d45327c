"""TRL's SFT and DPO trainers with the lab's order of examples and resumable checkpoints.

They override three methods of transformers' `Trainer` (`_get_train_sampler`, `_save_checkpoint`,
`log`), and one of TRL's `DPOTrainer` (`_prepare_dataset`, TRL 1.16): both stages are given token
ids, because TRL would tokenise prompt and completion as one text. Nothing of the loss is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from datasets import Dataset
from torch.utils.data import Sampler
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, Trainer
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from formatlab.models.lora import LoraSettings
from formatlab.train.checkpoints import checkpoint_folder, mark_whole
from formatlab.train.epoch_order import EpochOrder
from formatlab.train.trl_arguments import fine_tuning_arguments
from formatlab.world.problem import digest

if TYPE_CHECKING:
    from formatlab.train.fine_tuning.settings import FineTuning

Logged = Callable[[int, dict[str, float]], None]
"""Told (updates done, what TRL logged of the last one)."""


class FineTuningTrainer(Trainer):
    """What the two trainers share; it stands before TRL's class in their order of inheritance."""

    trl_config: ClassVar[type]
    """TRL's class of its arguments."""

    def __init__(self, *, order: int, logged: Logged, **trainer: Any) -> None:
        """Set up training.

        Args:
            order: decides the order of the examples, a new one every pass.
            logged: told about every update.
            trainer: passed on to TRL's trainer.
        """
        self._order = order
        self._logged = logged
        super().__init__(**trainer)

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        rows = train_dataset if train_dataset is not None else self.train_dataset
        return EpochOrder(
            prompts=len(cast(Dataset, rows)), per_step=1, group=1, reuses=1, seed=self._order
        )

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write the checkpoint, then the mark that it is whole."""
        super()._save_checkpoint(model, trial)
        output = Path(cast(str, self.args.output_dir))
        mark_whole(checkpoint_folder(output, self.state.global_step))

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Pass on what is logged of an update."""
        super().log(logs, start_time)
        if "loss" in logs:
            self._logged(self.state.global_step, logs)


class LabSftTrainer(FineTuningTrainer, SFTTrainer):
    """SFT as TRL does it, on rows with `input_ids` and `labels`."""

    trl_config: ClassVar[type] = SFTConfig


class LabDpoTrainer(FineTuningTrainer, DPOTrainer):
    """DPO as TRL does it, on rows with `prompt_ids`, `chosen_ids` and `rejected_ids`."""

    trl_config: ClassVar[type] = DPOConfig

    def _prepare_dataset(
        self, dataset: Any, processing_class: Any, args: Any, dataset_name: str
    ) -> Any:
        """Leave the rows as they are: TRL would tokenise texts here, and can't be told not to."""
        return dataset


def fine_tuning_trainer(
    settings: FineTuning,
    rows: Sequence[Mapping[str, list[int]]],
    *,
    model: Path | PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    lora: LoraSettings | None,
    output: Path,
    seed: int,
    logged: Logged,
) -> FineTuningTrainer:
    """The trainer that the settings ask for.

    Args:
        settings: of SFT or DPO.
        rows: tokenised examples or pairs.
        model: a transformers folder; or a model, whose own adapter is then trained.
        tokenizer: its tokenizer.
        lora: a new adapter to train on `model`; None for all weights, or for the one it has.
        output: folder of the checkpoints.
        seed: decides the order of examples and the first weights of an adapter.
        logged: told about every update.
    """
    kind = settings.trainer()
    load = isinstance(model, Path)
    arguments = fine_tuning_arguments(settings, len(rows), output=output, seed=seed, load=load)
    trainer = kind(
        order=digest("examples", seed) % 2**31,
        logged=logged,
        model=str(model) if load else model,
        args=kind.trl_config(**arguments),
        train_dataset=Dataset.from_list([dict(row) for row in rows]),
        processing_class=tokenizer,
        peft_config=lora.config() if lora else None,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
