"""A dry run: what a command would do, and what it would take, said before it is done."""

import shutil
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from formatlab.errors import FormatlabError
from formatlab.launch.devices import Devices, available_cores, find_gpus
from formatlab.launch.estimates.calibration import Calibration, saying
from formatlab.launch.estimates.dry_run_summary import (
    Room,
    summary,
    summary_elsewhere,
    tasks_line,
    warnings,
)
from formatlab.launch.estimates.dry_run_table import table_text
from formatlab.launch.estimates.estimate import DONE, estimate_all
from formatlab.launch.estimates.foreseen import Foreseen, State, state_of
from formatlab.launch.estimates.memory import available_memory
from formatlab.launch.estimates.outlook import outlook
from formatlab.launch.options import LaunchOptions
from formatlab.study.task import Task

if TYPE_CHECKING:
    from rich.console import Console

_HANGING = " " * 8
"""What the further lines of a sentence of the summary begin with."""


def print_dry_run(
    tasks: Sequence[Task],
    runs_dir: Path,
    *,
    experiment: Path,
    jobs: int,
    console: "Console",
    cluster: LaunchOptions | None = None,
) -> None:
    """Say which tasks there are, what each of them takes, and whether it all fits.

    Makes nothing in the runs folder but the calibration.

    Args:
        tasks: each after what it needs, see `graph`.
        runs_dir: the runs folder.
        experiment: the experiment file.
        jobs: tasks side by side; 0: as many as are sensible.
        console: where to print.
        cluster: the machines on which tasks would be done; None for this one.
    """
    gpus, cores = find_gpus(), available_cores()
    devices = Devices(gpus, cores=cores, jobs=jobs)
    workers = max(1, cores // cluster.cpus_per_run) if cluster else min(devices.most, len(tasks))
    states, unreadable = _states(tasks, runs_dir)
    to_do = [task for task in tasks if states.get(task.address, "done") != "done"]
    calibration = Calibration(runs_dir, gpus)
    with saying(console) as say:
        estimates = estimate_all(
            to_do,
            runs_dir,
            calibration,
            experiment=experiment,
            gpus=gpus,
            workers=workers,
            say=say,
        )
    used = Counter(need.address for task in tasks for need in task.needs)
    foreseen = [
        Foreseen(
            task=task,
            state=states[task.address],
            estimate=estimates.get(task.address, DONE),
            used_by=used[task.address],
        )
        for task in tasks
        if task.address in states
    ]
    width = console.width if console.is_terminal else None

    def say_lines(lines: Sequence[str], style: str | None = None) -> None:
        for line in lines:
            if width is not None:
                line = textwrap.fill(
                    line, width, subsequent_indent=_HANGING, break_on_hyphens=False
                )
            console.print(line, style=style, markup=False, highlight=False)

    if foreseen:
        console.print(table_text(foreseen, width=width), soft_wrap=True)
        say_lines(["", tasks_line(foreseen)])
    if cluster is not None:
        say_lines([*summary_elsewhere(foreseen, cluster, jobs)])
    else:
        ahead = outlook(to_do, list(estimates.values()), devices, cores)
        room = Room(
            cores=cores,
            gpus=len(gpus),
            memory=available_memory(),
            disk=shutil.disk_usage(_existing(runs_dir)).free,
        )
        say_lines([*summary(foreseen, ahead, room)])
        say_lines([*warnings(foreseen, ahead, room)], "yellow")
    failed = [f"could not measure {of}: {reason}" for of, reason in calibration.failures.items()]
    say_lines([*failed, *unreadable], "yellow")


def _states(tasks: Sequence[Task], runs: Path) -> tuple[dict[str, State], list[str]]:
    """Address -> state, and what is wrong with the folders that no launcher would touch."""
    states: dict[str, State] = {}
    unreadable: list[str] = []
    for task in tasks:
        try:
            states[task.address] = state_of(task, runs)
        except (FormatlabError, OSError) as error:
            unreadable.append(f"{task.label} would fail: {error}")
    return states, unreadable


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())
