"""Two processes train one run: every rollout is recorded once, and the winners are equal.

Run as a program, by each of the processes: folder of the base, folder of the runs.
"""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.compute as pc
import pytest
from accelerate import PartialState
from on_policy_process import ALGORITHMS, OPTIONS, start

from formatlab.measure import run_winners
from formatlab.store.run_folder import RunFolder
from formatlab.train.reward import Reward

ROOT = Path(__file__).parents[2]
TRAINED = ("grpo", "rloo", "bonus")


@pytest.fixture(scope="module")
def of_two(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the runs that two processes trained, one after the other."""
    folder = tmp_path_factory.mktemp("two")
    # Without a GPU this is two processes on the CPU; with --cpu accelerate would start one alone.
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    script = [__file__, str(tiny_base), str(folder)]
    done = subprocess.run(
        [sys.executable, *launch, "--num_machines", "1", "--main_process_port", "0", *script],
        env=os.environ | {"MASTER_ADDR": "127.0.0.1", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("one of 2 processes") == 2
    return folder


@pytest.mark.parametrize("algorithm", TRAINED)
def test_two_processes_give_the_winners_of_one(
    tiny_base: Path, of_two: Path, tmp_path: Path, algorithm: str
):
    two, settings = RunFolder.open(of_two / algorithm), ALGORITHMS[algorithm]
    one = start(algorithm, tiny_base, tmp_path / "one")

    rows = two.rollouts("train")
    assert rows.num_rows == settings.steps * settings.rollouts_per_step
    names = ["step", "prompt_id", "sample"]
    assert rows.group_by(names).aggregate([]).num_rows == rows.num_rows
    assert [line["step"] for line in two.metrics()] == list(range(settings.steps))

    # Sums in another order differ in the last bits, so that a later draw may come out differently.
    first = pc.field("step") == 0
    # A random reward is drawn by lot within each process, as often as answers are right in it.
    by_lot = OPTIONS.get(algorithm, {}).get("reward", Reward()).kind == "random"
    same = [*names, "completion"] if by_lot else [*names, "completion", "reward"]
    first_steps = [run.rollouts("train").filter(first) for run in (two, one)]
    ours, theirs = (rollouts.select(same) for rollouts in first_steps)
    assert ours.equals(theirs)
    paid = [sum(rollouts["reward"].to_pylist()) for rollouts in first_steps]
    assert paid[0] == paid[1]
    winners = [run_winners(run).select(["epoch", "winner", "n_rollouts"]) for run in (two, one)]
    assert winners[0].equals(winners[1])


def main() -> None:
    for algorithm in TRAINED:
        start(algorithm, Path(sys.argv[1]), Path(sys.argv[2]) / algorithm)
    print(f"one of {PartialState().num_processes} processes")


if __name__ == "__main__":
    main()
