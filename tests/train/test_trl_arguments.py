"""What TRL is configured with: what matters is set, what a launcher configures is left alone."""

from pathlib import Path
from typing import Any

import pytest

from formatlab.errors import InputError
from formatlab.train.on_policy.engine import Engine
from formatlab.train.on_policy.grpo_trainer import grpo_config
from formatlab.train.on_policy.ppo_trainer import ppo_config
from formatlab.train.on_policy.rloo_trainer import rloo_config
from formatlab.train.on_policy.settings import Grpo, Ppo, Rloo

CONFIGS = [(Grpo, grpo_config), (Ppo, ppo_config), (Rloo, rloo_config)]


def config(settings: Any, make: Any, engine: Engine, folder: Path, processes: int = 1) -> Any:
    return make(settings, engine, output=folder, seed=0, processes=processes)


@pytest.mark.parametrize(("algorithm", "make"), CONFIGS)
def test_deepspeed_and_fsdp_are_the_launchers_to_configure(
    algorithm: type, make: Any, tmp_path: Path
):
    made = config(algorithm(learning_rate=1e-3), make, Engine(), tmp_path)
    assert made.deepspeed is None
    assert not made.fsdp
    assert made.use_vllm is False


@pytest.mark.parametrize(("algorithm", "make"), CONFIGS)
def test_vllm_is_trls_own_switch(algorithm: type, make: Any, tmp_path: Path):
    colocated = Engine(vllm="colocate", vllm_memory=0.5)
    made = config(algorithm(learning_rate=1e-3), make, colocated, tmp_path)
    assert (made.use_vllm, made.vllm_mode) == (True, "colocate")
    assert made.vllm_gpu_memory_utilization == 0.5
    server = Engine(vllm="server", vllm_server="http://node:8000")
    made = config(algorithm(learning_rate=1e-3), make, server, tmp_path)
    assert (made.vllm_mode, made.vllm_server_base_url) == ("server", "http://node:8000")


@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("settings", [{}, {"sequences_per_update": 64}, {"micro_batch": 24}])
def test_processes_share_a_step_without_changing_it(settings: dict, processes: int, tmp_path: Path):
    grpo = Grpo(learning_rate=1e-3, **settings)
    made = config(grpo, grpo_config, Engine(), tmp_path, processes)
    update = made.per_device_train_batch_size * made.gradient_accumulation_steps * processes
    step = made.per_device_train_batch_size * made.steps_per_generation * processes
    assert (update, step) == (grpo.update_sequences, grpo.rollouts_per_step)
    assert made.per_device_train_batch_size <= grpo.micro_batch


def test_a_missing_learning_rate_is_said_with_the_option(tmp_path: Path):
    with pytest.raises(InputError, match=r"--rloo\.learning-rate"):
        config(Rloo(), rloo_config, Engine(), tmp_path)
