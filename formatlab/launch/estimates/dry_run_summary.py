"""The summary of a dry run: what a study comes to in all, and what will not fit."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from formatlab.launch.estimates.dry_run_table import counted_words
from formatlab.launch.estimates.foreseen import Foreseen, State
from formatlab.launch.estimates.outlook import LAUNCHER, REPORT, Outlook, jobs_that_fit, memory_of
from formatlab.launch.estimates.quantity import number_words, size_words, time_words
from formatlab.launch.options import LaunchOptions
from formatlab.study.ladder_run import LadderRun
from formatlab.study.model_run import ModelRun

_MOST_FULL = 0.9
"""Part of the free memory or disk beyond which there is a warning; estimates are estimates."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """What the machine has."""

    cores: int
    gpus: int
    memory: int | None
    """Free bytes; None where the system does not tell."""
    disk: int
    """Free bytes where the runs folder is."""


def tasks_line(tasks: Sequence[Foreseen]) -> str:
    """How many tasks there are, and in which states."""
    kinds = Counter(one.task.facts.kind for one in tasks)
    states = Counter[State](one.state for one in tasks)
    what = ", ".join(number_words(count, kind) for kind, count in sorted(kinds.items()))
    return f"{what}: {counted_words(states)}"


def summary(tasks: Sequence[Foreseen], ahead: Outlook, room: Room) -> Iterator[str]:
    """What it comes to on this machine, a line a sort of thing."""
    to_do = [one for one in tasks if one.state != "done"]
    if not to_do:
        return
    cores = number_words(room.cores, "core")
    machine = f"{number_words(room.gpus, 'GPU')}, {cores}" if room.gpus else cores
    about, but = _known([one.estimate.seconds for one in to_do])
    if about:
        yield (
            f"time    {about} {time_words(ahead.seconds)}, {ahead.side_by_side} side by side on "
            f"{machine}; in all {about} {time_words(ahead.work)} of work{but}"
        )
    else:
        yield f"time    {_unknown(to_do)}"
    about, but = _known([one.estimate.memory for one in to_do])
    if about:
        free = "" if room.memory is None else f", of {size_words(room.memory)} that are free"
        largest = (
            "the largest task"
            if ahead.side_by_side == 1
            else (f"the {ahead.side_by_side} largest tasks")
        )
        yield (
            f"memory  {about} {size_words(ahead.memory)} at most{free}: {largest}, and "
            f"{size_words(LAUNCHER)} of the launcher{but}"
        )
    about, but = _known([one.estimate.disk for one in to_do])
    if about:
        yield (
            f"disk    {about} {size_words(ahead.disk)}, of {size_words(room.disk)} that are free: "
            f"{size_words(ahead.results)} of results, {size_words(ahead.checkpoints)} of "
            f"checkpoints while tasks are under way, {size_words(REPORT)} of report{but}"
        )
    yield from _sources(to_do)


def summary_elsewhere(
    tasks: Sequence[Foreseen], cluster: LaunchOptions, jobs: int
) -> Iterator[str]:
    """What it comes to on other machines, of which only work and disk can be told from here.

    Args:
        tasks: of the command.
        cluster: where they would be done.
        jobs: tasks at a time; 0: as many as there is room for.
    """
    estimates = [one.estimate for one in tasks if one.state != "done"]
    if not estimates:
        return
    about, but = _known([of.seconds for of in estimates])
    most = f", at most {jobs}" if jobs else ""
    queue = (
        f"how many tasks go side by side{most}, and so how long it takes, is for "
        f"{cluster.launcher.capitalize()} to say"
    )
    work = time_words(sum(of.seconds or 0.0 for of in estimates))
    yield (
        f"time    in all {about} {work} of work, each task as on this machine{but}; {queue}"
        if about
        else f"time    {_unknown([one for one in tasks if one.state != 'done'])}; {queue}"
    )
    about, but = _known([of.disk for of in estimates])
    if about:
        results = sum(of.disk or 0 for of in estimates)
        checkpoints = max(of.scratch for of in estimates)
        yield (
            f"disk    {about} {size_words(results + REPORT)}: {size_words(results)} of results, "
            f"{size_words(REPORT)} of report{but}; and up to {size_words(checkpoints)} of "
            "checkpoints for each task under way"
        )
    yield from _sources([one for one in tasks if one.state != "done"])


def warnings(tasks: Sequence[Foreseen], ahead: Outlook, room: Room) -> Iterator[str]:
    """What will not fit on this machine, and what to do about it."""
    to_do = [one for one in tasks if one.state != "done"]
    if room.memory is not None and ahead.memory > _MOST_FULL * room.memory:
        free = int(_MOST_FULL * room.memory)
        jobs = jobs_that_fit([one.estimate for one in to_do], free)
        do = f"take --jobs {jobs}" if jobs else _smaller(to_do, free)
        yield f"This needs more memory than is free: {do}, or free some."
    if ahead.disk > _MOST_FULL * room.disk:
        yield "This needs more disk than is free: free some, or name another place with --runs-dir."


def _smaller(to_do: Sequence[Foreseen], free: int) -> str:
    """What lowers the memory of the tasks of which not even one fits."""
    options = ["--probe.batch"]
    for one in to_do:
        if memory_of([one.estimate], 1) > free and isinstance(one.task, (LadderRun, ModelRun)):
            name = one.task.training.stages[-1].settings.name.replace("_", "-")
            options.append(f"--{name}.micro-batch")
    named = " and ".join(sorted(set(options)))
    return f"not even one fits; lower {named} (or what the experiment's file says of them)"


def _known(numbers: Sequence[float | None]) -> tuple[str, str]:
    """How a sum of numbers is told, and what is to be added; nothing if none is known."""
    unknown = sum(number is None for number in numbers)
    if unknown == len(numbers):
        return "", ""
    if unknown:
        return "at least", f"; not known of {number_words(unknown, 'task')}"
    return "about", ""


def _unknown(to_do: Sequence[Foreseen]) -> str:
    """Why no time is known."""
    if any(isinstance(one.task, ModelRun) for one in to_do):
        return (
            "unknown: a real model is not tried out beforehand; once a run of it is finished, its "
            "pace tells the time of runs with the same settings"
        )
    return "unknown: only models of the ladder are tried out beforehand, and not with vLLM"


def _sources(to_do: Sequence[Foreseen]) -> Iterator[str]:
    sources = {one.estimate.source for one in to_do} & {"calibration", "finished runs"}
    if sources:
        told = " and ".join(sorted(sources)).replace("calibration", "a calibration of this machine")
        yield f"told from {told}"
