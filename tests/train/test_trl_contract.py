"""What is used of TRL's private surface is still there: each failure says what moved."""

import inspect

import pytest
from transformers import Trainer
from trl.models.utils import unwrap_model_for_generation
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.rloo_config import RLOOConfig
from trl.trainer.rloo_trainer import RLOOTrainer
from upstream import in_order, parameters_of, source_of

HOOKS = {
    "_get_train_sampler": ["self", "dataset"],
    "_generate_and_score_completions": ["self", "inputs"],
    "_save_checkpoint": ["self", "model", "trial"],
    "log": ["self", "logs", "start_time"],
}
SINGLE_TURN = ["self", "prompt_ids", "images", "multimodal_fields"]
TRAINERS = (GRPOTrainer, RLOOTrainer)


@pytest.mark.parametrize("trainer", TRAINERS, ids=lambda trainer: trainer.__name__)
@pytest.mark.parametrize(("name", "parameters"), HOOKS.items())
def test_overridden_methods_take_what_they_took(trainer: type, name: str, parameters: list[str]):
    found = parameters_of(trainer, name)
    assert found == parameters, f"{trainer.__name__}.{name} takes {found} now, not {parameters}"


@pytest.mark.parametrize(
    ("trainer", "parameters"),
    [
        (GRPOTrainer, [*SINGLE_TURN, "num_generations", "has_tool_images"]),
        (RLOOTrainer, SINGLE_TURN),
    ],
    ids=["grpo", "rloo"],
)
def test_single_turns_are_asked_for_as_they_were(trainer: type, parameters: list[str]):
    found = parameters_of(trainer, "_generate_single_turn")
    assert found == parameters, (
        f"{trainer.__name__}._generate_single_turn takes {found} now, not {parameters}"
    )


@pytest.mark.parametrize("trainer", TRAINERS, ids=lambda trainer: trainer.__name__)
def test_log_probabilities_are_asked_for_as_they_were(trainer: type):
    found = parameters_of(trainer, "_get_per_token_logps_and_entropies")[:7]
    assert found == [
        "self",
        "model",
        "input_ids",
        "attention_mask",
        "logits_to_keep",
        "batch_size",
        "compute_entropy",
    ], f"{trainer.__name__}._get_per_token_logps_and_entropies takes {found} now"
    source = source_of(trainer, "_get_per_token_logps_and_entropies")
    assert "return logps, entropies, aux_loss" in source


def test_sharded_models_are_unwrapped_as_they_were():
    found = list(inspect.signature(unwrap_model_for_generation).parameters)[:2]
    assert found == ["model", "accelerator"], (
        f"unwrap_model_for_generation takes {found} now; probes of sharded policies go through it"
    )
    source = source_of(GRPOTrainer, "_generate_single_turn")
    assert "self._dist.summon_full_params(self.model_wrapped" in source, (
        "GRPOTrainer no longer has _dist.summon_full_params; probes of sharded policies use it"
    )


@pytest.mark.parametrize("trainer", TRAINERS, ids=lambda trainer: trainer.__name__)
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
def test_trl_still_calls_and_returns_what_the_records_rest_on(
    trainer: type, method: str, text: str, use: str
):
    source = source_of(trainer, method)
    assert text in source, f"{trainer.__name__}.{method} no longer has `{text}`, by which {use}"


def test_transformers_writes_the_trainer_state_last_into_a_checkpoint():
    source = source_of(Trainer, "_save_checkpoint")
    written = in_order(source, ["self.save_model(", "save_to_json"], "Trainer._save_checkpoint")
    assert written, "the trainer's state, which a resume reads, is no longer written last"


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
        "importance_sampling_level",
        "epsilon_high",
        "entropy_coef",
        "use_vllm",
        "vllm_mode",
        "vllm_gpu_memory_utilization",
        "vllm_server_base_url",
    ],
)
def test_options_go_by_the_names_that_are_set(name: str):
    assert name in GRPOConfig.__dataclass_fields__, f"GRPOConfig has no field {name} any more"


@pytest.mark.parametrize(
    "name",
    [
        "beta",
        "num_iterations",
        "epsilon",
        "normalize_advantages",
        "use_vllm",
        "vllm_mode",
        "vllm_gpu_memory_utilization",
        "vllm_server_base_url",
    ],
)
def test_options_of_rloo_go_by_the_names_that_are_set(name: str):
    assert name in RLOOConfig.__dataclass_fields__, f"RLOOConfig has no field {name} any more"


@pytest.mark.parametrize("trainer", TRAINERS, ids=lambda trainer: trainer.__name__)
@pytest.mark.parametrize("name", ["_tokenizer", "eos_token_ids", "ref_model", "_dist"])
def test_trainers_still_hold_what_is_read_of_them(trainer: type, name: str):
    source = "".join(inspect.getsource(cls) for cls in trainer.__mro__[:2])
    assert f"self.{name} =" in source, (
        f"{trainer.__name__} no longer sets self.{name}, which RolloutTrainer reads"
    )
