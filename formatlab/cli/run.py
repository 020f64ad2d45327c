"""`formatlab run EXPERIMENT`: every run of a study, then its table, figures and report."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, make_dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import tyro

from formatlab.errors import FormatlabError, InputError
from formatlab.launch.cluster.options import ClusterOptions, is_address

if TYPE_CHECKING:
    from rich.console import Console

    from formatlab.launch.cluster.place import Place
    from formatlab.launch.devices import Devices
    from formatlab.launch.plan import Plan
    from formatlab.launch.schedule import Outcome
    from formatlab.study.task import Task

DESCRIPTION = """\
Run an experiment: make the bases that are missing, train, measure, and write a report.
What is done is not done again; an interrupted study goes on when the command is repeated.

examples:
  formatlab run experiments/scale_attractors.py
  formatlab run experiments/scale_attractors.py --preset cpu --jobs 2
  formatlab run experiments/scale_attractors.py --scales 0.08M --seeds 0 1 2 --grpo.epochs 3
  formatlab run experiments/scale_attractors.py --launcher ray --runs-dir s3://bucket/runs
  formatlab run experiments/gsm8k.py --model smollm2-135m --problems gsm8k
  formatlab run experiments/scale_attractors.py --help     (all options of that study)
"""


@dataclass(frozen=True, kw_only=True)
class RunOptions(ClusterOptions):
    """Options of every experiment, beside the fields of its study."""

    preset: str = ""
    """Which of the experiment's presets to start from (listed above); the first one if empty."""
    runs_dir: str = "runs"
    """The runs folder: a path or, with --launcher ray or slurm, an address such as
    s3://bucket/runs."""
    jobs: int = 0
    """Runs side by side; 0: one for each core, or as many as the cluster has room for."""
    only: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Part of the runs, as fact=value with commas between: scale=0.04M,seed=0. Several values of
    one fact mean any of them."""
    dry_run: bool = False
    """Say what would be done, with estimates of time, memory and disk, and do nothing. What a real
    model takes is unknown until a run of it is finished; with --launcher ray or slurm each task is
    told as on this machine."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line and run the experiment."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: formatlab run EXPERIMENT [OPTIONS]\n\n" + DESCRIPTION, end="")
        return 0
    from rich.console import Console

    from formatlab.launch.cluster.place import place_of
    from formatlab.launch.together import processes
    from formatlab.study.experiment import check_heeded, load_experiment, preset_of
    from formatlab.study.selection import selected
    from formatlab.study.task import graph

    path, rest = Path(arguments[0]), arguments[1:]
    if arguments[0].startswith("-"):
        raise InputError("name the experiment file first: formatlab run EXPERIMENT [OPTIONS]")
    docstring, presets = load_experiment(path)
    study = preset_of(rest, presets, path)
    options: Any = tyro.cli(
        _options(study),
        args=rest,
        prog=f"formatlab run {path}",
        description=f"{docstring}\n\npresets: {', '.join(presets)}",
    )
    options.check_launcher(options.runs_dir, processes())
    check_heeded(options.study, study)
    runs = options.study.runs()
    whole = {task.address: task for task in graph(runs)}
    tasks = [whole[task.address] for task in graph(selected(runs, options.only))]
    if options.jobs < 0:
        raise InputError(f"--jobs is {options.jobs}; 0 (one for each core) or more")
    place = place_of(options.runs_dir, options.scratch)
    command = ["formatlab", "run", *arguments]
    console = Console(soft_wrap=True)
    with place.view() as runs_dir:
        _check_writable(runs_dir)
        try:
            plan = partial(_plan, options.study.name, list(whole.values()), runs_dir, command)
            with _sigterm_as_ctrl_c() if processes() == 1 else nullcontext():
                outcomes = _launched(options, tasks, place, runs_dir, path, plan, console)
        except KeyboardInterrupt:
            console.print(
                "Interrupted. What is done is kept; the same command goes on from there:\n"
                f"  formatlab run {shlex.join(arguments)}",
                markup=False,
            )
            return 128 + (signal.SIGTERM if _TERMINATED.is_set() else signal.SIGINT)
        if not outcomes:  # a dry run, or not the first of several processes
            return 0
        status = _told(outcomes)
        done, status = _finished(place, runs_dir, runs, status)
        _report(runs_dir, options, done, console)
        place.publish(runs_dir, options.study.name)
    return status


_TERMINATED = threading.Event()
"""Set when SIGTERM came. The interrupt that it raises loses its kind on its way through Ray."""


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """End by SIGTERM as by Ctrl-C: workers ended, the terminal as it was, and with a word."""

    def end(number: int, frame: object) -> NoReturn:
        _TERMINATED.set()
        raise KeyboardInterrupt

    _TERMINATED.clear()
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _told(outcomes: Mapping[str, Outcome]) -> int:
    """Tell what failed, and give the exit status."""
    status = 0
    for outcome in outcomes.values():
        if outcome.error is not None:
            print(f"formatlab run: {outcome.label}: {outcome.error}", file=sys.stderr)
            status = max(status, outcome.exit_status)
    return status


def _finished(
    place: Place, view: Path, runs: Sequence[Task], status: int
) -> tuple[list[Task], int]:
    """The runs that are done and in the view, and the exit status; tells what cannot be seen."""
    done: list[Task] = []
    for run in runs:
        try:
            if place.bring(view, run):
                done.append(run)
        except (FormatlabError, OSError) as error:
            print(f"formatlab run: {run.label} is not in the report: {error}", file=sys.stderr)
            status = max(status, 1)
    return done, status


def _launched(
    options: Any,
    tasks: Sequence[Task],
    place: Place,
    runs_dir: Path,
    experiment: Path,
    plan: Callable[..., Plan],
    console: Console,
) -> dict[str, Outcome]:
    """Do the tasks where the options say; nothing in a dry run.

    The plan is of the whole study, of which others may do other parts.
    """
    from formatlab.launch.devices import Devices, available_cores, find_gpus
    from formatlab.launch.plan import write_plan
    from formatlab.launch.pool import run_all
    from formatlab.launch.together import is_first, processes, run_together

    if options.dry_run:
        from formatlab.launch.estimates.dry_run import print_dry_run

        if is_address(options.runs_dir):
            console.print(f"as if nothing were at {options.runs_dir} yet:", markup=False)
        print_dry_run(
            tasks,
            runs_dir,
            experiment=experiment,
            jobs=options.jobs,
            console=console,
            cluster=None if options.launcher == "local" else options,
        )
        return {}
    study, local = options.study.name, options.launcher == "local"
    alone = local and processes() == 1
    devices = Devices(find_gpus() if alone else [], cores=available_cores(), jobs=options.jobs)

    def announce(side_by_side: int) -> None:
        write_plan(runs_dir / study, plan(side_by_side, devices if alone else None))
        place.publish(runs_dir, study)

    if processes() > 1:
        if is_first():
            announce(1)
        return run_together(tasks, runs_dir, console=console)
    if local:
        announce(devices.most)
        return run_all(tasks, runs_dir, experiment=experiment, devices=devices, console=console)
    from formatlab.launch.cluster.cluster import cluster_of, run_on

    with cluster_of(options, options.runs_dir, study, devices.most) as cluster:
        announce(options.jobs or len(tasks))  # the cluster is there
        with _sigterm_as_ctrl_c():  # Ray has set a handler of its own
            return run_on(
                cluster,
                tasks,
                place,
                experiment=experiment,
                options=options,
                jobs=options.jobs,
                console=console,
            )


def _plan(
    study: str,
    tasks: Sequence[Task],
    runs_dir: Path,
    command: Sequence[str],
    jobs: int,
    devices: Devices | None,
) -> Plan:
    """The plan; with `devices`, which are this machine's, it has the times that are known."""
    from formatlab.launch.estimates.planned_times import planned_times
    from formatlab.launch.plan import plan_of

    seconds = planned_times(tasks, runs_dir, devices) if devices else {}
    return plan_of(study, tasks, command=command, jobs=jobs, seconds=seconds)


def _report(runs_dir: Path, options: Any, runs: Sequence[Task], console: Console) -> None:
    """Report of the study's runs that are done, whichever command did them."""
    from formatlab.show.report.report import write_report
    from formatlab.show.study import measured_study
    from formatlab.show.tables.results import print_study
    from formatlab.store.run_folder import RunFolder

    if not runs:
        return
    folders = [RunFolder.open(runs_dir / run.address) for run in runs]
    study = measured_study(folders)
    report = write_report(runs_dir / options.study.name, folders, study=study)
    print_study(study)
    there = f"{options.runs_dir.rstrip('/')}/{options.study.name}"
    console.print(f"\nreport  {there}/{report.name}\nfigures {there}/figures", markup=False)


def _options(study: Any) -> Any:
    """`RunOptions` with the study's own fields beside them."""
    annotated = Annotated[type(study), tyro.conf.arg(name="")]
    return make_dataclass(
        "Options",
        [("study", annotated, field(default=study))],
        bases=(RunOptions,),
        frozen=True,
        kw_only=True,
    )


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"cannot write to the runs folder {folder}: {os.strerror(error.errno or 0)}; "
            "choose another with --runs-dir"
        ) from error
