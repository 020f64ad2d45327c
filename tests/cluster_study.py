"""A study of seconds for tests of the launchers, and what is looked at while it runs and after."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tiny_study import TINY

from formatlab.store.run_folder import RunFolder

EXPERIMENT = (
    TINY
    + '''
import time
from pathlib import Path

from formatlab.store.run_folder import RunFolder

# This holds in every worker.
append_metrics = RunFolder.append_metrics


def held_up(run, *rows):
    """Runs stand still after their fourth step for as long as the file is there."""
    while Path("HOLD").exists() and run.config["kind"] == "run" and rows[-1]["step"] == 3:
        time.sleep(0.05)
    append_metrics(run, *rows)


RunFolder.append_metrics = held_up

PRESETS = {
    "tiny": replace(
        TINY,
        name="side_by_side",
        seeds=(0, 1),
        grpo=replace(TINY.grpo, epochs=4, checkpoint_every=2),
    )
}
'''
)
"""With the path of a file in place of HOLD."""
STUDY = "side_by_side"
STEPS = 8
PATIENCE = 900.0
"""Seconds after which something is taken to hang; the machine may be busy."""


def launch(
    experiment: Path, runs: Path | str, *words: object, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start `formatlab run`."""
    return subprocess.Popen(
        [sys.executable, "-m", "formatlab", "run", str(experiment), "--runs-dir", str(runs)]
        + [str(word) for word in words],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=experiment.parent,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a command, and give its status and what it said."""
    try:
        output, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return process.returncode, output + errors


def wait_until(found: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Look again and again while a command runs."""
    last = time.monotonic() + PATIENCE
    while not found():
        assert process.poll() is None, "".join(process.communicate())
        assert time.monotonic() < last
        time.sleep(0.05)


def run_folders(runs: Path) -> list[Path]:
    return sorted((runs / STUDY).glob("0.04M-*"))


def worker(folder: Path) -> int:
    """The process that is at a run folder."""
    return json.loads(folder.with_name(f".{folder.name}.lock").read_text())["pid"]


def same_results(ours: Path, theirs: Path) -> bool:
    """Whether two runs folders hold the same study: tables, rollouts and weights."""
    tables = sorted((theirs / STUDY / "tables").glob("*.csv"))  # results.md tells of losses
    assert len(tables) > 5
    equal = [
        (ours / STUDY / "tables" / table.name).read_bytes() == table.read_bytes()
        for table in tables
    ]
    names = [folder.name for folder in run_folders(theirs)]
    assert [folder.name for folder in run_folders(ours)] == names
    for name in names:
        mine, other = (RunFolder.open(runs / STUDY / name) for runs in (ours, theirs))
        equal += [mine.rollouts(s).equals(other.rollouts(s)) for s in ("train", "probe")]
        weights = [run.path / "policy" / "model.safetensors" for run in (mine, other)]
        equal.append(weights[0].read_bytes() == weights[1].read_bytes())
    return all(equal)
