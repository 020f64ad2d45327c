"""Adapters: what is trained, and which settings are refused."""

import peft
import pytest
import torch
from tiny_llama import tiny_model

from formatlab.errors import InputError
from formatlab.models.lora import LoraSettings
from formatlab.models.model import count_parameters

LAYERS = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def adapted_layers(model: torch.nn.Module) -> set[str]:
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert all(".lora_" in name for name in trained)
    return {name.split(".lora_")[0].rpartition(".")[2] for name in trained}


@pytest.mark.parametrize(
    ("targets", "adapted"),
    [(None, LAYERS), (("q_proj", "v_proj"), {"q_proj", "v_proj"})],
)
def test_only_the_named_layers_are_trained(
    targets: tuple[str, ...] | None, adapted: set[str]
) -> None:
    settings = LoraSettings(rank=4, target_modules=targets)
    assert adapted_layers(peft.get_peft_model(tiny_model(), settings.config())) == adapted


def test_an_adapter_starts_as_the_model_and_counts_on_top_of_it() -> None:
    ids = torch.arange(8).reshape(1, 8)  # (B, T)
    model = tiny_model()
    before, size = model(ids).logits, count_parameters(model)
    adapted = peft.get_peft_model(model, LoraSettings(rank=4, target_modules=("q_proj",)).config())
    assert torch.equal(adapted(ids).logits, before)
    grown = count_parameters(model)  # peft put its layers into it
    assert grown.total - size.total == grown.non_embedding - size.non_embedding == 2 * 4 * (64 + 64)


def test_alpha_scales_the_adapter() -> None:
    config = LoraSettings(rank=8, alpha=4).config()
    assert (config.r, config.lora_alpha, config.lora_dropout) == (8, 4, 0.0)
    assert config.task_type == "CAUSAL_LM"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, "rank is 0; it must be at least 1"),
        ({"alpha": 0}, "alpha is 0; it must be above 0"),
        ({"target_modules": ()}, "name at least one"),
        ({"target_modules": ("q_proj", "lm_head")}, "cannot train an adapter on lm_head"),
    ],
)
def test_impossible_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LoraSettings(**settings)
