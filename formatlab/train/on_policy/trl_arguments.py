"""TRL's arguments for trainers of rollouts: every default that matters, set on purpose."""

from pathlib import Path
from typing import Any

from formatlab.errors import InputError
from formatlab.models.model import best_device
from formatlab.train.on_policy.engine import Engine
from formatlab.train.on_policy.settings import OnPolicy
from formatlab.train.rules import RULES


def trl_arguments(
    settings: OnPolicy, engine: Engine, *, output: Path, seed: int, processes: int
) -> dict[str, Any]:
    """The arguments that `GRPOConfig` and `RLOOConfig` have in common.

    Args:
        settings: what decides the run.
        engine: what it is computed with.
        output: folder of the checkpoints.
        seed: of whatever TRL draws itself.
        processes: processes that train this one run.

    Raises:
        InputError: no learning rate, or batches that cannot be divided among the processes.
    """
    if settings.learning_rate is None:
        raise InputError(
            f"{settings.name}: learning_rate is not set; "
            f"give --{settings.name.replace('_', '-')}.learning-rate"
        )
    share = settings.update_sequences // processes
    micro = settings.micro_batch_sequences(processes)
    minimum = {"min_lr_rate": RULES.least_rate} if settings.schedule == "cosine_with_min_lr" else {}
    updates = settings.steps * settings.updates_per_step
    arguments = {
        "output_dir": str(output),
        "model_init_kwargs": {"dtype": "float32", "device_map": None},
        "beta": settings.kl_coefficient,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": (
            "constant_with_warmup" if settings.schedule == "constant" else settings.schedule
        ),
        "lr_scheduler_kwargs": minimum,
        "warmup_steps": round(settings.warmup * updates),
        "adam_beta2": settings.adam_beta2,
        "weight_decay": RULES.weight_decay,
        "max_grad_norm": settings.gradient_clip,
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": share // micro,
        "steps_per_generation": settings.rollouts_per_step // processes // micro,
        "num_generations": settings.group_size,
        "num_iterations": settings.iterations,
        "temperature": settings.temperature,
        "max_completion_length": settings.completion_length,
        "epsilon": settings.clip_epsilon,
        "seed": seed,
        "use_cpu": best_device().type == "cpu",
        "bf16": settings.precision == "bfloat16",
        "gradient_checkpointing": False,
        "disable_dropout": True,
        "remove_unused_columns": False,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # a loss that is no number has to be seen
        "save_strategy": "steps",
        "save_steps": settings.checkpoint_every * settings.updates_per_step,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "ddp_find_unused_parameters": False,
    }
    if engine.vllm != "off":
        arguments |= {
            "use_vllm": True,
            "vllm_mode": engine.vllm,
            "vllm_gpu_memory_utilization": engine.vllm_memory,
            "vllm_server_base_url": engine.vllm_server if engine.vllm == "server" else None,
        }
    return arguments
