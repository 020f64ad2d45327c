"""What SFT and DPO rest on in TRL and transformers is there: each failure says what moved."""

import pytest
from transformers import Trainer
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DataCollatorForPreference, DPOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling, SFTTrainer
from upstream import parameters_of, source_of


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (Trainer, "_get_train_sampler", ["self", "train_dataset"]),
        (Trainer, "_save_checkpoint", ["self", "model", "trial"]),
        (SFTTrainer, "_save_checkpoint", ["self", "model", "trial"]),
        (DPOTrainer, "_save_checkpoint", ["self", "model", "trial"]),
        (SFTTrainer, "log", ["self", "logs", "start_time"]),
        (DPOTrainer, "log", ["self", "logs", "start_time"]),
        (
            DPOTrainer,
            "_prepare_dataset",
            ["self", "dataset", "processing_class", "args", "dataset_name"],
        ),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_overridden_methods_take_what_they_took(owner: type, name: str, parameters: list[str]):
    found = parameters_of(owner, name)
    assert found == parameters, f"{owner.__name__}.{name} takes {found} now, not {parameters}"


@pytest.mark.parametrize(
    ("owner", "method", "text", "use"),
    [
        (SFTTrainer, "__init__", '"skip_prepare_dataset"', "rows with labels are left as they are"),
        (DPOTrainer, "__init__", "self._prepare_dataset(", "texts would be tokenised"),
        (DPOTrainer, "_prepare_dataset", 'example["prompt"] + example["chosen"]', "it must not be"),
        (DPOTrainer, "_compute_loss", '"rewards/margins"', "the margin is logged"),
        (DPOTrainer, "_compute_loss", '"rewards/accuracies"', "its accuracy is logged"),
        (DPOTrainer, "_compute_loss", '"logps/chosen"', "the chosen log-probability is logged"),
        (DPOTrainer, "_compute_loss", "use_adapter(", "an adapter is off in the reference"),
        (SFTTrainer, "compute_loss", '"mean_token_accuracy"', "token accuracy is logged"),
        (SFTTrainer, "compute_loss", "num_items_in_batch", "micro-batches do not change the loss"),
    ],
)
def test_trl_still_does_what_the_stages_rest_on(owner: type, method: str, text: str, use: str):
    source = source_of(owner, method)
    assert text in source, f"{owner.__name__}.{method} no longer has `{text}`, by which {use}"


def test_the_collator_of_sft_pads_labels_and_adds_nothing():
    batch = DataCollatorForLanguageModeling(pad_token_id=0)(
        [{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}, {"input_ids": [5], "labels": [5]}]
    )
    assert batch["input_ids"].tolist() == [[5, 6, 7], [5, 0, 0]]
    assert batch["labels"].tolist() == [[-100, 6, 7], [5, -100, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


def test_the_collator_of_dpo_joins_token_ids_and_adds_nothing():
    batch = DataCollatorForPreference(pad_token_id=0)(
        [{"prompt_ids": [5], "chosen_ids": [6, 7], "rejected_ids": [8]}]
    )
    assert batch["input_ids"].tolist() == [[5, 6, 7], [5, 8, 0]]
    assert batch["completion_mask"].tolist() == [[0, 1, 1], [0, 1, 0]]


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (SFTConfig, ["dataset_kwargs", "max_length", "packing", "loss_type", "model_init_kwargs"]),
        (DPOConfig, ["beta", "loss_type", "max_length", "disable_dropout", "model_init_kwargs"]),
    ],
)
def test_options_go_by_the_names_that_are_set(config: type, names: list[str]):
    for name in names:
        assert name in config.__dataclass_fields__, (
            f"{config.__name__} has no field {name} any more"
        )
