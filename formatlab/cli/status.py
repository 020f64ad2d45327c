"""`formatlab status`: how far studies have come, for people and for scripts."""

import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from formatlab.errors import InputError, RunError
from formatlab.launch.options import is_address

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from formatlab.launch.state.study_state import StudyState
    from formatlab.launch.state.task_state import TaskState
    from formatlab.launch.storage.mirror import Mirror

DESCRIPTION = """\
Say of every study what is done, running, failed (and why) and waiting, how long the rest takes,
and which format leads in each run. Nothing is changed, and nothing has to be running.

A task is a base or a run. It is interrupted if it was begun and nobody is at it: the same command
goes on with it. Of a finished run the winner of the last probe is shown, with its margin. A time
left is told by the pace of the task or of its arm; where it says `about`, by an estimate.

examples:
  formatlab status
  formatlab status runs/scale_attractors --watch
  formatlab status s3://bucket/runs
  formatlab status --json | python -m json.tool
"""

INTERVAL = 2.0
"""Seconds between two looks of --watch."""
INTERVAL_OF_ADDRESSES = 5.0
"""The same where an address is among the places: nothing is sent there more often."""


@dataclass(frozen=True, kw_only=True)
class StatusOptions:
    """How to look."""

    watch: bool = False
    """Look again every 2 seconds (at an address every 5), until nothing is left to do; on a
    terminal, in as many lines as it has."""
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
            tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[RUNS ...]")
        ] = ("runs",)
        """Runs folders, or folders of studies in them: paths, or addresses as s3://bucket/runs."""

    options = tyro.cli(Options, args=arguments, prog="formatlab status", description=DESCRIPTION)
    if options.json and options.watch:
        raise InputError("--json writes one document; give it without --watch")
    words = options.runs or ("runs",)
    with ExitStack() as stack:
        places = _Places(words, stack)
        if options.watch:
            return _watch(places, every=options.all)
        studies = places.look()
    if options.json:
        print(json.dumps({"schema_version": 1, "studies": [_document(s) for s in studies]}))
        return 0
    if not studies:
        print(f"no study in {', '.join(words)} yet")
    _print(studies, every=options.all)
    return 0


class _Places:
    """Where to look: runs folders of this machine, and mirrors of those at addresses."""

    def __init__(self, words: Sequence[str], stack: ExitStack) -> None:
        from formatlab.launch.state.study_state import find_studies
        from formatlab.launch.state.task_state import TaskReader

        paths = [Path(word) for word in words if not is_address(word)]
        self._folders = [(TaskReader(runs), names) for runs, names in find_studies(paths).items()]
        mirrors = [_mirror(word, stack) for word in words if is_address(word)]
        self._mirrors = [(mirror, TaskReader(mirror.runs)) for mirror in mirrors]
        self._last: dict[Mirror, list[StudyState]] = {}
        self.interval = INTERVAL_OF_ADDRESSES if self._mirrors else INTERVAL
        self.remarks: list[str] = []
        """What kept the latest look from being one at everything."""

    def look(self) -> list["StudyState"]:
        """The states of all studies; of an address that is out of reach, those of before.

        Raises:
            RunError: an address cannot be reached the first time.
        """
        from formatlab.launch.state.study_state import read_studies

        studies = [study for place in self._folders for study in read_studies(*place)]
        self.remarks = []
        for mirror, reader in self._mirrors:
            try:
                mirror.refresh()
                found = read_studies(reader, mirror.names)
                self._last[mirror] = [_at_address(study, mirror) for study in found]
            except RunError as error:
                if mirror not in self._last:
                    raise
                self.remarks.append(f"{error}; what was seen before is shown")
            studies += self._last[mirror]
        return studies


def _mirror(address: str, stack: ExitStack) -> "Mirror":
    from formatlab.launch.storage.mirror import Mirror

    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="formatlab-"))
    return Mirror(address, Path(folder))


def _at_address(study: "StudyState", mirror: "Mirror") -> "StudyState":
    """What is told of a study, with addresses in place of the mirror's paths."""
    tasks = [replace(task, reason=mirror.at_address(task.reason)) for task in study.tasks]
    return replace(study, remark=mirror.at_address(study.remark), tasks=tuple(tasks))


def _print(studies: "Sequence[StudyState]", *, every: bool) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.print(_screen(studies, console, every=every), end="", soft_wrap=not console.is_terminal)


def _screen(
    studies: "Sequence[StudyState]",
    console: "Console",
    *,
    every: bool,
    folded: bool = False,
    remarks: Sequence[str] = (),
) -> "Text":
    """The studies and remarks on them; folded, in no more lines than the terminal has."""
    from formatlab.launch.state.state_table import screen_text

    width = console.width if console.is_terminal else None
    # The last line is the cursor's.
    height = console.height - 1 - len(remarks) if folded else None
    screen = screen_text(studies, width=width, height=height, every=every)
    return screen.append("".join(f"{remark}\n" for remark in remarks))


def _watch(places: _Places, *, every: bool) -> int:
    """Look until nothing is left to do; live on a terminal, elsewhere a line a change."""
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    studies = places.look()
    if console.is_terminal:
        screen = partial(_screen, console=console, every=every, folded=True)
        live = Live(screen(studies), console=console, auto_refresh=False)
        try:  # not `with`, which an interrupt of its first drawing escapes
            live.start(refresh=True)
            while any(study.left for study in studies):
                time.sleep(places.interval)
                studies = places.look()
                live.update(screen(studies, remarks=places.remarks), refresh=True)
        finally:
            live.stop()
    else:
        told, remarked = _tell(studies, {}), list[str]()
        while any(study.left for study in studies):
            time.sleep(places.interval)
            studies = places.look()
            if places.remarks != remarked:
                print(*places.remarks, sep="\n", end="\n" * bool(places.remarks), flush=True)
                remarked = places.remarks
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
