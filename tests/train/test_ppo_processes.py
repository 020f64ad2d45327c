"""Two processes train one PPO run, and it comes out as with one process.

Run as a program, by each of the processes: folder of the base, folder of the runs.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from accelerate import PartialState
from on_policy_process import SMALL, train
from safetensors.torch import load_file

from formatlab.store.run_folder import RunFolder
from formatlab.train.on_policy.critic import CRITIC_FILE
from formatlab.train.on_policy.settings import Ppo

ROOT = Path(__file__).parents[2]
CRITICS = ("head", "model")


def settings(critic: str) -> Ppo:
    return Ppo(**SMALL, iterations=2, kl_coefficient=0.05, critic=cast(Any, critic))


@pytest.fixture(scope="module")
def of_two(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the runs that two processes trained, one after the other."""
    folder = tmp_path_factory.mktemp("two")
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    arguments = [__file__, str(tiny_base), str(folder)]
    done = subprocess.run([*launch, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("critic", CRITICS)
def test_two_processes_train_the_critic_and_the_policy_that_one_does(
    tiny_base: Path, of_two: Path, tmp_path: Path, critic: str
):
    one = train(tiny_base, tmp_path / "run", settings=settings(critic))
    two = RunFolder.open(of_two / critic)
    lines = zip(one.metrics(), two.metrics(), strict=True)
    for ours, theirs in lines:
        for name in ("reward", "loss", "kl", "value_loss", "value_mean", "kl_penalty"):
            assert theirs[name] == pytest.approx(ours[name], rel=1e-3, abs=1e-5), name
        assert theirs["explained_variance"] == pytest.approx(ours["explained_variance"], abs=1e-3)
    critics = [
        load_file(next(run.checkpoints.glob("checkpoint-*")) / CRITIC_FILE) for run in (one, two)
    ]
    difference = (critics[0]["weight"] - critics[1]["weight"]).abs().max()
    assert difference < 0.05 * critics[0]["weight"].abs().max()


def main() -> None:
    PartialState(cpu=True)
    for critic in CRITICS:
        train(Path(sys.argv[1]), Path(sys.argv[2]) / critic, settings=settings(critic))


if __name__ == "__main__":
    main()
