"""What TRL is configured with: what matters is set, what a launcher configures is left alone."""

from pathlib import Path
from typing import Any

import pytest

from formatlab.train.on_policy.engine import Engine
from formatlab.train.on_policy.settings import Grpo, Ppo, Rloo
from formatlab.train.trl_arguments import on_policy_arguments

ALGORITHMS = [Grpo, Ppo, Rloo]


def config(settings: Any, engine: Engine, folder: Path, processes: int = 1) -> Any:
    arguments = on_policy_arguments(settings, engine, output=folder, seed=0, processes=processes)
    return settings.trainer().trl_config(**arguments)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_deepspeed_and_fsdp_are_the_launchers_to_configure(algorithm: type, tmp_path: Path):
    made = config(algorithm(learning_rate=1e-3), Engine(), tmp_path)
    assert made.deepspeed is None
    assert not made.fsdp
    assert made.use_vllm is False


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_optimiser_is_the_one_that_is_asked_for(algorithm: type, tmp_path: Path):
    plain = config(algorithm(learning_rate=1e-3), Engine(), tmp_path)
    descent = config(algorithm(learning_rate=1.0, optimiser="sgd"), Engine(), tmp_path)
    assert "adamw" in plain.optim
    assert descent.optim == "sgd"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_vllm_is_trls_own_switch(algorithm: type, tmp_path: Path):
    colocated = Engine(vllm="colocate", vllm_memory=0.5)
    made = config(algorithm(learning_rate=1e-3), colocated, tmp_path)
    assert (made.use_vllm, made.vllm_mode) == (True, "colocate")
    assert made.vllm_gpu_memory_utilization == 0.5
    server = Engine(vllm="server", vllm_server="http://node:8000")
    made = config(algorithm(learning_rate=1e-3), server, tmp_path)
    assert (made.vllm_mode, made.vllm_server_base_url) == ("server", "http://node:8000")


@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("settings", [{}, {"sequences_per_update": 64}, {"micro_batch": 24}])
def test_processes_share_a_step_without_changing_it(settings: dict, processes: int, tmp_path: Path):
    grpo = Grpo(learning_rate=1e-3, **settings)
    made = config(grpo, Engine(), tmp_path, processes)
    update = made.per_device_train_batch_size * made.gradient_accumulation_steps * processes
    step = made.per_device_train_batch_size * made.steps_per_generation * processes
    assert (update, step) == (grpo.update_sequences, grpo.rollouts_per_step)
    assert made.per_device_train_batch_size <= grpo.micro_batch
