"""`formatlab status`: how far studies are, for people and for scripts."""

import json
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from formatlab.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from formatlab.launch.status import StatusSource, StudyStatus

DESCRIPTION = """\
Say of every study which tasks are done, running, failed (and why) and waiting, how long the rest
takes, and which format leads in each run. Nothing is changed, and nothing has to be running.

A task is a base or a run. It is interrupted if it was begun and no process works on it now: the
same command resumes it. Of a finished run the winner of the last probe is shown, with its margin.
A time left is measured on the task or on finished ones of its arm; after `about` it is an estimate.

examples:
  formatlab status
  formatlab status runs/scale_attractors --watch
  formatlab status s3://bucket/runs
  formatlab status --json | python -m json.tool
"""

INTERVAL = 2.0
"""Seconds between two looks of --watch."""
REMOTE_INTERVAL = 5.0
"""The same where an address is among the places: nothing is sent there more often."""


@dataclass(frozen=True, kw_only=True)
class StatusOptions:
    """What to show."""

    watch: bool = False
    """Look again every 2 seconds (at an address every 5), until nothing is left to do; on a
    terminal, in as many lines as it has."""
    all: bool = False
    """A line a task, also where there are hundreds; otherwise arms share lines."""
    json: bool = False
    """Write one JSON document instead."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line and show the status of studies."""
    import tyro

    @dataclass(frozen=True, kw_only=True)
    class Options(StatusOptions):
        runs: Annotated[
            tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[RUNS ...]")
        ] = ("runs",)
        """Runs folders, or folders of studies in them: paths, or addresses as s3://bucket/runs."""

    options = tyro.cli(Options, args=arguments, prog="formatlab status", description=DESCRIPTION)
    if options.json and options.watch:
        raise InputError("--json writes one document; give it without --watch")
    from rich.console import Console

    from formatlab.launch.status import StatusSource

    places = options.runs or ("runs",)
    console = Console(highlight=False)
    with closing(StatusSource(places)) as source:
        if options.watch:
            return _watch(source, console, every=options.all)
        studies = source.read()
    if options.json:
        print(json.dumps({"schema_version": 1, "studies": [study.document() for study in studies]}))
    elif not studies:
        print(f"no study in {', '.join(places)} yet")
    else:
        screen = _screen(studies, console, every=options.all)
        console.print(screen, end="", soft_wrap=not console.is_terminal)
    return 0


def _screen(
    studies: "Sequence[StudyStatus]", console: "Console", *, every: bool, height: int | None = None
) -> "Text":
    from formatlab.launch.status_table import screen_text

    width = console.width if console.is_terminal else None
    return screen_text(studies, width=width, height=height, every=every)


def _watch(source: "StatusSource", console: "Console", *, every: bool) -> int:
    """Look until nothing is left to do; live on a terminal, elsewhere a line a change."""
    from rich.live import Live

    def screen() -> "Text":
        # The last line of the terminal is the cursor's.
        height = console.height - 1 - len(source.remarks)
        text = _screen(studies, console, every=every, height=height)
        return text.append("".join(f"{remark}\n" for remark in source.remarks))

    interval = REMOTE_INTERVAL if source.remote else INTERVAL
    studies = source.read()
    if console.is_terminal:
        live = Live(screen(), console=console, auto_refresh=False)
        try:  # not `with`, which an interrupt of its first drawing escapes
            live.start(refresh=True)
            while any(study.left for study in studies):
                time.sleep(interval)
                studies = source.read()
                live.update(screen(), refresh=True)
        finally:
            live.stop()
    else:
        shown, remarks = _print_changes(studies, {}), list[str]()
        while any(study.left for study in studies):
            time.sleep(interval)
            studies = source.read()
            if source.remarks != remarks:
                remarks = source.remarks
                for remark in remarks:
                    print(remark, flush=True)
            shown = _print_changes(studies, shown)
    return int(any(study.failed for study in studies))


def _print_changes(studies: "Sequence[StudyStatus]", before: dict[str, str]) -> dict[str, str]:
    """Print the tasks whose state has changed, with the totals of their study.

    Args:
        studies: their status.
        before: what the last call returned: the states that were printed.
    """
    from formatlab.launch.status_table import task_words, totals_words

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
