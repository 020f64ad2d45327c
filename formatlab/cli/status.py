"""`formatlab status`: how far studies have come, for people and for scripts."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from formatlab.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from formatlab.launch.state.study_state import StudyState
    from formatlab.launch.state.task_state import TaskState

DESCRIPTION = """\
Say of every study what is done, running, failed (and why) and waiting, how long the rest takes,
and which format leads in each run. Nothing is changed, and nothing has to be running.

A task is a base or a run. It is interrupted if it was begun and nobody is at it: the same command
goes on with it. Of a finished run the winner of the last probe is shown, with its margin. A time
left is told by the pace of the task or of its arm; where it says `about`, by an estimate.

examples:
  formatlab status
  formatlab status runs/scale_attractors --watch
  formatlab status --json | python -m json.tool
"""

INTERVAL = 2.0
"""Seconds between two looks of --watch."""


@dataclass(frozen=True, kw_only=True)
class StatusOptions:
    """How to look."""

    watch: bool = False
    """Look again every 2 seconds, until nothing is left to do; on a terminal, in as many lines as
    it has."""
    all: bool = False
    """A line a task, also where there are hundreds; otherwise arms share lines."""
    json: bool = False
    """Write one JSON document instead."""


def main(arguments: list[str]) -> int:
    """Parse the rest of the command line and show the state of studies."""
    import tyro

    @dataclass(frozen=True, kw_only=True)
    class Options(StatusOptions):
        runs: Annotated[
            tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[RUNS ...]")
        ] = (Path("runs"),)
        """Runs folders, or folders of studies in them."""

    options = tyro.cli(Options, args=arguments, prog="formatlab status", description=DESCRIPTION)
    from formatlab.launch.state.study_state import StudyState, find_studies, read_studies
    from formatlab.launch.state.task_state import TaskReader

    if options.json and options.watch:
        raise InputError("--json writes one document; give it without --watch")
    paths = options.runs or (Path("runs"),)
    places = [(TaskReader(runs), names) for runs, names in find_studies(paths).items()]

    def look() -> list[StudyState]:
        return [study for reader, names in places for study in read_studies(reader, names)]

    if options.watch:
        return _watch(look, every=options.all)
    studies = look()
    if options.json:
        print(json.dumps({"schema_version": 1, "studies": [_document(s) for s in studies]}))
        return 0
    if not studies:
        print(f"no study in {', '.join(map(str, paths))} yet")
    _print(studies, every=options.all)
    return 0


def _print(studies: "Sequence[StudyState]", *, every: bool) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.print(_screen(studies, console, every=every), end="", soft_wrap=not console.is_terminal)


def _screen(
    studies: "Sequence[StudyState]", console: "Console", *, every: bool, folded: bool = False
) -> "Text":
    """The studies; folded, in no more lines than the terminal has."""
    from formatlab.launch.state.state_table import screen_text

    width = console.width if console.is_terminal else None
    height = console.height - 1 if folded else None  # the last line is the cursor's
    return screen_text(studies, width=width, height=height, every=every)


def _watch(look: "Callable[[], list[StudyState]]", *, every: bool) -> int:
    """Look until nothing is left to do; live on a terminal, elsewhere a line a change."""
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    studies = look()
    if console.is_terminal:
        screen = partial(_screen, console=console, every=every, folded=True)
        live = Live(screen(studies), console=console, auto_refresh=False)
        try:  # not `with`, which an interrupt of its first drawing escapes
            live.start(refresh=True)
            while any(study.left for study in studies):
                time.sleep(INTERVAL)
                studies = look()
                live.update(screen(studies), refresh=True)
        finally:
            live.stop()
    else:
        told = _tell(studies, {})
        while any(study.left for study in studies):
            time.sleep(INTERVAL)
            studies = look()
            told = _tell(studies, told)
    return int(any(study.failed for study in studies))


def _tell(studies: "Sequence[StudyState]", told: dict[str, str]) -> dict[str, str]:
    """Print the tasks whose state is another than was told, with the totals of their study."""
    from formatlab.launch.state.state_line import task_words
    from formatlab.launch.state.state_table import totals_words

    now: dict[str, str] = {}
    for study in studies:
        changed = []
        for task in study.tasks:
            key = f"{study.name} {task.task.address}"
            now[key] = task.state
            if told.get(key, "waiting") != task.state:
                changed.append(task)
        now[study.name] = ""
        for task in changed:
            print(task_words(task), flush=True)
        if changed or study.name not in told:
            print(f"{study.name}: {totals_words(study)}", flush=True)
    return now


def _document(study: "StudyState") -> dict[str, Any]:
    """What scripts are told of a study."""
    return {
        "study": study.name,
        "command": list(study.plan.command) if study.plan else None,
        "written": study.plan.written if study.plan else None,
        "jobs": study.plan.jobs if study.plan else None,
        "totals": study.totals,
        "beside": dict(study.beside),
        "seconds_left": study.seconds_left if study.complete else None,
        "remark": study.remark,
        "tasks": [_task_document(task) for task in study.tasks],
    }


def _task_document(task: "TaskState") -> dict[str, Any]:
    state = asdict(task)
    planned = state.pop("task")
    return {name: planned[name] for name in ("address", "kind", "label", "needs")} | state
