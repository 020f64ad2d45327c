import io
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from rich.console import Console

from formatlab.launch.estimates import dry_run
from formatlab.launch.estimates.dry_run import print_dry_run
from formatlab.launch.estimates.trial import Cost, Trial
from formatlab.launch.options import LaunchOptions
from formatlab.store.run_folder import RunFolder
from formatlab.study.experiment import load_experiment
from formatlab.study.study import LadderStudy
from formatlab.study.task import Task, graph

EXPERIMENT = Path(__file__).parents[3] / "experiments" / "scale_attractors.py"


class Known(dry_run.Calibration):
    """A calibration that knows everything."""

    def cost(self, trial: Trial) -> Cost:
        return Cost(seconds=1.0, memory=500 * 2**20, tokens=50.0)

    def missing(self, trials: Iterable[Trial]) -> list[Trial]:
        return []


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    monkeypatch.setattr(dry_run, "Calibration", Known)
    monkeypatch.setattr(dry_run, "find_gpus", list)
    study = load_experiment(EXPERIMENT)[1]["cpu"]
    assert isinstance(study, LadderStudy)
    return graph(study.runs())


def printed(tasks: list[Task], runs: Path, cluster: LaunchOptions | None = None) -> str:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    print_dry_run(tasks, runs, experiment=EXPERIMENT, jobs=2, console=console, cluster=cluster)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    return text


def test_a_study_is_described_and_nothing_is_made(tmp_path: Path, tasks: list[Task]):
    folder = RunFolder.create(tmp_path / tasks[0].address, config={}, env={})
    folder.append_metrics({"step": 0, "seconds": 1.0})
    before = sorted(tmp_path.rglob("*"))
    text = printed(tasks, tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    assert "base 0.27M s0-s4" in text and "grpo 0.04M s0-s4" in text
    assert "20 bases, 20 runs: 1 to go on, 39 to make" in text
    assert "2 side by side" in text


def test_a_damaged_folder_is_to_make_again_at_full_cost(tmp_path: Path, tasks: list[Task]):
    folder = RunFolder.create(tmp_path / tasks[-1].address, config={}, env={})
    folder.append_metrics(*({"step": step, "seconds": 1.0} for step in range(8)))
    whole = printed([tasks[-1]], tmp_path / "elsewhere")
    (folder.path / "DONE").write_text('{"steps": ')
    again = printed([tasks[-1]], tmp_path)
    assert "1 run: 1 to make again" in again
    words = [line for line in whole.splitlines() if line.startswith("time    ")]
    assert words == [line for line in again.splitlines() if line.startswith("time    ")]


def test_a_folder_of_another_version_is_told_and_the_others_are_described(
    tmp_path: Path, tasks: list[Task]
):
    folder = RunFolder.create(tmp_path / tasks[0].address, config={}, env={})
    (folder.path / "env.json").write_text(json.dumps({"schema_version": 99}))
    text = " ".join(printed(tasks, tmp_path).split())
    assert "19 bases, 20 runs: 39 to make" in text
    assert f"{tasks[0].label} would fail: " in text


def test_of_other_machines_no_time_and_no_memory_are_told(tmp_path: Path, tasks: list[Task]):
    text = printed(tasks, tmp_path, LaunchOptions(launcher="ray"))
    assert "each task as on this machine" in text
    assert "\nmemory " not in text and "cores" not in text and "are free" not in text
