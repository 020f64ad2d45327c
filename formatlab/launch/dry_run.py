"""A dry run: what a command would do, and what it is estimated to take.

A line an arm, then the totals, then what will not fit on this machine.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from statistics import mean
from typing import get_args

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from formatlab.launch.devices import Devices, available_memory, find_gpus
from formatlab.launch.estimate import Estimate, State, estimates, gpu_bytes, time_machine
from formatlab.launch.options import LaunchOptions
from formatlab.launch.plan import PlannedTask
from formatlab.launch.status import TaskStatus, study_seconds_left
from formatlab.show.wording import duration_text
from formatlab.store.track import Track, untracked
from formatlab.study.task import Task
from formatlab.world.cores import available_cores

LAUNCHER = 250 * 2**20
"""Bytes that the launcher itself holds: 204 MiB were measured."""
_MOST_FULL = 0.9
"""Part of the free memory or disk beyond which there is a warning; estimates are rough."""
_ANY_WIDTH = 10_000
"""Columns of what is no terminal."""


def print_dry_run(
    tasks: Sequence[Task],
    runs: Path,
    *,
    options: LaunchOptions,
    console: Console,
    track: Track = untracked,
) -> None:
    """Print which tasks there are, what each of them takes, and whether it all fits.

    Nothing is written to the runs folder. The tasks come each after what it needs, see `graph`.

    Raises:
        FormatlabError: a task's folder is of another version of formatlab.
    """
    gpus, cores = find_gpus(), available_cores()
    devices = Devices(gpus, cores=cores, jobs=options.jobs, runs_per_gpu=options.runs_per_gpu)
    local = options.launcher == "local"
    workers = min(devices.most, len(tasks)) if local else max(1, cores // options.cpus_per_run)
    gpu = gpus[0].model if gpus else None
    found = estimates(tasks, runs, workers=workers, gpu=gpu, timed=time_machine, track=track)
    if not console.is_terminal:  # a file gets whole lines, however long
        console = Console(file=console.file, width=_ANY_WIDTH)
    console.print(dry_run_table(found))
    console.print(f"\n{len(found)} tasks: {_states(found)}", highlight=False)
    left = [of for of in found if of.state != "done"]
    lines: list[str] = []
    if left and local:
        folder = next(path for path in (runs, *runs.absolute().parents) if path.exists())
        free = shutil.disk_usage(folder).free
        lines += local_totals(left, devices, cores, memory=available_memory(), disk=free)
    elif left:
        work = _total([of.seconds for of in left], sum, duration_text, "about ")
        disk = _total([of.disk for of in left], sum, decimal, "about ")
        lines += [f"time    {work} of work in all", f"disk    {disk}"]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=False)


def dry_run_table(found: Sequence[Estimate]) -> Table:
    """A line an arm."""
    table = Table("task", "state", box=None, pad_edge=False, header_style="bold")
    for title in ("time\neach", "memory\neach", "disk\nin all"):
        table.add_column(title, justify="right", no_wrap=True)
    arms: dict[str, list[Estimate]] = {}
    for of in found:
        arms.setdefault(of.task.facts.arm, []).append(of)
    for arm, tasks in arms.items():
        left = [of for of in tasks if of.state != "done"]
        table.add_row(
            arm,
            _states(tasks),
            _total([of.seconds for of in left], mean, duration_text),
            _total([of.memory for of in left], max, decimal),
            _total([of.disk for of in left], sum, decimal),
        )
    return table


def local_totals(
    left: Sequence[Estimate], devices: Devices, cores: int, *, memory: int, disk: int
) -> Iterator[str]:
    """Lines on time, memory and disk in all, and on what will not fit on this machine.

    Args:
        left: tasks to do, each after what it needs.
        devices: all of whose seats are free.
        cores: of this machine; more tasks than cores gain nothing over as many.
        memory: free bytes.
        disk: free bytes where the runs folder is.
    """
    needed = {need.address for of in left for need in of.task.needs}
    seats = 0  # of tasks that no other one waits for
    for of in left:
        if of.task.address not in needed and devices.has_room(gpu_bytes(of.task)):
            devices.take(of.task.address, gpu_bytes(of.task))
            seats += 1

    times = [of.seconds for of in left]
    waiting = [
        TaskStatus(task=PlannedTask.of(of.task), state="waiting", seconds_left=of.seconds)
        for of in left
    ]
    clock, _ = study_seconds_left(waiting, min(seats, cores))
    words = _total(times, lambda _: clock, duration_text, "about ")
    in_all = _total(times, sum, duration_text)
    yield f"time    {words}, {seats} side by side; {in_all} of work in all"

    largest = sorted((of.memory or 0 for of in left), reverse=True)[:seats]
    held = [LAUNCHER + together for together in accumulate(largest)]
    words = _total([of.memory for of in left], lambda _: held[-1], decimal, "about ")
    yield f"memory  {words}; {decimal(memory)} are free"
    fitting = sum(of <= _MOST_FULL * memory for of in held)
    if fitting < seats:
        do = (
            f"take --jobs {fitting}" if fitting else "not even one task fits; lower its micro_batch"
        )
        yield f"This needs more memory than is free: {do}, or free some."

    peak = sum(of.disk or 0 for of in left) + seats * max(of.checkpoints for of in left)
    words = _total([of.disk for of in left], lambda _: peak, decimal, "about ")
    yield f"disk    {words} with checkpoints; {decimal(disk)} are free"
    if peak > _MOST_FULL * disk:
        yield "This needs more disk than is free: free some, or name another place with --runs-dir."


def _total(
    values: Sequence[float | None],
    fold: Callable[[list[float]], float],
    words: Callable[..., str],
    about: str = "",
) -> str:
    """The words for what `fold` makes of values; a lower bound where some are not known."""
    known = [value for value in values if value is not None]
    if not known:
        return "unknown" if values else ""
    return f"{'at least ' if len(known) < len(values) else about}{words(fold(known))}"


def _states(found: Sequence[Estimate]) -> str:
    states = Counter(of.state for of in found)
    return ", ".join(f"{states[state]} {state}" for state in get_args(State) if states[state])
