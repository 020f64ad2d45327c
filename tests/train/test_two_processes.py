"""Two processes train one run: every rollout is recorded once, and the winners are equal."""

import os
import subprocess
import sys
from pathlib import Path

import on_policy_process
import pyarrow.compute as pc
import pytest
from on_policy_process import ALGORITHMS, start

from formatlab.measure import run_winners
from formatlab.store.run_folder import RunFolder


@pytest.mark.parametrize("algorithm", ["grpo", "rloo", "bonus"])
def test_two_processes_give_the_winners_of_one(tiny_base: Path, tmp_path: Path, algorithm: str):
    # Without a GPU this is two processes on the CPU; with --cpu accelerate would start one alone.
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    script = [on_policy_process.__file__, algorithm, str(tiny_base), str(tmp_path / "two"), "none"]
    done = subprocess.run(
        [sys.executable, *launch, "--num_machines", "1", "--main_process_port", "0", *script],
        env=os.environ | {"MASTER_ADDR": "127.0.0.1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("one of 2 processes") == 2
    two, settings = RunFolder.open(tmp_path / "two"), ALGORITHMS[algorithm]
    one = start(algorithm, tiny_base, tmp_path / "one")

    rows = two.rollouts("train")
    assert rows.num_rows == settings.steps * settings.rollouts_per_step
    names = ["step", "prompt_id", "sample"]
    assert rows.group_by(names).aggregate([]).num_rows == rows.num_rows
    assert [line["step"] for line in two.metrics()] == list(range(settings.steps))

    # Sums in another order differ in the last bits, so that a later draw may come out differently.
    first = pc.field("step") == 0
    same = [*names, "completion", "reward"]
    ours, theirs = (run.rollouts("train").filter(first).select(same) for run in (two, one))
    assert ours.equals(theirs)
    winners = [run_winners(run).select(["epoch", "winner", "n_rollouts"]) for run in (two, one)]
    assert winners[0].equals(winners[1])
