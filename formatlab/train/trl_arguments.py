"""TRL's arguments for all of its trainers: every default that matters, set on purpose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from formatlab.models.model import best_device
from formatlab.train.on_policy.engine import Engine
from formatlab.train.rules import RULES
from formatlab.world.problem import digest

if TYPE_CHECKING:
    from formatlab.train.fine_tuning.settings import FineTuning
    from formatlab.train.on_policy.settings import OnPolicy


def on_policy_arguments(
    settings: OnPolicy, engine: Engine, *, output: Path, seed: int, processes: int
) -> dict[str, Any]:
    """The arguments of `GRPOConfig` or `RLOOConfig`.

    Args:
        settings: what decides the run.
        engine: what samples training rollouts.
        output: folder of the checkpoints.
        seed: of whatever TRL draws itself.
        processes: number of processes that train this one run.

    Raises:
        InputError: batches that cannot be divided among the processes.
    """
    share = settings.update_sequences // processes
    micro = settings.micro_batch_sequences(processes)
    updates = settings.steps * settings.updates_per_step
    arguments = _shared(settings, output, updates) | {
        "model_init_kwargs": {"dtype": "float32", "device_map": None},
        "beta": settings.kl_coefficient,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": share // micro,
        "steps_per_generation": settings.rollouts_per_step // processes // micro,
        "num_generations": settings.group_size,
        "num_iterations": settings.iterations,
        "temperature": settings.temperature,
        "max_completion_length": settings.completion_length,
        "epsilon": settings.clip_epsilon,
        "seed": seed,
        "disable_dropout": True,
        "save_steps": settings.checkpoint_every * settings.updates_per_step,
        "ddp_find_unused_parameters": False,
    }
    if settings.optimiser == "sgd":
        arguments["optim"] = "sgd"
    if engine.vllm != "off":
        arguments |= {
            "use_vllm": True,
            "vllm_mode": engine.vllm,
            "vllm_gpu_memory_utilization": engine.vllm_memory,
            "vllm_server_base_url": engine.vllm_server if engine.vllm == "server" else None,
        }
    return arguments | settings.trl_options


def fine_tuning_arguments(
    settings: FineTuning, examples: int, *, output: Path, seed: int, load: bool
) -> dict[str, Any]:
    """The arguments of `SFTConfig` or `DPOConfig`.

    Args:
        settings: what decides the run.
        examples: number of examples or pairs in a pass over them.
        output: folder of the checkpoints.
        seed: of the first weights of an adapter, and of whatever else TRL draws itself.
        load: whether TRL loads the model; otherwise it is given one.
    """
    updates = settings.updates_per_pass(examples) * settings.epochs
    micro = settings.micro_batch_examples
    arguments = _shared(settings, output, updates) | {
        "model_init_kwargs": {"dtype": "float32", "device_map": None} if load else None,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": settings.batch // micro,
        "max_length": None,
        "seed": digest("fine-tuning", seed) % 2**31,
        "save_steps": settings.checkpoint_every,
    }
    return arguments | settings.trl_options


def _shared(settings: OnPolicy | FineTuning, output: Path, updates: int) -> dict[str, Any]:
    """What all trainers of TRL are given; `updates` are those of the whole run."""
    minimum = {"min_lr_rate": RULES.least_rate} if settings.schedule == "cosine_with_min_lr" else {}
    return {
        "output_dir": str(output),
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
        "use_cpu": best_device().type == "cpu",
        "bf16": settings.precision == "bfloat16",
        "gradient_checkpointing": False,
        "remove_unused_columns": False,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # a loss that is no number has to be seen
        "save_strategy": "steps",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
