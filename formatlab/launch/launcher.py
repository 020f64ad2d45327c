"""The launcher: does a study's tasks where the options say, and writes its report.

On this machine a pool of processes does them, several processes that `accelerate launch` started do
them together, or Ray and Slurm do them on other machines.
"""

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console

from formatlab.errors import FormatlabError
from formatlab.launch.accelerate import is_first, processes, run_together
from formatlab.launch.devices import Devices, find_gpus, worker_threads
from formatlab.launch.executor import Executor
from formatlab.launch.monitor import run_tasks
from formatlab.launch.options import LaunchOptions, is_address
from formatlab.launch.packed_task import Pack, PackedTask
from formatlab.launch.plan import Plan, PlannedTask, write_plan
from formatlab.launch.runs_root import RunsRoot
from formatlab.launch.schedule import Outcome
from formatlab.store.track import Track
from formatlab.study.task import Task, graph
from formatlab.world.cores import available_cores

if TYPE_CHECKING:
    from formatlab.show.study import Study as StudyResults


@dataclass(frozen=True, kw_only=True)
class Command:
    """The work of one `formatlab run`."""

    study: str
    """Name of the study."""
    runs: Sequence[Task]
    """The runs of the study; other commands may do some of them."""
    tasks: Sequence[Task]
    """The tasks of this command, each after those it needs."""
    experiment: Path
    options: LaunchOptions
    words: Sequence[str]
    """The command line, word by word."""


def launch(command: Command, root: RunsRoot, runs: Path, console: Console) -> dict[str, Outcome]:
    """Write the plan and do the tasks; `runs` is the root's view on this machine.

    Returns:
        An outcome a task, by address; none in all but the first of several processes.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM came; see `exit_status_of_interrupt`.
    """
    if processes() > 1:
        if is_first():
            _announce(command, root, runs, side_by_side=1)
        return run_together(command.tasks, runs, console=console)
    with _sigterm_as_ctrl_c():
        if command.options.launcher == "local":
            return _run_here(command, root, runs, console)
        with _cluster(command, root) as cluster, _sigterm_as_ctrl_c():  # Ray has set its own
            _announce(command, root, runs, side_by_side=command.options.jobs or len(command.tasks))
            return run_tasks(
                cluster, command.tasks, root, console=console, retries=command.options.retries
            )


def report(
    command: Command, root: RunsRoot, runs: Path, *, track: Track
) -> tuple["StudyResults | None", int]:
    """Write the report of the study's finished runs, whichever command did them.

    Returns:
        The measured study, None if no run is finished; and 1 if a run could not be looked at, which
        is said, else 0.
    """
    from formatlab.show.report.report import write_report
    from formatlab.show.study import measured_study
    from formatlab.store.run_folder import RunFolder

    study, status, folders = None, 0, list[RunFolder]()
    for task in track(command.runs, "collecting runs"):
        try:
            if root.bring(runs, task):
                folders.append(RunFolder.open(runs / task.address))
        except (FormatlabError, OSError) as error:
            print(f"formatlab run: {task.label} is not in the report: {error}", file=sys.stderr)
            status = 1
    if folders:
        study = measured_study(folders, track=track)
        write_report(runs / command.study, folders, study=study, track=track)
    root.publish(runs, command.study)
    return study, status


def _run_here(command: Command, root: RunsRoot, runs: Path, console: Console) -> dict[str, Outcome]:
    """Do the tasks in a pool of processes, as many side by side as devices have seats."""
    from formatlab.launch.estimate import gpu_bytes
    from formatlab.launch.pool import LocalPool

    options, tasks = command.options, command.tasks
    devices = Devices(
        find_gpus(),
        cores=available_cores(),
        jobs=options.jobs,
        runs_per_gpu=options.runs_per_gpu,
    )
    _announce(command, root, runs, side_by_side=devices.most)
    pack = _pack(command, root, threads=worker_threads(min(devices.most, len(tasks))))
    needed = {task.address: gpu_bytes(task) for task in tasks}
    with closing(LocalPool(pack, devices, needed)) as pool:
        return run_tasks(pool, tasks, root, console=console)


@contextmanager
def _cluster(command: Command, root: RunsRoot) -> Iterator[Executor]:
    """The executor that `--launcher` names.

    Raises:
        InputError: what it needs is not installed, or not there.
        RunError: it cannot be joined.
    """
    options = command.options
    pack = _pack(command, root, threads=options.cpus_per_run)
    most = options.jobs or len(command.tasks)
    match options.launcher:
        case "ray":
            from formatlab.launch.cluster.ray_cluster import ray_cluster

            cpus = options.jobs or available_cores()
            with ray_cluster(options, pack, most=most, cpus=cpus) as ray:
                yield ray
        case "slurm":
            from formatlab.launch.cluster.slurm import SlurmCluster

            here = Path("formatlab-slurm" if is_address(options.runs_dir) else options.runs_dir)
            logs = here.absolute() / command.study / "slurm"
            yield SlurmCluster(options, pack, most=most, folder=logs, study=command.study)


def _pack(command: Command, root: RunsRoot, *, threads: int) -> Pack:
    return partial(PackedTask.of, root=root, experiment=command.experiment, threads=threads)


def _announce(command: Command, root: RunsRoot, runs: Path, *, side_by_side: int) -> None:
    """Write the plan of the study, which `formatlab status` reads."""
    tasks = tuple(map(PlannedTask.of, graph(command.runs)))
    selected = tuple(task.address for task in command.tasks)
    plan = Plan(
        study=command.study,
        command=tuple(command.words),
        written=datetime.now(UTC).isoformat(timespec="seconds"),
        jobs=side_by_side,
        tasks=tasks,
        selected=selected if len(selected) < len(tasks) else None,
    )
    write_plan(runs / command.study, plan)
    root.publish(runs, command.study)


_TERMINATED = threading.Event()
"""Set when SIGTERM came. The interrupt that it raises loses its kind on its way through Ray."""


def exit_status_of_interrupt() -> int:
    """128 and the number of the signal that ended `launch`."""
    return 128 + (signal.SIGTERM if _TERMINATED.is_set() else signal.SIGINT)


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Handle SIGTERM as Ctrl-C: workers are ended, the terminal is as before, and it is said."""

    def end(number: int, frame: object) -> NoReturn:
        _TERMINATED.set()
        raise KeyboardInterrupt

    _TERMINATED.clear()
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
