"""What is used of TRL's private surface is still there: each failure says what moved."""

import inspect

import pytest
from transformers import Trainer
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

HOOKS = {
    "_get_train_sampler": ["self", "dataset"],
    "_generate_single_turn": [
        "self",
        "prompt_ids",
        "images",
        "multimodal_fields",
        "num_generations",
        "has_tool_images",
    ],
    "_generate_and_score_completions": ["self", "inputs"],
    "_save_checkpoint": ["self", "model", "trial"],
    "log": ["self", "logs", "start_time"],
}


@pytest.mark.parametrize(("name", "parameters"), HOOKS.items())
def test_overridden_methods_take_what_they_took(name: str, parameters: list[str]):
    assert hasattr(GRPOTrainer, name), f"GRPOTrainer.{name} is gone; LabGrpoTrainer overrides it"
    found = list(inspect.signature(getattr(GRPOTrainer, name)).parameters)
    assert found == parameters, f"GRPOTrainer.{name} takes {found} now, not {parameters}"


@pytest.mark.parametrize(
    ("method", "text", "use"),
    [
        ("_generate", "self._generate_single_turn(", "the lab's sampler is called"),
        ("_generate_and_score_completions", "self._calculate_rewards(", "rewards are asked for"),
        ("_generate_and_score_completions", '"advantages": advantages', "advantages are recorded"),
        ("_generate_and_score_completions", '"completion_mask": completion_mask', "KL is masked"),
        ("_generate_and_score_completions", '"prompt_mask": prompt_mask', "KL is computed"),
        ("_prepare_inputs", "self._generate_and_score_completions(", "each batch is recorded once"),
        ("log", "self._metrics[mode]", "losses are read from the logs"),
    ],
)
def test_trl_still_calls_and_returns_what_the_records_rest_on(method: str, text: str, use: str):
    source = inspect.getsource(getattr(GRPOTrainer, method))
    assert text in source, f"GRPOTrainer.{method} no longer has `{text}`, by which {use}"


def test_transformers_writes_the_trainer_state_last_into_a_checkpoint():
    source = inspect.getsource(Trainer._save_checkpoint)
    state, model = source.index("save_to_json"), source.index("self.save_model(")
    assert model < state


@pytest.mark.parametrize(
    "name",
    [
        "loss_type",
        "scale_rewards",
        "beta",
        "num_generations",
        "num_iterations",
        "steps_per_generation",
        "max_completion_length",
        "temperature",
        "epsilon",
        "disable_dropout",
    ],
)
def test_options_go_by_the_names_that_are_set(name: str):
    assert name in GRPOConfig.__dataclass_fields__, f"GRPOConfig has no field {name} any more"
