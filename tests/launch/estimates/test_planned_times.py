"""What a plan says of times is what a calibration and finished runs tell; nothing is measured."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from formatlab.launch.devices import Devices
from formatlab.launch.estimates import estimate as module
from formatlab.launch.estimates.calibration import Calibration
from formatlab.launch.estimates.estimate import Estimator
from formatlab.launch.estimates.planned_times import planned_times
from formatlab.launch.estimates.trial import Cost
from formatlab.study.study import LadderStudy
from formatlab.study.task import Task, graph
from formatlab.train.pretraining.base import Pretraining
from formatlab.world.four_formats import FOUR_FORMATS

STUDY = LadderStudy(
    name="study",
    world=FOUR_FORMATS,
    scales=("0.04M", "0.13M"),
    pretraining=Pretraining(tokens=60_000, vocabulary=300),
)
TASKS = graph(STUDY.runs())
DEVICES = Devices([], cores=1, jobs=1)
COST = Cost(seconds=0.5, memory=2**20, tokens=50.0)


def calibrate(runs: Path, tasks: list[Task]) -> None:
    """Write a calibration of this machine in which some tasks' trials have a cost."""
    found = Calibration(runs)
    trials = [trial for task in tasks for trial in Estimator(runs, found).trials(task, 1)]
    costs = {trial.key: asdict(COST) for trial in found.missing(trials)}
    entry = {"machine": found._machine, "costs": costs}
    document = {"schema_version": 1, "machines": [entry]}
    (runs / "calibration.json").write_text(json.dumps(document))


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "available_cores", lambda: 1)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_without_a_calibration_nothing_is_known(tmp_path: Path) -> None:
    assert planned_times(TASKS, tmp_path, DEVICES) == {}


def test_what_was_measured_is_told_and_the_rest_is_not(tmp_path: Path) -> None:
    small = [task for task in TASKS if "0.04M" in task.label]
    calibrate(tmp_path, small)
    times = planned_times(TASKS, tmp_path, DEVICES)
    assert times.keys() == {task.address for task in small}
    estimator = Estimator(tmp_path, Calibration(tmp_path))
    assert list(times.values()) == [estimator.estimate(task, 1).seconds for task in small]


def test_what_is_done_takes_no_time(tmp_path: Path) -> None:
    calibrate(tmp_path, TASKS)
    assert planned_times(TASKS, tmp_path, DEVICES).keys() == {task.address for task in TASKS}
    (tmp_path / TASKS[0].address).mkdir(parents=True)
    (tmp_path / TASKS[0].address / "DONE").touch()
    assert TASKS[0].address not in planned_times(TASKS, tmp_path, DEVICES)
