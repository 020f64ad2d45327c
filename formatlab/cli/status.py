"""`formatlab status`: how far studies are, for people and for scripts."""

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from formatlab.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console, Group

    from formatlab.launch.status import StatusSource, StudyStatus

DESCRIPTION = """\
Say of every study which tasks are done, running, failed (and why) and waiting, how long the rest
takes, and which format leads in each run. Nothing is changed, and nothing has to be running.

A task is a base or a run. It is interrupted if it was begun and no process works on it now: the
same command resumes it. Of a finished run the winner of the last probe is shown, with its margin.
A time left is measured on the task, or on finished ones that differ from it in their seeds only.

examples:
  formatlab status
  formatlab status runs/scale_attractors --watch
  formatlab status s3://bucket/runs
  formatlab status --json | python -m json.tool
"""

INTERVAL = 5.0
"""Seconds between two looks of --watch."""
_UNBROKEN = 10_000
"""Columns where lines are not to be broken."""


@dataclass(frozen=True, kw_only=True)
class StatusOptions:
    """What to show."""

    watch: bool = False
    """Look again every 5 seconds until nothing is left to do; on a terminal, in as many lines as it
    has."""
    all: bool = False
    """A row a task, also where there are hundreds; otherwise the 40 most urgent have one."""
    json: bool = False
    """Write one JSON document instead."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line and show the status of studies."""
    import tyro

    @dataclass(frozen=True, kw_only=True)
    class Options(StatusOptions):
        runs: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[RUNS]")] = "runs"
        """The runs folder, or that of a study in it: a path, or an address as s3://bucket/runs."""

    options = tyro.cli(Options, args=arguments, prog="formatlab status", description=DESCRIPTION)
    if options.json and options.watch:
        raise InputError("--json writes one document; give it without --watch")
    from rich.console import Console

    from formatlab.cli.shown_work import shown_work
    from formatlab.launch.status import StatusSource

    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="formatlab-") as copy:
        source = StatusSource(options.runs, Path(copy))
        if options.watch and console.is_terminal:
            return _watch(source, console, every=options.all)
        if options.watch:
            return _tell_changes(source)
        with shown_work("status") as track:
            studies = source.read(track)
    if options.json:
        print(json.dumps({"schema_version": 2, "studies": [study.document() for study in studies]}))
    elif not studies:
        print(f"no study in {options.runs} yet")
    else:
        _print(studies, console, every=options.all)
    return 0


def _print(studies: "Sequence[StudyStatus]", console: "Console", *, every: bool) -> None:
    """Print a screen; to what is no terminal in lines that are not broken."""
    from formatlab.cli.status_table import MOST_ROWS, screen

    table = screen(studies, most=None if every else MOST_ROWS)
    if console.is_terminal:
        console.print(table)
        return
    console.width = _UNBROKEN
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip())


def _watch(source: "StatusSource", console: "Console", *, every: bool) -> int:
    """Look until nothing is left to do, live on a terminal."""
    from rich.live import Live

    studies, remark = source.read(), ""

    def shown() -> "Group":
        return fitting_screen(studies, console, remark=remark, every=every)

    live = Live(console=console, auto_refresh=False)
    try:  # not `with`, which an interrupt of its first drawing escapes
        live.start()
        live.update(shown(), refresh=True)
        while any(study.left for study in studies):
            time.sleep(INTERVAL)
            remark, studies = source.refresh(), source.read()
            live.update(shown(), refresh=True)
    finally:
        live.stop()
    return int(any("failed" in study.totals for study in studies))


def fitting_screen(
    studies: "Sequence[StudyStatus]", console: "Console", *, remark: str, every: bool
) -> "Group":
    """The screen with as many rows a study as the terminal has lines for, or with every row."""
    from rich.console import Group

    from formatlab.cli.status_table import screen

    most = None if every else console.height
    while True:
        table = screen(studies, most=most, wrap=False)
        shown = Group(remark, table) if remark else table
        if not most or len(console.render_lines(shown, pad=False)) < console.height:
            return shown
        most -= 1


def _tell_changes(source: "StatusSource") -> int:
    """Look until nothing is left to do, and print a line a change."""
    studies, told = source.read(), ""
    shown = _print_changes(studies, {})
    while any(study.left for study in studies):
        time.sleep(INTERVAL)
        remark, studies = source.refresh(), source.read()
        if remark and remark != told:
            print(remark, flush=True)
        told, shown = remark, _print_changes(studies, shown)
    return int(any("failed" in study.totals for study in studies))


def _print_changes(studies: "Sequence[StudyStatus]", before: dict[str, str]) -> dict[str, str]:
    """Print the tasks whose state has changed, with the totals of their study.

    Args:
        studies: their status.
        before: what the last call returned: the states that were printed.
    """
    from formatlab.cli.status_table import task_words, totals_words

    now: dict[str, str] = {}
    for study in studies:
        states = {f"{study.name} {task.task.address}": task for task in study.tasks}
        changed = [t for key, t in states.items() if before.get(key, "waiting") != t.state]
        for task in changed:
            print(task_words(task), flush=True)
        if changed or study.name not in before:
            print(f"{study.name}: {totals_words(study)}", flush=True)
        now |= {key: task.state for key, task in states.items()} | {study.name: ""}
    return now
