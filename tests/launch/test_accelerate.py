"""Several processes started by a launcher execute a study together, from an empty folder on."""

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from tiny_study import TINY

from formatlab.store.lock import locked
from formatlab.store.run_folder import RunFolder
from formatlab.study.experiment import load_experiment
from formatlab.study.task import graph

EXPERIMENT = (
    TINY
    + """
PRESETS = {"tiny": replace(TINY, name="together")}
"""
)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("experiment") / "tiny.py"
    path.write_text(EXPERIMENT)
    return path


LAUNCH = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def launch(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *LAUNCH, "-m", "formatlab", "run", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def done(experiment: Path) -> tuple[Path, str]:
    """The runs folder of a study that waited for who is at its base, and what was said."""
    runs_dir = experiment.with_name("runs")
    base, _ = graph(load_experiment(experiment)[1]["tiny"].runs())
    with ExitStack() as held:
        held.enter_context(locked(runs_dir / base.address))
        process = launch(experiment, "--runs-dir", runs_dir)
        assert process.stdout is not None
        waiting = next(line for line in process.stdout if "waiting for" in line)
        assert f"waiting for process {os.getpid()}" in waiting
        time.sleep(3)  # in which they look again
        assert process.poll() is None
        assert not (runs_dir / base.address).exists()
    said, errors = process.communicate(timeout=1200)
    assert process.returncode == 0, errors
    return runs_dir, said


def test_they_wait_for_who_is_at_the_base_then_one_makes_it_and_both_train_the_run(
    experiment: Path, done: tuple[Path, str]
):
    runs_dir, said = done
    base, run = graph(load_experiment(experiment)[1]["tiny"].runs())
    assert said.count("0.04M  ") == 1  # one table, by the first process
    made = RunFolder.open(runs_dir / run.address)
    assert made.done
    assert made.rollouts("train").num_rows == 32
    assert RunFolder.open(runs_dir / base.address).done
    assert not RunFolder.open(runs_dir / base.address).resumes()


def test_a_stage_for_one_process_says_so(experiment: Path, done: tuple[Path, str]):
    process = launch(experiment, "--runs-dir", done[0], "--algorithm", "sft")
    said, errors = process.communicate(timeout=1200)
    assert process.returncode != 0
    assert "sft: 2 processes were started" in errors
    assert "Traceback" not in said  # torchrun adds one of its own to the errors
