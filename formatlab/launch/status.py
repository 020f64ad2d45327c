"""The status of studies: how far every task of a study's last command is.

All of it is read from the run folders, the locks beside them and the plan of the study. Nothing is
changed, and no launcher needs to be running.
"""

import os
import platform
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from heapq import heappop, heappush
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, Literal, get_args

from formatlab.errors import FormatlabError, InputError, RunError
from formatlab.launch.options import is_address
from formatlab.launch.plan import Plan, PlannedTask, read_plan
from formatlab.launch.progress import RATE_WINDOW
from formatlab.show.wording import duration_text
from formatlab.store.integrity import integrity_error
from formatlab.store.lock import PATIENCE, RecordFile, held
from formatlab.store.metrics_log import metrics_tail
from formatlab.store.run_folder import RunFolder
from formatlab.store.runs_folder import BASES, CORPORA, MODELS, PLAN_FILE, readable_folders
from formatlab.store.track import Track, untracked
from formatlab.study.task import TaskFacts

if TYPE_CHECKING:
    from formatlab.store.remote.mirror import Mirror

State = Literal["done", "running", "failed", "interrupted", "damaged", "waiting"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskStatus:
    """How far one task is. What is not known is None."""

    task: PlannedTask
    state: State
    """interrupted: begun, and its lock is free; damaged: cannot be read; waiting: not begun."""
    step: int = 0
    """Steps completed."""
    steps: int | None = None
    """Steps in all."""
    leader: str | None = None
    """The format with the largest share: of the latest step, or of a finished run's last probe."""
    share: float | None = None
    """The leader's share, from 0 to 1."""
    winner: str | None = None
    """For a finished run: the leader of the last probe, or `undecided`."""
    margin: float | None = None
    """For a finished run: the leader's share less that of the runner-up."""
    seconds_per_step: float | None = None
    seconds_left: float | None = None
    """Time that the task still takes; 0 once it is done or has failed."""
    resumed: int = 0
    """How often it was resumed after an interruption."""
    owner: str | None = None
    """For a running task: the process that holds its lock, if that is on another machine."""
    silent: float | None = None
    """For a running task: seconds since its last heartbeat."""
    reason: str = ""
    """For a failed or damaged task: the full reason."""
    remarks: tuple[str, ...] = ()
    """Short notes for people beside the numbers."""
    stuck: bool = False
    """For a waiting task: whether a task that it needs failed."""

    @property
    def left(self) -> bool:
        """Whether it is running or still to be done, and nothing that it needs failed."""
        return self.state not in ("done", "failed") and not self.stuck

    @property
    def notes(self) -> list[str]:
        """All short notes for people beside the numbers."""
        notes = [self.reason.strip().partition("\n")[0]] if self.reason else []
        if self.owner is not None:
            notes.append(f"held by {self.owner}")
        if self.silent is not None and self.silent > PATIENCE:
            notes.append(f"no sign of life for {duration_text(self.silent)}")
        if self.resumed:
            notes.append(f"resumed {'once' if self.resumed == 1 else f'{self.resumed} times'}")
        return [*notes, *self.remarks]

    def document(self) -> dict[str, Any]:
        """Everything about the task as JSON values."""
        values = asdict(self)
        named = {"kind": self.task.kind, "label": self.task.label}
        return values.pop("task") | named | values


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyStatus:
    """How far a study is."""

    name: str
    plan: Plan | None
    """Of its last command; None for a folder without one, whose runs are then all its tasks."""
    tasks: tuple[TaskStatus, ...]
    """Bases first."""
    beside: Mapping[State, int]
    """How many runs of its folder the last command did not ask for, by state."""
    seconds_left: float
    """Until the tasks that the last command asks for are done, and those that other launchers are
    at, as many side by side as the plan says."""
    complete: bool
    """Whether the time left of each of these tasks is known, and counted."""
    remark: str = ""
    """What is wrong with the plan."""

    @property
    def totals(self) -> dict[State, int]:
        """How many tasks are in each state, for the states that occur."""
        return counted(self.tasks)

    @property
    def left(self) -> bool:
        """Whether anything is running, or asked for by the last command and still to be done."""
        return any(task.left for task in under_way(self.tasks, self.plan))

    @property
    def unselected(self) -> int:
        """How many tasks are still to be done that the last command does not ask for."""
        asked = under_way(self.tasks, self.plan)
        return sum(task.left for task in self.tasks) - sum(task.left for task in asked)

    def document(self) -> dict[str, Any]:
        """Everything about the study as JSON values."""
        return {
            "study": self.name,
            "command": list(self.plan.command) if self.plan else None,
            "written": self.plan.written if self.plan else None,
            "jobs": self.plan.jobs if self.plan else None,
            "totals": self.totals,
            "beside": dict(self.beside),
            "seconds_left": self.seconds_left if self.complete else None,
            "unselected": self.unselected,
            "remark": self.remark,
            "tasks": [task.document() for task in self.tasks],
        }


class StatusSource:
    """Reads the status of the studies in a folder or at an address, again and again."""

    def __init__(self, place: str, copy: Path) -> None:
        """Take a runs folder, or the folder of a study in one.

        Args:
            place: its path or address.
            copy: an empty folder, for the small files of an address.

        Raises:
            InputError: it is no folder, or that of one run.
            RunError: the address cannot be reached.
        """
        self._mirror = None
        if is_address(place):
            from formatlab.store.remote.mirror import Mirror

            self._mirror = Mirror(place, copy)
            self._mirror.refresh()
            self._runs, self._names = copy, self._mirror.names
        else:
            self._runs, self._names = find_study(Path(place))

    def read(self, track: Track = untracked) -> list[StudyStatus]:
        """Read all studies; at an address, as of the latest `refresh`."""
        studies, mirror = read_studies(self._runs, self._names, track), self._mirror
        return studies if mirror is None else [_at_address(study, mirror) for study in studies]

    def refresh(self) -> str:
        """Fetch what has changed at an address; returns why it cannot be reached, or nothing."""
        try:
            if self._mirror is not None:
                self._mirror.refresh()
        except RunError as error:
            return f"{error}; what was seen before is shown"
        return ""


def find_study(path: Path) -> tuple[Path, list[str] | None]:
    """Find the runs folder that a path names, and the study in it, or None for all.

    Raises:
        InputError: the path is no folder, or that of one run.
    """
    if not path.is_dir() or not os.access(path, os.R_OK | os.X_OK):
        raise InputError(
            f"there is no folder {path} that can be read; give a runs folder, or that of a "
            "study in it, such as runs/<study>"
        )
    if (path / "config.json").exists():
        raise InputError(f"{path} is one run; give the folder of its study, which holds it")
    if not _is_study(path):
        return path, None
    study = Path(os.path.abspath(path))
    return study.parent, [study.name]


def _at_address(study: StudyStatus, mirror: "Mirror") -> StudyStatus:
    """The study, with addresses in its notes in place of the mirror's paths."""
    tasks = [replace(task, reason=mirror.at_address(task.reason)) for task in study.tasks]
    return replace(study, remark=mirror.at_address(study.remark), tasks=tuple(tasks))


def read_studies(
    runs: Path, names: Sequence[str] | None = None, track: Track = untracked
) -> list[StudyStatus]:
    """Read the status of a runs folder's studies.

    Args:
        runs: the runs folder.
        names: of the studies; None for all.
        track: shows how many are read.
    """
    if names is None:
        folders = [folder for folder in readable_folders(runs) if _is_study(folder)]
        names = [of.name for of in folders if of.name not in (BASES, CORPORA, MODELS)]
    return [_read_study(runs, name) for name in track(names, "reading studies")]


def _is_study(folder: Path) -> bool:
    return (folder / PLAN_FILE).exists() or any(folder.glob("*/config.json"))


def _read_study(runs: Path, name: str) -> StudyStatus:
    plan, remark = None, ""
    try:
        plan = read_plan(runs / name)
    except InputError as error:
        remark = str(error)
    made = _made(runs, name)
    asked = plan.tasks if plan else made
    planned = {task.address for task in asked}
    tasks = with_time_left(_with_needs([read_task(runs, task) for task in asked]))
    seconds, complete = study_seconds_left(under_way(tasks, plan), plan.jobs if plan else 1)
    return StudyStatus(
        name=name,
        plan=plan,
        tasks=tuple(sorted(tasks, key=lambda task: task.task.kind)),
        beside=counted(read_task(runs, task) for task in made if task.address not in planned),
        seconds_left=seconds,
        complete=complete,
        remark=remark,
    )


def under_way(tasks: Sequence[TaskStatus], plan: Plan | None) -> list[TaskStatus]:
    """The tasks that the command of a plan asks for, and those that are running anyhow."""
    return [
        task
        for task in tasks
        if plan is None or plan.asks_for(task.task) or task.state == "running"
    ]


def _made(runs: Path, name: str) -> list[PlannedTask]:
    """The run folders in a folder of the runs folder, as if they had been planned."""
    kind = "base" if name == BASES else "run"
    return [
        PlannedTask(
            address=f"{name}/{folder.name}",
            facts=TaskFacts(kind=kind, chain=folder.name, scale="", seeds=None),
            needs=(),
            steps=None,
        )
        for folder in readable_folders(runs / name)
        if (folder / "config.json").exists()
    ]


def read_task(runs: Path, task: PlannedTask) -> TaskStatus:
    """Read the status of a task; faults of its folder become part of the status.

    The last heartbeat is as old as the lock file. Where another machine's clock is wrong, so is the
    age of the locks that it holds; one from the future has none.
    """
    folder = runs / task.address
    run, waiting = RunFolder(folder), TaskStatus(task=task, state="waiting", steps=task.steps)
    status = waiting
    try:
        if run.done:
            return _with_progress(replace(waiting, state="done"), folder)
        owner = held(folder)
        begun = (folder / "config.json").exists()
        if owner is not None:
            elsewhere = owner.words if owner.host != platform.node() else None
            status = replace(status, state="running", owner=elsewhere, silent=_silence(folder))
        elif (reason := run.failed) is not None:
            status = replace(status, state="failed", reason=reason)
        elif begun:
            status = replace(status, state="interrupted")
        return _with_progress(status, folder) if begun else status
    except (OSError, ValueError, TypeError, AttributeError, FormatlabError) as error:
        if status.state == "running":
            return status
        if not folder.exists():  # moved away meanwhile
            return waiting
        reason = str(error)
        with suppress(OSError, ValueError, FormatlabError):
            reason = integrity_error(folder) or reason
        return replace(waiting, state="damaged", reason=reason)


def _silence(folder: Path) -> float | None:
    """Seconds since the last heartbeat of the lock on a folder."""
    with suppress(OSError):  # it may have ended this very moment
        age = time.time() - RecordFile(folder).path.stat().st_mtime
        return age if age >= 0 else None


def _with_progress(status: TaskStatus, folder: Path) -> TaskStatus:
    """Add steps, pace, leading format and remarks, from the folder of a task that was begun."""
    run = RunFolder.open(folder)
    _ = run.config  # raises if it cannot be read
    done = status.state == "done"
    rows = metrics_tail(folder / "metrics.jsonl", RATE_WINDOW)
    last = rows[-1] if rows else {}
    step = last.get("step", -1) + 1
    paces = _paces(status.task, rows)
    shares = {name: share for name, share in (last.get("share") or {}).items() if share is not None}
    leader = max(shares, key=lambda name: shares[name], default=None)
    status = replace(
        status,
        step=step,
        steps=step if done else status.task.steps or last.get("steps"),
        leader=leader,
        share=None if leader is None else shares[leader],
        seconds_per_step=mean(paces) if paces else None,
        resumed=len(run.resumes()),
    )
    if done:
        remarks = ("undertrained",) if (run.summary or {}).get("undertrained") else ()
        return replace(status, remarks=remarks, **_winner(run))
    # The event that ended a run is already its reason to fail.
    return status if status.state == "failed" else replace(status, remarks=_remarks(rows))


def _paces(task: PlannedTask, rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Seconds a step of the latest steps.

    A line of a run has the seconds of its step. A base has a line in many steps, with the seconds
    since pretraining began or was resumed.
    """
    timed = [(row["step"], row["seconds"]) for row in rows if row.get("seconds") is not None]
    if task.kind == "run":
        return [seconds for _, seconds in timed if seconds > 0]
    return [
        (after - before) / (later - step)
        for (step, before), (later, after) in pairwise(timed)
        if later > step and after > before
    ]


def _winner(run: RunFolder) -> dict[str, Any]:
    """Leader, share, winner and margin of the last probe, where winners are measured."""
    table = run.winners()
    names = ["leader", "share", "winner", "margin"]
    if table is None or not table.num_rows or not set(names) <= set(table.column_names):
        return {}
    return table.select(names).slice(table.num_rows - 1).to_pylist()[0]


def _remarks(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The latest event, or else the loss of a base that is being made."""
    for row in reversed(rows):
        if row.get("events"):
            return (f"{row['events'][0]['kind'].replace('_', ' ')} at step {row['step']}",)
    loss = rows[-1].get("loss") if rows else None
    return (f"loss {loss:.2f}",) if loss is not None and "reward" not in rows[-1] else ()


def with_time_left(tasks: Sequence[TaskStatus]) -> list[TaskStatus]:
    """Return the tasks with the time that each still takes, where it can be told.

    A task under way is timed by its own pace, one to come by the finished tasks of its arm.
    """
    took: defaultdict[str, list[float]] = defaultdict(list)
    for task in tasks:
        if task.state == "done" and task.seconds_per_step:
            took[task.task.facts.arm].append(task.seconds_per_step * task.step)
    timed: list[TaskStatus] = []
    for task in tasks:
        arm, left = took[task.task.facts.arm], None
        if not task.left:
            left = 0.0
        elif task.task.kind == "base" and task.task.facts.after < 1:
            left = 0.0  # a copy and a probe take seconds
        elif task.seconds_per_step and task.steps:
            left = task.seconds_per_step * max(0, task.steps - task.step)
        elif arm:
            left = mean(arm)
        timed.append(replace(task, seconds_left=left))
    return timed


def study_seconds_left(tasks: Sequence[TaskStatus], jobs: int) -> tuple[float, bool]:
    """How long the tasks take side by side, each after what it needs.

    Args:
        tasks: with their own time left, each after what it needs, in the order of their beginning.
        jobs: how many go side by side, if not more are running already.

    Returns:
        Seconds, and whether the time of every task is known; one that is not counts as 0.
    """
    to_come = [task for task in tasks if task.left]
    begun = ("running", "interrupted")
    to_come.sort(key=lambda task: (task.state not in begun, task.task.kind))
    running = sum(task.state == "running" for task in tasks)
    free = [0.0] * max(jobs, running, 1)
    ends: dict[str, float] = {}
    for task in to_come:
        ready = max((ends.get(need, 0.0) for need in task.task.needs), default=0.0)
        end = max(heappop(free), ready) + (task.seconds_left or 0.0)
        ends[task.task.address] = end
        heappush(free, end)
    return max(free), all(task.seconds_left is not None for task in to_come)


def _with_needs(tasks: Sequence[TaskStatus]) -> list[TaskStatus]:
    """Add to each waiting task what it waits for."""
    by_address: dict[str, TaskStatus] = {}
    for task in tasks:  # each after what it needs
        needs = [by_address[need] for need in task.task.needs if need in by_address]
        open_needs = [need for need in needs if need.state != "done"]
        if task.state == "waiting" and open_needs:
            lost = next((n for n in open_needs if n.state == "failed" or n.stuck), None)
            words = ", ".join(need.task.label for need in open_needs)
            remark = f"cannot begin: {lost.task.label} failed" if lost else f"waits for {words}"
            task = replace(task, remarks=(remark,), stuck=lost is not None)
        by_address[task.task.address] = task
    return list(by_address.values())


def counted(tasks: Iterable[TaskStatus]) -> dict[State, int]:
    """How many tasks are in each state, for the states that occur."""
    count = Counter(task.state for task in tasks)
    return {state: count[state] for state in get_args(State) if count[state]}
