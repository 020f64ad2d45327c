"""A dry run: what a command would do, and what it would take, said before it is done."""

import math
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Literal

from formatlab.launch.cores import available_cores
from formatlab.launch.devices import Devices, find_gpus
from formatlab.launch.estimates.calibration import Calibration, saying
from formatlab.launch.estimates.estimate import DONE, Estimate, estimate_all
from formatlab.launch.estimates.memory import available_memory
from formatlab.launch.estimates.outlook import Outlook, jobs_that_fit, outlook
from formatlab.launch.perform import is_done, unfit
from formatlab.launch.task import SEEDS, Task

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

State = Literal["done", "to go on", "to make"]

_SEEDS = re.compile(rf" ({SEEDS})\b")
_STYLES: dict[State, str] = {"done": "green", "to go on": "yellow", "to make": ""}
_HEADINGS = ("task", "starts from", "state", "shared by", "each", "memory", "disk")
_MOST_FULL = 0.9
"""Part of the free memory or disk beyond which there is a warning; estimates are estimates."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One task of a command, and what is known of it before it begins."""

    task: Task
    state: State
    estimate: Estimate
    """What it still takes."""
    used_by: int
    """How many tasks of the command start from it."""


def print_dry_run(
    tasks: Sequence[Task], runs_dir: Path, *, experiment: Path, jobs: int, console: "Console"
) -> None:
    """Say which tasks there are, what each of them takes, and whether it all fits.

    Makes nothing in the runs folder but the calibration.

    Args:
        tasks: each after what it needs, see `graph`.
        runs_dir: the runs folder.
        experiment: the experiment file.
        jobs: tasks side by side; 0: as many as are sensible.
        console: where to print.
    """
    gpus, cores = find_gpus(), available_cores()
    devices = Devices(gpus, cores=cores, jobs=jobs)
    states: dict[str, State] = {task.address: _state(task, runs_dir) for task in tasks}
    to_do = [task for task in tasks if states[task.address] != "done"]
    calibration = Calibration(runs_dir, gpus)
    with saying(console) as say:
        estimates = estimate_all(
            to_do,
            runs_dir,
            calibration,
            experiment=experiment,
            gpus=gpus,
            workers=min(devices.most, len(tasks)),
            say=say,
        )
    for label, reason in calibration.failures.items():
        console.print(f"could not measure {label}: {reason}", style="yellow", markup=False)
    used = Counter(need.address for task in tasks for need in task.needs)
    planned = [
        Planned(
            task=task,
            state=states[task.address],
            estimate=estimates.get(task.address, DONE),
            used_by=used[task.address],
        )
        for task in tasks
    ]
    ahead = outlook(to_do, list(estimates.values()), devices, cores)
    room = Room(
        cores=cores,
        gpus=len(gpus),
        memory=available_memory(),
        disk=shutil.disk_usage(_existing(runs_dir)).free,
    )
    console.print(table_of(planned))
    for line in summary(planned, ahead, room):
        console.print(line, markup=False, highlight=False)
    for line in warnings(planned, ahead, room):
        console.print(line, style="yellow", markup=False, highlight=False)


@dataclass(frozen=True, kw_only=True)
class Room:
    """What the machine has."""

    cores: int
    gpus: int
    memory: int | None
    """Free bytes; None where the system does not tell."""
    disk: int
    """Free bytes where the runs folder is."""


def table_of(planned: Sequence[Planned]) -> "Table":
    """One line an arm, its seeds together."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    arms: dict[str, list[Planned]] = {}
    for one in planned:
        arms.setdefault(_without_seeds(one.task), []).append(one)
    lines = [_line(arm) for arm in arms.values()]
    columns = [
        (heading, cells)
        for heading, cells in zip(_HEADINGS, zip(*lines, strict=True), strict=True)
        if any(cells)
    ]
    for heading, _ in columns:
        wide = heading in _HEADINGS[:3]
        justify = "left" if wide else "right"
        table.add_column(heading, justify=justify, no_wrap=not wide, overflow="fold")
    for arm, *cells in zip(arms.values(), *(cells for _, cells in columns), strict=True):
        states = {one.state for one in arm}
        table.add_row(*map(Text, cells), style=_STYLES[states.pop()] if len(states) == 1 else "")
    return table


def _line(arm: Sequence[Planned]) -> tuple[str, ...]:
    """What is said of an arm, under the headings."""
    to_do = [one.estimate for one in arm if one.state != "done"]
    task = arm[0].task
    scale = f" {task.facts.get('scale', '')}"  # it is that of the task itself
    needs = [_without_seeds(need).replace(scale, "") for need in task.needs]
    shared = max(one.used_by for one in arm)
    return (
        _with_seeds([one.task.label for one in arm]),
        ", ".join(needs),
        _counted(Counter[State](one.state for one in arm)),
        f"{shared} runs" if shared > 1 else "",
        time_words(mean(known)) if (known := _known([of.seconds for of in to_do])) else _no(to_do),
        size_words(max(known)) if (known := _known([of.memory for of in to_do])) else _no(to_do),
        size_words(sum(known)) if (known := _known([of.disk for of in to_do])) else _no(to_do),
    )


def _known(numbers: Sequence[float | None]) -> list[float]:
    """The numbers, if all are known."""
    known = [number for number in numbers if number is not None]
    return known if len(known) == len(numbers) else []


def _no(to_do: Sequence[Estimate]) -> str:
    return "unknown" if to_do else ""


def summary(planned: Sequence[Planned], ahead: Outlook, room: Room) -> Iterator[str]:
    """What it comes to, in sentences."""
    kinds = Counter(one.task.facts.get("kind", "run") for one in planned)
    states = Counter[State](one.state for one in planned)
    what = ", ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in kinds.items())
    yield f"\n{what}: {_counted(states, every=True)}"
    if ahead.side_by_side == 0:
        return
    if ahead.unknown == sum(one.state != "done" for one in planned):
        yield "what they take is unknown: only models of the ladder are tried out beforehand"
        return
    cores = f"{room.cores} core{'s' * (room.cores > 1)}"
    machine = f"{room.gpus} GPU{'s' * (room.gpus > 1)}, {cores}" if room.gpus else cores
    about, but = "about", ""
    if ahead.unknown:
        about = "at least"
        but = f"; not all is known of {ahead.unknown} task{'s' * (ahead.unknown > 1)}"
    yield (
        f"time    {about} {time_words(ahead.seconds)}, {ahead.side_by_side} side by side on "
        f"{machine}{but}"
    )
    has = "" if room.memory is None else f", of {size_words(room.memory)} that are free"
    yield f"memory  {about} {size_words(ahead.memory)} at most{has}"
    yield f"disk    {about} {size_words(ahead.disk)}, of {size_words(room.disk)} that are free"
    sources = {one.estimate.source for one in planned} & {"calibration", "finished runs"}
    if sources:
        told = " and ".join(sorted(sources)).replace("calibration", "a calibration of this machine")
        yield f"told from {told}"


def warnings(planned: Sequence[Planned], ahead: Outlook, room: Room) -> Iterator[str]:
    """What will not fit, and what to do about it."""
    to_do = [one.estimate for one in planned if one.state != "done"]
    if room.memory is not None and ahead.memory > _MOST_FULL * room.memory:
        jobs = jobs_that_fit(to_do, int(_MOST_FULL * room.memory))
        do = (
            f"take --jobs {jobs}"
            if jobs
            else "not even one fits; lower micro_batch and --probe.batch"
        )
        yield f"This needs more memory than is free: {do}, or free some."
    if ahead.disk > _MOST_FULL * room.disk:
        yield "This needs more disk than is free: free some, or name another place with --runs-dir."


def time_words(seconds: float) -> str:
    """About how long, in a unit that people would choose."""
    for unit, length, until in (("s", 1, 90), ("min", 60, 90 * 60), ("h", 3600, 48 * 3600)):
        if seconds < until:
            return f"{_rounded(seconds / length)} {unit}"
    return f"{_rounded(seconds / 86_400)} days"


def size_words(size: float) -> str:
    """About how many bytes."""
    for unit, bytes_each in (("GiB", 2**30), ("MiB", 2**20)):
        if size >= bytes_each:
            return f"{_rounded(size / bytes_each)} {unit}"
    return f"{math.ceil(size / 2**10)} KiB"


def _rounded(value: float) -> str:
    """A number with two figures or so."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")


def _state(task: Task, runs: Path) -> State:
    if is_done(task, runs):
        return "done"
    begun = (runs / task.address / "metrics.jsonl").exists() and unfit(task, runs) is None
    return "to go on" if begun else "to make"


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())


def _without_seeds(task: Task) -> str:
    """What an arm is called."""
    return _SEEDS.sub("", task.label)


def _with_seeds(labels: Sequence[str]) -> str:
    """The label of an arm, with its seeds in short."""
    if len(labels) == 1:
        return labels[0]
    found = [seeds.groups() for label in labels for seeds in _SEEDS.finditer(label)]
    numbers = sorted({int(number) for _, number in found})
    plain = [words for words, _ in found] == [f"s{number}" for number in numbers]
    in_a_row = plain and numbers == list(range(numbers[0], numbers[0] + len(labels)))
    seeds = f"s{numbers[0]}-s{numbers[-1]}" if in_a_row else f"{len(labels)} times"
    return _SEEDS.sub(f" {seeds}", labels[0], count=1) if found else f"{labels[0]} {seeds}"


def _counted(states: Counter[State], *, every: bool = False) -> str:
    """How many are in each state; of one alone just the state."""
    if states.total() == 1 and not every:
        return next(iter(states))
    return ", ".join(f"{states[state]} {state}" for state in _STYLES if states[state])
