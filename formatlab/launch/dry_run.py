"""A dry run: what a command would do, and what it is estimated to take.

A line a corpus and an arm with counts, states and estimates of each task, then the totals, then
what will not fit on this machine.
"""

import heapq
import shutil
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Literal

from formatlab.errors import FormatlabError
from formatlab.launch.devices import (
    Devices,
    available_cores,
    available_memory,
    find_gpus,
    worker_threads,
)
from formatlab.launch.estimate import Estimate, Estimator, gpu_bytes, time_machine
from formatlab.launch.options import LaunchOptions
from formatlab.launch.worker import why_made_again
from formatlab.study.ladder_run import BaseTask
from formatlab.study.model_run import ModelRun
from formatlab.study.task import Seeds, Task

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

State = Literal["done", "to resume", "to make again", "to make"]
_STATES: dict[State, str] = {
    "done": "green",
    "to resume": "yellow",
    "to make again": "yellow",
    "to make": "",
}
"""In the order in which they are counted, with their colours."""

LAUNCHER = 250 * 2**20
"""Bytes that the launcher itself holds: 204 MiB were measured."""
REPORT = 5 * 2**20
"""Bytes on disk of a study's report, figures and tables: 2 to 4 MiB."""
_MOST_FULL = 0.9
"""Part of the free memory or disk beyond which there is a warning; estimates are rough."""
_SEEDS_NAMED = 4
_UNFOLDED = 24
"""Columns of names of tasks that are never folded, however narrow the terminal."""
_ANY_WIDTH = 10_000
"""Columns of what is no terminal."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One task of the command."""

    task: Task
    state: State
    estimate: Estimate | None
    """What it will still take; None where it is done."""
    used_by: int = 0
    """How many tasks of the command start from it."""


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
    here = options.launcher == "local"
    workers = min(devices.most, len(tasks)) if here else max(1, cores // options.cpus_per_run)
    estimator = Estimator(runs, gpu=gpus[0].model if gpus else None, timed=time_machine)
    used = Counter(need.address for task in tasks for need in task.needs)
    entries: list[Entry] = []
    unreadable: list[str] = []
    for task in tasks:
        try:
            state = state_of(task, runs)
        except (FormatlabError, OSError) as error:
            unreadable.append(f"{task.label} would fail: {error}")
            continue
        threads = worker_threads(workers, task.most_threads)
        estimate = None if state == "done" else estimator.estimate(task, threads)
        used_by = used[task.address]
        entries.append(Entry(task=task, state=state, estimate=estimate, used_by=used_by))

    if not console.is_terminal:  # a file gets whole lines, however long
        console = Console(file=console.file, width=_ANY_WIDTH)
    if entries:
        console.print(dry_run_table(entries))
        console.print(f"\n{_counts(entries)}", highlight=False)
    if here:
        seconds, side_by_side = schedule(entries, devices, cores)
        memory, disk = available_memory(), shutil.disk_usage(_existing(runs)).free
        lines = totals(entries, seconds, side_by_side, memory, disk)
        wrong = warnings(entries, side_by_side, memory, disk)
    else:
        lines, wrong = totals_elsewhere(entries, options), iter(())
    for heading, sentence in lines:
        line = textwrap.fill(f"{heading:8}{sentence}", console.width, subsequent_indent=" " * 8)
        console.print(line, markup=False, highlight=False)
    for line in (*wrong, *unreadable):
        console.print(line, style="yellow", markup=False, highlight=False)


def state_of(task: Task, runs: Path) -> State:
    """What a launcher would find.

    A run whose base has to be made again is done if it is intact: the base comes out as it was.

    Raises:
        FormatlabError: the task's folder is of another version of formatlab.
    """
    folder = runs / task.address
    if why_made_again(task, runs) is not None:
        return "to make again"
    if (folder / "DONE").exists():
        return "done"
    return "to resume" if (folder / "metrics.jsonl").exists() else "to make"


def schedule(entries: Sequence[Entry], devices: Devices, cores: int) -> tuple[float, int]:
    """Seconds until the last task has ended, and most tasks at a time.

    Args:
        entries: each after what it needs; tasks of unknown time count as none.
        devices: all of whose seats are free.
        cores: of this machine; more tasks than cores gain nothing over as many.
    """
    waiting = {of.task.address: of for of in entries if of.estimate is not None}
    left = set(waiting)
    running: list[tuple[float, str]] = []
    now, most = 0.0, 0
    while left:
        for address, of in list(waiting.items()):
            ready = not any(need.address in left for need in of.task.needs)
            if ready and devices.take(address, gpu_bytes(of.task)) is not None:
                heapq.heappush(running, (now + _seconds(of), address))
                del waiting[address]
        most = max(most, len(running))
        now, address = heapq.heappop(running)
        devices.give_back(address)
        left.remove(address)
    return max(now, sum(map(_seconds, entries)) / cores), most


def _seconds(entry: Entry) -> float:
    of = entry.estimate
    return 0.0 if of is None else (of.seconds or 0.0) + of.corpus_seconds


def dry_run_table(entries: Sequence[Entry]) -> "Table":
    """A line a mixture whose corpora are to be written, and a line an arm."""
    from rich.table import Table

    arms: dict[str, list[Entry]] = {}
    corpora: dict[str, list[Entry]] = {}
    for entry in entries:
        arms.setdefault(entry.task.facts.arm, []).append(entry)
        if isinstance(entry.task, BaseTask) and entry.estimate and entry.estimate.corpus_disk:
            corpora.setdefault(entry.task.facts.mixture, []).append(entry)
    rows = [*map(_corpora_row, corpora.values()), *map(_arm_row, arms.values())]
    table = Table(box=None, pad_edge=False, header_style="bold")
    names = max(len(cells[0]) for cells, _ in rows)
    table.add_column("task", no_wrap=names <= _UNFOLDED)
    for title in ("starts from", "state", "shared by"):
        table.add_column(title)
    for title in ("time\neach", "memory\neach", "disk\nin all"):
        table.add_column(title, justify="right", no_wrap=True)
    for cells, style in rows:
        table.add_row(*cells, style=style)
    return table


def _arm_row(arm: Sequence[Entry]) -> tuple[list[str], str]:
    facts, estimates = arm[0].task.facts, [of.estimate for of in arm if of.estimate is not None]
    states = Counter[State](of.state for of in arm)
    shared = max(of.used_by for of in arm)
    times = [of.seconds for of in estimates if of.seconds is not None]
    sizes = [of.memory for of in estimates if of.memory is not None]
    disks = [of.disk for of in estimates if of.disk is not None]
    unknown = "unknown" if estimates else ""
    cells = [
        facts.named(seed_words([of.task.facts.seeds for of in arm if of.task.facts.seeds])),
        ", ".join(need.facts.chain for need in arm[0].task.needs),
        _states(states) if len(arm) > 1 else arm[0].state,
        number_words(shared, "run") if shared > 1 else "",
        time_words(mean(times)) if times else unknown,
        size_words(max(sizes)) if sizes else unknown,
        size_words(sum(disks)) if disks else unknown,
    ]
    return cells, _STATES[arm[0].state] if len(states) == 1 else ""


def _corpora_row(writers: Sequence[Entry]) -> tuple[list[str], str]:
    """Of the bases that write the corpora of a mixture, one a world."""
    estimates = [of.estimate for of in writers if of.estimate is not None]
    count = f"{len(writers)} to make" if len(writers) > 1 else "to make"
    seconds = time_words(mean(of.corpus_seconds for of in estimates))
    disk = size_words(sum(of.corpus_disk for of in estimates))
    return [f"corpus {writers[0].task.facts.mixture}", "", count, "", seconds, "", disk], ""


def totals(
    entries: Sequence[Entry], seconds: float, side_by_side: int, memory: int | None, disk: int
) -> Iterator[tuple[str, str]]:
    """What it comes to on this machine: headings and sentences.

    Args:
        entries: of the command.
        seconds: until the last task has ended.
        side_by_side: most tasks at a time.
        memory: free bytes; None where the system does not tell.
        disk: free bytes where the runs folder is.
    """
    to_do = [of.estimate for of in entries if of.estimate is not None]
    if not to_do:
        return
    about, but = _about([of.seconds for of in to_do])
    work = time_words(sum(map(_seconds, entries)))
    yield (
        "time",
        f"{about} {time_words(seconds)}, {side_by_side} side by side; in all {about} {work} of "
        f"work{but}"
        if about
        else _unknown(entries),
    )
    about, but = _about([of.memory for of in to_do])
    if about:
        free = "" if memory is None else f", of {size_words(memory)} that are free"
        yield (
            "memory",
            f"{about} {size_words(memory_of(entries, side_by_side))} at most{free}: the "
            f"{number_words(side_by_side, 'largest task')}, and {size_words(LAUNCHER)} of the "
            f"launcher{but}",
        )
    about, but = _about([of.disk for of in to_do])
    if about:
        results, checkpoints = disk_of(entries, side_by_side)
        yield (
            "disk",
            f"{about} {size_words(results + checkpoints)}, of {size_words(disk)} that are free: "
            f"{size_words(results)} of results with their report, {size_words(checkpoints)} of "
            f"checkpoints while tasks are under way{but}",
        )


def totals_elsewhere(entries: Sequence[Entry], options: LaunchOptions) -> Iterator[tuple[str, str]]:
    """What it comes to on other machines, of which only work and disk are known here."""
    to_do = [of.estimate for of in entries if of.estimate is not None]
    if not to_do:
        return
    most = f", at most {options.jobs}" if options.jobs else ""
    queue = (
        f"how many tasks go side by side{most}, and so how long it takes, is for "
        f"{options.launcher.capitalize()} to say"
    )
    about, but = _about([of.seconds for of in to_do])
    work = time_words(sum(map(_seconds, entries)))
    yield (
        "time",
        f"in all {about} {work} of work, each task as on this machine{but}; {queue}"
        if about
        else f"{_unknown(entries)}; {queue}",
    )
    about, but = _about([of.disk for of in to_do])
    if about:
        results, checkpoints = disk_of(entries, 1)
        yield (
            "disk",
            f"{about} {size_words(results)} of results with their report{but}; and up to "
            f"{size_words(checkpoints)} of checkpoints for each task under way",
        )


def warnings(
    entries: Sequence[Entry], side_by_side: int, memory: int | None, disk: int
) -> Iterator[str]:
    """What will not fit on this machine, and what to do about it; arguments as of `totals`."""
    if memory is not None and memory_of(entries, side_by_side) > _MOST_FULL * memory:
        fitting = [n for n in range(side_by_side) if memory_of(entries, n) <= _MOST_FULL * memory]
        jobs = max(fitting, default=0)
        do = f"take --jobs {jobs}" if jobs else "not even one task fits; lower its micro_batch"
        yield f"This needs more memory than is free: {do}, or free some."
    if sum(disk_of(entries, side_by_side)) > _MOST_FULL * disk:
        yield "This needs more disk than is free: free some, or name another place with --runs-dir."


def memory_of(entries: Sequence[Entry], tasks: int) -> int:
    """Bytes that the launcher and so many of the largest tasks hold; unknown ones count as none."""
    sizes = sorted((of.estimate.memory or 0 for of in entries if of.estimate), reverse=True)
    return LAUNCHER + sum(sizes[:tasks])


def disk_of(entries: Sequence[Entry], tasks: int) -> tuple[int, int]:
    """Bytes of results with their report, and of checkpoints of so many tasks under way."""
    to_do = [of.estimate for of in entries if of.estimate]
    checkpoints = sorted((of.checkpoints for of in to_do), reverse=True)[:tasks]
    results = sum((of.disk or 0) + of.corpus_disk for of in to_do)
    return (results + REPORT if to_do else 0), sum(checkpoints)


def _about(numbers: Sequence[float | None]) -> tuple[str, str]:
    """What comes before and after a sum of numbers; nothing if none is known."""
    unknown = sum(number is None for number in numbers)
    if unknown == len(numbers):
        return "", ""
    if unknown:
        return "at least", f"; not known of {number_words(unknown, 'task')}"
    return "about", ""


def _unknown(entries: Sequence[Entry]) -> str:
    """Why no time is known."""
    if any(isinstance(of.task, ModelRun) for of in entries):
        return (
            "unknown: what a real model takes is not known before a run of it is finished, which "
            "tells the time of runs with the same settings"
        )
    return "unknown: it is known of models of the ladder alone, and not with vLLM"


def _counts(entries: Sequence[Entry]) -> str:
    """How many tasks there are, and in which states."""
    kinds = Counter(of.task.facts.kind for of in entries)
    what = ", ".join(number_words(count, kind) for kind, count in sorted(kinds.items()))
    return f"{what}: {_states(Counter[State](of.state for of in entries))}"


def _states(states: Counter[State]) -> str:
    return ", ".join(f"{states[state]} {state}" for state in _STATES if states[state])


def seed_words(seeds: Sequence[Seeds]) -> str:
    """Seeds in short: all that lie between the first and the last, else each, or their number."""
    inorder = sorted(set(seeds))
    first, last = (inorder[0], inorder[-1]) if inorder else (None, None)
    if first is None or last is None or first == last:
        return str(first or "")
    steps = range(first.initialisation, last.initialisation + 1)
    if inorder == [Seeds(world=first.world, initialisation=n, sampling=n) for n in steps]:
        return f"{first}-{last}"
    if len(inorder) <= _SEEDS_NAMED:
        return ", ".join(map(str, inorder))
    return number_words(len(inorder), "seed")


def number_words(count: int, what: str) -> str:
    """A count and what is counted: `1 run`, `2 runs`."""
    return f"{count} {what}{'s' * (count != 1)}"


def time_words(seconds: float) -> str:
    """About how long, in a unit that people would choose."""
    for unit, length, until in (("s", 1, 90), ("min", 60, 90 * 60), ("h", 3600, 48 * 3600)):
        if seconds < until:
            return f"{_rounded(seconds / length)} {unit}"
    return f"{_rounded(seconds / 86_400)} days"


def size_words(size: float) -> str:
    """About how many bytes."""
    unit, length = ("GiB", 2**30) if size >= 2**30 else ("MiB", 2**20)
    return f"{_rounded(size / length)} {unit}"


def _rounded(value: float) -> str:
    """A number with two figures or so."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())
