"""The status of studies: how far every task of a study's last command is.

All of it is read from the run folders, the locks beside them and the plan of the study. Nothing is
changed, and no launcher needs to be running.
"""

import os
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any, Literal, get_args

from formatlab.errors import FormatlabError, InputError, RunError
from formatlab.launch.options import is_address
from formatlab.launch.plan import Plan, PlannedTask, read_plan
from formatlab.launch.progress import RATE_WINDOW, duration
from formatlab.store.integrity import integrity_error
from formatlab.store.lock import PATIENCE, RecordFile, held
from formatlab.store.metrics_log import metrics_tail
from formatlab.store.run_folder import RunFolder
from formatlab.store.runs_folder import BASES, CORPORA, MODELS, PLAN_FILE, readable_folders
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
    estimated: bool = False
    """Whether the time left is the plan's estimate and not measured."""
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
        silent = "" if self.silent is None else duration(self.silent)
        if self.owner is not None:
            heartbeat = f", last sign of life {silent} ago" if silent else ""
            notes.append(f"held by {self.owner}{heartbeat}")
        elif self.silent is not None and self.silent > PATIENCE:
            notes.append(f"no sign of life for {silent}")
        if self.resumed:
            notes.append(f"resumed {'once' if self.resumed == 1 else f'{self.resumed} times'}")
        return [*notes, *self.remarks]

    def document(self) -> dict[str, Any]:
        """Everything about the task as JSON values."""
        task, values = self.task, asdict(self)
        del values["task"]
        named = {"address": task.address, "kind": task.kind, "label": task.label}
        return named | {"needs": task.needs} | values


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
    """Until all tasks are done, as many side by side as the plan says."""
    complete: bool
    """Whether the time left of every task is known, and counted."""
    remark: str = ""
    """What is wrong with the plan."""

    @property
    def totals(self) -> dict[State, int]:
        """How many tasks are in each state, for the states that occur."""
        return _counted(self.tasks)

    @property
    def left(self) -> bool:
        """Whether anything is running or still to be done."""
        return any(task.left for task in self.tasks)

    @property
    def failed(self) -> bool:
        """Whether a task failed."""
        return any(task.state == "failed" for task in self.tasks)

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
            "remark": self.remark,
            "tasks": [task.document() for task in self.tasks],
        }


def find_studies(paths: Sequence[Path]) -> list[tuple[Path, list[str] | None]]:
    """Find the runs folder of each path, and the study asked for in it, or None for all.

    Raises:
        InputError: a path is no folder, or that of one run.
    """
    found: list[tuple[Path, list[str] | None]] = []
    for path in paths:
        if not path.is_dir() or not os.access(path, os.R_OK | os.X_OK):
            raise InputError(
                f"there is no folder {path} that can be read; give a runs folder, or that of a "
                "study in it, such as runs/<study>"
            )
        if (path / "config.json").exists():
            raise InputError(f"{path} is one run; give the folder of its study, which holds it")
        if _is_study(path):
            # Of `.` and `..` the name is known only once they are resolved.
            study = path if path.name not in ("", "..") else path.resolve()
            found.append((study.parent, [study.name]))
        else:
            found.append((path, None))
    return found


class StatusSource:
    """Reads the status of studies in folders of this machine and at addresses, again and again.

    Of an address, the small files are copied to a temporary folder, which `close` removes.
    """

    def __init__(self, places: Sequence[str]) -> None:
        """Take runs folders, or folders of studies in them: paths, or addresses.

        Raises:
            InputError: a place is no folder, or that of one run.
            RunError: an address cannot be reached.
        """
        self._folders = find_studies([Path(place) for place in places if not is_address(place)])
        self._copies = ExitStack()
        self._mirrors = [self._mirror(place) for place in places if is_address(place)]
        self._reached = False
        self.remarks: list[str] = []
        """Which addresses could not be reached by the latest `read`."""

    @property
    def remote(self) -> bool:
        """Whether an address is among the places."""
        return bool(self._mirrors)

    def read(self) -> list[StudyStatus]:
        """Read all studies; those at an address that cannot be reached are as they were before.

        Raises:
            RunError: an address cannot be reached the first time.
        """
        studies = [study for runs, names in self._folders for study in read_studies(runs, names)]
        self.remarks = []
        for mirror in self._mirrors:
            try:
                mirror.refresh()
            except RunError as error:
                if not self._reached:
                    raise
                self.remarks.append(f"{error}; what was seen before is shown")
            found = read_studies(mirror.runs, mirror.names)
            studies += [_at_address(study, mirror) for study in found]
        self._reached = True
        return studies

    def close(self) -> None:
        """Remove what was copied."""
        self._copies.close()

    def _mirror(self, address: str) -> "Mirror":
        from formatlab.store.remote.mirror import Mirror

        folder = self._copies.enter_context(tempfile.TemporaryDirectory(prefix="formatlab-"))
        return Mirror(address, Path(folder))


def read_studies(runs: Path, names: Sequence[str] | None = None) -> list[StudyStatus]:
    """Read the status of a runs folder's studies.

    Args:
        runs: the runs folder.
        names: of the studies; None for all, and the bases that none of their plans names.
    """
    if names is not None:
        return [_read_study(runs, name) for name in names]
    studies = [
        _read_study(runs, folder.name)
        for folder in readable_folders(runs)
        if folder.name not in (BASES, CORPORA, MODELS) and _is_study(folder)
    ]
    planned = {task.task.address for study in studies for task in study.tasks}
    bases = _read_study(runs, BASES, but=planned)
    return [*studies, bases] if bases.tasks else studies


def read_task(runs: Path, task: PlannedTask) -> TaskStatus:
    """Read the status of a task; faults of its folder become part of the status.

    The last heartbeat is as old as the lock file. Where another machine's clock is wrong, so is the
    age of the locks that it holds; one from the future has none.
    """
    folder = runs / task.address
    status = TaskStatus(task=task, state="waiting", steps=task.steps)
    try:
        owner = held(folder)
        if owner is not None:
            elsewhere = owner.words if owner.host != platform.node() else None
            silent = None
            with suppress(OSError):  # it may have ended this very moment
                age = time.time() - RecordFile(folder).path.stat().st_mtime
                silent = age if age >= 0 else None
            status = replace(status, state="running", owner=elsewhere, silent=silent)
        run, begun = RunFolder(folder), (folder / "config.json").exists()
        if begun and run.done:
            return _finished(task, folder, (folder / "DONE").stat().st_mtime_ns)
        if owner is None and (reason := run.failed) is not None:
            status = replace(status, state="failed", reason=reason or "no reason given")
        elif owner is None and begun:
            status = replace(status, state="interrupted")
        return _with_progress(status, folder) if begun else status
    except (OSError, ValueError, TypeError, AttributeError, FormatlabError) as error:
        if status.state == "running":
            return status
        if isinstance(error, PermissionError):
            return TaskStatus(task=task, state="damaged", reason="no permission to read it")
        if not folder.exists():  # moved away meanwhile
            return TaskStatus(task=task, state="waiting", steps=task.steps)
        reason = str(error)
        with suppress(OSError, ValueError, FormatlabError):
            reason = integrity_error(folder) or reason
        return TaskStatus(task=task, state="damaged", reason=reason)


@cache
def _finished(task: PlannedTask, folder: Path, changed: int) -> TaskStatus:
    """Status of a finished task, read once.

    Args:
        task: the task.
        folder: its folder.
        changed: when its DONE was written, in nanoseconds: it may be made again.
    """
    return _with_progress(TaskStatus(task=task, state="done", seconds_left=0.0), folder)


def _with_progress(status: TaskStatus, folder: Path) -> TaskStatus:
    """Add steps, pace, leading format and remarks, from the folder of a task that was begun."""
    run = RunFolder.open(folder)
    _ = run.config  # raises if it cannot be read
    done = status.state == "done"
    rows = metrics_tail(folder / "metrics.jsonl", RATE_WINDOW)
    last = rows[-1] if rows else {}
    step = last.get("step", -1) + 1
    # Of one under way the median, so that a slow step, such as one with a probe, does not count.
    paces = _paces(status.task, rows)
    pace = (mean if done else median)(paces) if paces else None
    shares = {name: share for name, share in (last.get("share") or {}).items() if share is not None}
    leader = max(shares, key=lambda name: shares[name], default=None)
    status = replace(
        status,
        step=step,
        steps=step if done else status.task.steps or last.get("steps"),
        leader=leader,
        share=None if leader is None else shares[leader],
        seconds_per_step=pace,
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


def _read_study(runs: Path, name: str, but: Collection[str] = ()) -> StudyStatus:
    """Read the status of a study, or of a folder of bases but those at some addresses."""
    plan, remark = None, ""
    try:
        plan = read_plan(runs / name)
    except InputError as error:
        remark = str(error)
    made = [task for task in _made(runs, name) if task.address not in but]
    asked = plan.tasks if plan else made
    planned = {task.address for task in asked}
    tasks = with_time_left(_with_needs([read_task(runs, task) for task in asked]))
    others = [read_task(runs, task) for task in made if task.address not in planned]
    seconds, complete = study_seconds_left(tasks, plan.jobs if plan else 1)
    return StudyStatus(
        name=name,
        plan=plan,
        tasks=tuple(sorted(tasks, key=lambda task: task.task.kind)),
        beside=_counted(others),
        seconds_left=seconds,
        complete=complete,
        remark=remark,
    )


def _is_study(folder: Path) -> bool:
    return (folder / PLAN_FILE).exists() or any(folder.glob("*/config.json"))


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


def with_time_left(tasks: Sequence[TaskStatus]) -> list[TaskStatus]:
    """Return the tasks with the time that each still takes, where it can be told.

    A task under way is timed by its own pace; one to come by that of the finished tasks of its arm,
    or else by the plan's estimate.
    """
    return [_with_time_left(task, tasks) for task in tasks]


def study_seconds_left(tasks: Sequence[TaskStatus], jobs: int) -> tuple[float, bool]:
    """How long the tasks take side by side, each after what it needs.

    Args:
        tasks: with their own time left, each after what it needs.
        jobs: how many go side by side, if not more are running already.

    Returns:
        Seconds, and whether the time of every task is known; one that is not counts as 0.
    """
    to_come = [task for task in tasks if task.left]
    to_come.sort(key=lambda task: task.state not in ("running", "interrupted"))
    running = sum(task.state == "running" for task in tasks)
    free = [0.0] * max(jobs, running, 1)
    ends: dict[str, float] = {}
    for task in to_come:
        ready = max((ends.get(need, 0.0) for need in task.task.needs), default=0.0)
        slot = max((time for time in free if time <= ready), default=min(free))
        free.remove(slot)
        ends[task.task.address] = max(slot, ready) + (task.seconds_left or 0.0)
        free.append(ends[task.task.address])
    return max(free), all(task.seconds_left is not None for task in to_come)


def _with_time_left(task: TaskStatus, tasks: Sequence[TaskStatus]) -> TaskStatus:
    if not task.left:
        return replace(task, seconds_left=0.0)
    finished = [
        (other.seconds_per_step, other.step)
        for other in tasks
        if other.state == "done"
        and other.seconds_per_step
        and other.task.facts.arm == task.task.facts.arm
    ]
    pace = task.seconds_per_step
    if not pace and finished:
        pace = mean(seconds for seconds, _ in finished)
    if pace and task.steps:
        return replace(task, seconds_left=pace * max(0, task.steps - task.step))
    if finished:  # a base, whose steps are known only once it is made
        return replace(task, seconds_left=mean(seconds * steps for seconds, steps in finished))
    estimate = task.task.seconds
    return replace(task, seconds_left=estimate, estimated=estimate is not None)


def _at_address(study: StudyStatus, mirror: "Mirror") -> StudyStatus:
    """The study, with addresses in its notes in place of the mirror's paths."""
    tasks = [replace(task, reason=mirror.at_address(task.reason)) for task in study.tasks]
    return replace(study, remark=mirror.at_address(study.remark), tasks=tuple(tasks))


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


def _counted(tasks: Sequence[TaskStatus]) -> dict[State, int]:
    """How many tasks are in each state, for the states that occur."""
    count = Counter(task.state for task in tasks)
    return {state: count[state] for state in get_args(State) if count[state]}
