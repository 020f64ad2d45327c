"""TRL's SFT and DPO trainers with the lab's order of examples and resumable checkpoints.

They override three methods of transformers' `Trainer` (`_get_train_sampler`, `_save_checkpoint`,
`log`), and one of TRL's `DPOTrainer` (`_prepare_dataset`, TRL 1.16): both stages are given token
ids, because TRL would tokenise prompt and completion as one text. Nothing of the loss is changed.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from datasets import Dataset
from torch.utils.data import Sampler
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, Trainer
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from formatlab.errors import InputError
from formatlab.models.lora import LoraSettings
from formatlab.models.model import best_device
from formatlab.train.checkpoints import mark_whole
from formatlab.train.epoch_order import EpochOrder
from formatlab.train.fine_tuning.settings import Dpo, FineTuning
from formatlab.train.rules import RULES
from formatlab.world.problem import digest

Logged = Callable[[int, dict[str, float]], None]
"""Told (updates done, what TRL logged of the last one)."""


class FineTuningTrainer(Trainer):
    """What the two trainers share; it stands before TRL's class in their order of inheritance."""

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
        mark_whole(Path(cast(str, self.args.output_dir)) / f"checkpoint-{self.state.global_step}")

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Pass on what is logged of an update."""
        super().log(logs, start_time)
        if "loss" in logs:
            self._logged(self.state.global_step, logs)


class LabSftTrainer(FineTuningTrainer, SFTTrainer):
    """SFT as TRL does it, on rows with `input_ids` and `labels`."""


class LabDpoTrainer(FineTuningTrainer, DPOTrainer):
    """DPO as TRL does it, on rows with `prompt_ids`, `chosen_ids` and `rejected_ids`."""

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
) -> LabSftTrainer | LabDpoTrainer:
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
    kind = LabDpoTrainer if isinstance(settings, Dpo) else LabSftTrainer
    load = isinstance(model, Path)
    trainer = kind(
        order=digest("examples", seed) % 2**31,
        logged=logged,
        model=str(model) if load else model,
        args=_arguments(
            settings, len(rows), output=output, seed=seed, load=isinstance(model, Path)
        ),
        train_dataset=Dataset.from_list([dict(row) for row in rows]),
        processing_class=tokenizer,
        peft_config=lora.config() if lora else None,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _arguments(
    settings: FineTuning, examples: int, *, output: Path, seed: int, load: bool
) -> SFTConfig | DPOConfig:
    """TRL's configuration for the settings; every default that matters is set on purpose."""
    if settings.learning_rate is None:
        name = settings.name
        raise InputError(f"{name}: learning_rate is not set; give --{name}.learning-rate")
    updates = settings.updates_per_pass(examples) * settings.epochs
    micro = settings.micro_batch_examples
    shared: dict[str, Any] = {
        "output_dir": str(output),
        "model_init_kwargs": {"dtype": "float32", "device_map": None} if load else None,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": (
            "constant_with_warmup" if settings.schedule == "constant" else settings.schedule
        ),
        "lr_scheduler_kwargs": (
            {"min_lr_rate": RULES.least_rate} if settings.schedule == "cosine_with_min_lr" else {}
        ),
        "warmup_steps": round(settings.warmup * updates),
        "adam_beta2": settings.adam_beta2,
        "weight_decay": RULES.weight_decay,
        "max_grad_norm": settings.gradient_clip,
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": settings.batch // micro,
        "max_length": None,
        "seed": digest("fine-tuning", seed) % 2**31,
        "use_cpu": best_device().type == "cpu",
        "bf16": settings.precision == "bfloat16",
        "gradient_checkpointing": False,
        "remove_unused_columns": False,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # a loss that is no number has to be seen
        "save_strategy": "steps",
        "save_steps": settings.checkpoint_every,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
    if isinstance(settings, Dpo):
        return DPOConfig(beta=settings.beta, loss_type=["sigmoid"], disable_dropout=True, **shared)
    return SFTConfig(
        loss_type="nll", packing=False, dataset_kwargs={"skip_prepare_dataset": True}, **shared
    )
