"""What the format recorder uses of TRL is still there: each failure says what moved."""

import pytest
from transformers import Trainer, TrainerCallback
from transformers.trainer_callback import CallbackHandler
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.rloo_config import RLOOConfig
from trl.trainer.rloo_trainer import RLOOTrainer
from upstream import in_order, parameters_of, source_of

TRAINERS = pytest.mark.parametrize("trainer", [GRPOTrainer, RLOOTrainer])
HOOKS = {
    "_calculate_rewards": ["self", "inputs", "prompts", "completions", "completion_ids_list"],
    "_generate_and_score_completions": ["self", "inputs"],
    "log": ["self", "logs", "start_time"],
}


@TRAINERS
@pytest.mark.parametrize(("name", "parameters"), HOOKS.items())
def test_wrapped_methods_take_what_they_took(
    trainer: type, name: str, parameters: list[str]
) -> None:
    found = parameters_of(trainer, name)
    assert found == parameters, f"{trainer.__name__}.{name} takes {found} now, not {parameters}"


@TRAINERS
@pytest.mark.parametrize(
    ("method", "text", "use"),
    [
        (
            "_generate_and_score_completions",
            "self._calculate_rewards(inputs, prompts, completions, completion_ids_list)",
            "rollouts and rewards are seen",
        ),
        ("_calculate_rewards", "rewards_per_func = gather(", "rewards are those of all processes"),
        (
            "_generate_and_score_completions",
            "self.accelerator.process_index * len(prompts)",
            "each process finds its own rewards",
        ),
        (
            "_generate_and_score_completions",
            "self.reward_weights.to(rewards_per_func.device).unsqueeze(0)).nansum(dim=1)",
            "the total reward is computed as TRL's own",
        ),
        ("_generate_and_score_completions", '"advantages": advantages', "advantages are recorded"),
        ("_generate_and_score_completions", '"prompt_ids": prompt_ids', "chats are decoded"),
        ("_generate_and_score_completions", '"prompt_mask": prompt_mask', "chats are decoded"),
        (
            "_generate_and_score_completions",
            'mode = "train" if self.model.training else "eval"',
            "evaluations are told from training",
        ),
        (
            "_generate",
            "eos_and_pad = [*self.eos_token_ids, self._tokenizer.pad_token_id]",
            "truncated rollouts are found",
        ),
        ("_prepare_inputs", "self._generate_and_score_completions(", "each batch is seen once"),
        ("log", "super().log(logs, start_time)", "shares go where the other metrics go"),
        ("__init__", "self.reward_func_names", "config.json names the rewards"),
    ],
)
def test_trl_still_does_what_the_recorder_relies_on(
    trainer: type, method: str, text: str, use: str
) -> None:
    source = source_of(trainer, method)
    assert text in source, f"{trainer.__name__}.{method} no longer has `{text}`, by which {use}"


@pytest.mark.parametrize(
    ("method", "calls"),
    [
        ("_run_epoch", ["global_step += 1", "on_step_end(", "_maybe_log_save_evaluate("]),
        (
            "_maybe_log_save_evaluate",
            ["self._save_checkpoint(", "callback_handler.on_save("],
        ),
        ("evaluate", ["self.log(", "callback_handler.on_evaluate("]),
        (
            "_inner_training_loop",
            ["_init_training_state(", "callback_handler.on_train_begin(", "args.eval_on_start"],
        ),
    ],
)
def test_transformers_still_calls_callbacks_in_this_order(method: str, calls: list[str]) -> None:
    where = f"Trainer.{method}"
    assert in_order(source_of(Trainer, method), calls, where), f"{where} calls in another order"


@pytest.mark.parametrize(
    "name",
    [
        *("on_init_end", "on_train_begin", "on_step_end", "on_epoch_end", "on_save"),
        *("on_evaluate", "on_predict", "on_train_end"),
    ],
)
def test_callbacks_go_by_the_names_that_are_overridden(name: str) -> None:
    assert hasattr(TrainerCallback, name) and hasattr(CallbackHandler, name)


@pytest.mark.parametrize("config", [GRPOConfig, RLOOConfig])
@pytest.mark.parametrize(
    "name",
    [
        *("learning_rate", "num_generations", "num_iterations", "steps_per_generation"),
        *("max_completion_length", "temperature", "beta", "reward_weights", "seed"),
        "remove_unused_columns",
    ],
)
def test_options_go_by_the_names_that_are_recorded(config: type, name: str) -> None:
    assert name in config.__dataclass_fields__, f"{config.__name__} has no field {name} any more"
