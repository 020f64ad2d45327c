"""A dry run: what a command would do, and what it is estimated to take.

A line for the corpora and a line an arm, then the totals, then what will not fit on this machine.
"""

import heapq
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from rich.filesize import decimal

from formatlab.launch.devices import Devices, available_cores, available_memory, find_gpus
from formatlab.launch.estimate import Estimate, State, estimates, gpu_bytes, time_machine
from formatlab.launch.options import LaunchOptions
from formatlab.launch.progress import duration
from formatlab.study.task import Seeds, Task

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_STATES: tuple[State, ...] = ("done", "to resume", "to make again", "to make")
"""In the order in which they are counted."""
LAUNCHER = 250 * 2**20
"""Bytes that the launcher itself holds: 204 MiB were measured."""
_MOST_FULL = 0.9
"""Part of the free memory or disk beyond which there is a warning; estimates are rough."""
_ANY_WIDTH = 10_000
"""Columns of what is no terminal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Here:
    """This machine, and how the tasks go on it."""

    seconds: float
    """Until the last task has ended."""
    side_by_side: int
    """Most tasks at a time."""
    memory: int | None
    """Free bytes; None where the system does not tell."""
    disk: int
    """Free bytes where the runs folder is."""


def print_dry_run(
    tasks: Sequence[Task], runs: Path, *, options: LaunchOptions, console: "Console"
) -> None:
    """Print which tasks there are, what each of them takes, and whether it all fits.

    Nothing is written to the runs folder.

    Args:
        tasks: each after what it needs, see `graph`.
        runs: the runs folder.
        options: of the command.
        console: where to print.
    """
    from rich.console import Console

    gpus, cores = find_gpus(), available_cores()
    devices = Devices(gpus, cores=cores, jobs=options.jobs, runs_per_gpu=options.runs_per_gpu)
    local = options.launcher == "local"
    workers = min(devices.most, len(tasks)) if local else max(1, cores // options.cpus_per_run)
    gpu = gpus[0].model if gpus else None
    found = estimates(tasks, runs, workers=workers, gpu=gpu, timed=time_machine)
    known = [of for of in found if not of.error]
    here = None
    if local:
        seconds, most = side_by_side_time(known, devices, cores)
        folder = next(path for path in (runs, *runs.absolute().parents) if path.exists())
        disk = shutil.disk_usage(folder).free
        here = Here(seconds=seconds, side_by_side=most, memory=available_memory(), disk=disk)

    if not console.is_terminal:  # a file gets whole lines, however long
        console = Console(file=console.file, width=_ANY_WIDTH)
    if known:
        console.print(dry_run_table(known))
        kinds = Counter(of.task.facts.kind for of in known)
        counts = ", ".join(number_words(kinds[kind], kind) for kind in sorted(kinds))
        console.print(f"\n{counts}: {_states(known)}", highlight=False)
    for heading, sentence in totals(known, here, options.launcher):
        console.print(f"{heading:8}{sentence}", markup=False, highlight=False, soft_wrap=False)
    wrong = list(warnings(known, here)) if here is not None else []
    for line in (*wrong, *(f"{of.task.label} would fail: {of.error}" for of in found if of.error)):
        console.print(line, style="yellow", markup=False, highlight=False)


def side_by_side_time(found: Sequence[Estimate], devices: Devices, cores: int) -> tuple[float, int]:
    """Seconds until the last task has ended, and most tasks at a time.

    Args:
        found: each after what it needs; tasks of unknown time count as none.
        devices: all of whose seats are free.
        cores: of this machine; more tasks than cores gain nothing over as many.
    """
    waiting = {of.task.address: of for of in found if of.state != "done"}
    left = set(waiting)
    running: list[tuple[float, str]] = []
    now, most = 0.0, 0
    while left:
        for address, of in list(waiting.items()):
            ready = not any(need.address in left for need in of.task.needs)
            if ready and devices.has_room(gpu_bytes(of.task)):
                devices.take(address, gpu_bytes(of.task))
                heapq.heappush(running, (now + of.all_seconds, address))
                del waiting[address]
        most = max(most, len(running))
        now, address = heapq.heappop(running)
        devices.give_back(address)
        left.remove(address)
    return max(now, sum(of.all_seconds for of in found) / cores), most


def dry_run_table(found: Sequence[Estimate]) -> "Table":
    """A line for the corpora that are to be written, and a line an arm."""
    from rich.table import Table

    table = Table("task", "state", box=None, pad_edge=False, header_style="bold")
    for title in ("time\neach", "memory\neach", "disk\nin all"):
        table.add_column(title, justify="right", no_wrap=True)
    corpora = [of for of in found if of.corpus_disk]
    if corpora:
        seconds = mean(of.corpus_seconds for of in corpora)
        disk = sum(of.corpus_disk for of in corpora)
        count = f"{len(corpora)} to make"
        table.add_row("corpus", count, duration(seconds), "", decimal(disk))
    arms: dict[str, list[Estimate]] = {}
    for of in found:
        arms.setdefault(of.task.facts.arm, []).append(of)
    for arm in arms.values():
        seeds = seed_words([of.task.facts.seeds for of in arm if of.task.facts.seeds])
        times = [of.seconds for of in arm if of.seconds is not None]
        sizes = [of.memory for of in arm if of.memory is not None]
        disks = [of.disk for of in arm if of.disk is not None]
        unknown = "unknown" if any(of.state != "done" for of in arm) else ""
        table.add_row(
            arm[0].task.facts.named(seeds),
            _states(arm),
            duration(mean(times)) if times else unknown,
            decimal(max(sizes)) if sizes else unknown,
            decimal(sum(disks)) if disks else unknown,
        )
    return table


def totals(
    found: Sequence[Estimate], here: Here | None, launcher: str
) -> Iterator[tuple[str, str]]:
    """The totals of time, memory and disk: headings and sentences.

    Args:
        found: of the command.
        here: this machine; None if the tasks go elsewhere.
        launcher: that takes them there.
    """
    to_do = [of for of in found if of.state != "done"]
    if not to_do:
        return
    times = [of.seconds for of in to_do]
    work = f"{_total(times, sum(of.all_seconds for of in to_do), duration)} of work in all"
    if set(times) == {None}:
        why = "only finished runs tell the time of a real model or of vLLM"
        yield "time", f"unknown: {why}, for runs with the same settings"
    elif here is None:
        yield "time", f"{work}; how long that takes is for {launcher.capitalize()} to say"
    else:
        clock = _total(times, here.seconds, duration)
        yield "time", f"{clock}, {here.side_by_side} side by side; {work}"
    if here is not None:
        most = _total([of.memory for of in to_do], memory_of(to_do, here.side_by_side), decimal)
        free = f"; {decimal(here.memory)} are free" if here.memory is not None else ""
        tasks = number_words(here.side_by_side, "largest task")
        yield "memory", f"{most} for the launcher and the {tasks}{free}"
    results = _total([of.disk for of in to_do], disk_of(to_do, 0), decimal)
    each = max(of.checkpoints for of in to_do)
    checkpoints = f", checkpoints up to {decimal(each)} for each task under way" if each else ""
    free = f"; {decimal(here.disk)} are free" if here is not None else ""
    yield "disk", f"results {results}{checkpoints}{free}"


def _total(values: Sequence[float | None], total: int | float, words: Callable[..., str]) -> str:
    """A sum in words: only a lower bound where some values are not known."""
    if all(value is None for value in values):
        return "unknown"
    return f"{'at least' if None in values else 'about'} {words(total)}"


def warnings(found: Sequence[Estimate], here: Here) -> Iterator[str]:
    """Sentences on memory or disk that will not fit on this machine, and on the remedy."""
    memory, most = here.memory, here.side_by_side
    if memory is not None and memory_of(found, most) > _MOST_FULL * memory:
        jobs = max(
            (n for n in range(most) if memory_of(found, n) <= _MOST_FULL * memory), default=0
        )
        do = f"take --jobs {jobs}" if jobs else "not even one task fits; lower its micro_batch"
        yield f"This needs more memory than is free: {do}, or free some."
    if disk_of(found, most) > _MOST_FULL * here.disk:
        yield "This needs more disk than is free: free some, or name another place with --runs-dir."


def memory_of(found: Sequence[Estimate], tasks: int) -> int:
    """Bytes that the launcher and so many of the largest tasks hold; unknown ones count as none."""
    return LAUNCHER + sum(sorted((of.memory or 0 for of in found), reverse=True)[:tasks])


def disk_of(found: Sequence[Estimate], tasks: int) -> int:
    """Bytes of all results, and of checkpoints of so many tasks under way."""
    checkpoints = sorted((of.checkpoints for of in found), reverse=True)[:tasks]
    return sum((of.disk or 0) + of.corpus_disk for of in found) + sum(checkpoints)


def _states(found: Sequence[Estimate]) -> str:
    states = Counter(of.state for of in found)
    return ", ".join(f"{states[state]} {state}" for state in _STATES if states[state])


def seed_words(seeds: Sequence[Seeds]) -> str:
    """Seeds in short: the first and the last if all between are there, else their number."""
    inorder = sorted(set(seeds))
    if len(inorder) < 2:
        return "".join(map(str, inorder))
    first, last = inorder[0], inorder[-1]
    numbers = range(first.initialisation, last.initialisation + 1)
    if inorder == [Seeds(world=first.world, initialisation=n, sampling=n) for n in numbers]:
        return f"{first}-{last}"
    return number_words(len(inorder), "seed")


def number_words(count: int, what: str) -> str:
    """A count and what is counted: `1 run`, `2 runs`."""
    return f"{count} {what}{'s' * (count != 1)}"
