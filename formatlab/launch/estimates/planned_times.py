"""Planned times: what is known of how long tasks take before any of them has begun."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from formatlab.errors import FormatlabError
from formatlab.launch.devices import Devices
from formatlab.launch.estimates.calibration import Calibration
from formatlab.launch.estimates.estimate import Estimator, worker_threads
from formatlab.launch.estimates.trial import StartTrial
from formatlab.study.task import Task


def planned_times(tasks: Sequence[Task], runs: Path, devices: Devices) -> dict[str, float]:
    """Seconds that each task takes from where it is, by address, for those of which it is known.

    Nothing is measured for it: it is for the plan, and the command is about to begin.

    Args:
        tasks: each after what it needs.
        runs: the runs folder; without a calibration of this machine in it nothing is known.
        devices: what the tasks share.
    """
    calibration = Calibration(runs, devices.gpus)
    if calibration.cost(StartTrial()) is None:
        return {}
    estimator = Estimator(runs, calibration, devices.gpus)
    workers = min(devices.most, len(tasks))
    times: dict[str, float] = {}
    for task in tasks:
        with suppress(FormatlabError, OSError):  # told when its turn comes
            if not (runs / task.address / "DONE").exists():
                seconds = estimator.estimate(task, worker_threads(task, workers)).seconds
                if seconds is not None:
                    times[task.address] = seconds
    return times
