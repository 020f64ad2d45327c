"""The state of a task, as its folder and the lock beside it tell it to anybody who looks."""

import platform
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any, Literal

from formatlab.errors import FormatlabError
from formatlab.launch.plan import PlannedTask
from formatlab.launch.progress import RATE_WINDOW, duration
from formatlab.store.integrity import integrity_error
from formatlab.store.lock import PATIENCE, Owner, RecordFile, held
from formatlab.store.metrics_log import metrics_tail
from formatlab.store.run_folder import RunFolder

State = Literal["done", "running", "failed", "interrupted", "damaged", "waiting"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskState:
    """How far one task has come. What is not known is None."""

    task: PlannedTask
    state: State
    """interrupted: begun, and nobody is at it; damaged: cannot be read; waiting: not begun."""
    step: int = 0
    """Steps completed."""
    steps: int | None = None
    """Steps in all."""
    leader: str | None = None
    """The format with the largest share: of the latest step, of a finished run's last probe."""
    share: float | None = None
    """Its share, from 0 to 1."""
    winner: str | None = None
    """Of a finished run: the leader of the last probe, or `undecided`."""
    margin: float | None = None
    """Of a finished run: the leader's share less that of the runner-up."""
    seconds_per_step: float | None = None
    seconds_left: float | None = None
    """Time that the task itself still takes; 0 once it is done or has failed."""
    estimated: bool = False
    """Whether that time is not told by paces: its own, or those of its arm."""
    resumed: int = 0
    """How often it went on after an interruption."""
    owner: str | None = None
    """Of a running one: the process, if it is on another machine."""
    silent: float | None = None
    """Of a running one: seconds since its last sign of life."""
    reason: str = ""
    """Of a failed or damaged one: why, whole."""
    remarks: tuple[str, ...] = ()
    """What else is worth knowing, in a few words each."""
    stuck: bool = False
    """Of a waiting one: something that it needs failed."""

    @property
    def notes(self) -> list[str]:
        """Everything that people should read beside the numbers."""
        notes = [self.reason.strip().partition("\n")[0]] if self.reason else []
        silent = "" if self.silent is None else duration(self.silent)
        late = self.silent is not None and self.silent > PATIENCE
        if self.owner is not None:
            life = f", last sign of life {silent} ago" if silent else ""
            notes.append(f"held by {self.owner}{life}")
        elif late:
            notes.append(f"no sign of life for {silent}")
        if self.resumed:
            notes.append(f"resumed {'once' if self.resumed == 1 else f'{self.resumed} times'}")
        return [*notes, *self.remarks]


class TaskReader:
    """Reads the states of tasks, again and again.

    Finished folders are read once. Heartbeats are measured by a clock of this process from the
    second look on: at the first one there is only the time that a file carries.
    """

    def __init__(self, runs: Path) -> None:
        """Take the runs folder."""
        self.runs = runs
        self._finished: dict[PlannedTask, tuple[int, TaskState]] = {}
        self._heartbeats: dict[str, tuple[tuple[str, int], float, float | None]] = {}

    def read(self, task: PlannedTask) -> TaskState:
        """Look at a task; whatever is wrong with its folder becomes part of the state."""
        folder = self.runs / task.address
        owner = None
        try:
            owner = held(folder)
            return self._looked(task, folder, owner)
        except (OSError, ValueError, FormatlabError) as error:
            if owner is not None:
                return TaskState(task=task, state="running", **self._life(task, owner))
            if isinstance(error, PermissionError):
                return TaskState(task=task, state="damaged", reason="no permission to read it")
            if not folder.exists():  # moved away meanwhile
                return TaskState(task=task, state="waiting", steps=task.steps)
            return TaskState(task=task, state="damaged", reason=_damage(folder) or str(error))

    def _looked(self, task: PlannedTask, folder: Path, owner: Owner | None) -> TaskState:
        run = RunFolder(folder)
        begun = (folder / "config.json").exists()
        if begun and run.done:
            return self._done(task, folder)
        failed = run.failed
        if owner is not None:
            state = TaskState(task=task, state="running", **self._life(task, owner))
        elif failed is not None:
            state = TaskState(task=task, state="failed", reason=failed or "no reason given")
        elif begun:
            state = TaskState(task=task, state="interrupted")
        else:
            return TaskState(task=task, state="waiting", steps=task.steps)
        if not begun:
            return replace(state, steps=task.steps)
        _ = RunFolder.open(folder).config  # whether it can be read
        rows = metrics_tail(folder / "metrics.jsonl", RATE_WINDOW)
        paces = _paces(task, rows)
        leader, share = _leader(rows)
        return replace(
            state,
            step=_steps(rows),
            steps=task.steps or _said(rows, "steps"),
            leader=leader,
            share=share,
            # The median keeps one slow step, such as one with a probe, from showing.
            seconds_per_step=median(paces) if paces else None,
            resumed=len(run.resumes()),
            # The event that ended a run is its reason to fail.
            remarks=() if state.state == "failed" else tuple(_remarks(rows)),
        )

    def _done(self, task: PlannedTask, folder: Path) -> TaskState:
        changed = (folder / "DONE").stat().st_mtime_ns
        known = self._finished.get(task)
        if known is not None and known[0] == changed:
            return known[1]
        run = RunFolder.open(folder)
        _ = run.config  # whether it can be read
        summary = run.summary or {}
        rows = metrics_tail(folder / "metrics.jsonl", RATE_WINDOW)
        paces = _paces(task, rows)
        state = TaskState(
            task=task,
            state="done",
            step=_steps(rows),
            steps=_steps(rows),
            seconds_per_step=mean(paces) if paces else None,
            seconds_left=0.0,
            resumed=len(run.resumes()),
            remarks=("undertrained",) if summary.get("undertrained") else (),
            **_winner(run),
        )
        self._finished[task] = changed, state
        return state

    def _life(self, task: PlannedTask, owner: Owner) -> dict[str, Any]:
        """Who is at a task, if on another machine, and how long ago it gave a sign of life."""
        now, beat = time.monotonic(), (owner.token, owner.beat)
        before = self._heartbeats.get(task.address)
        if before is None:
            since = None
            with suppress(OSError):
                written = RecordFile(self.runs / task.address).path.stat().st_mtime
                # A clock that was set back, or another machine's, may say that it is yet to come.
                since = age if (age := time.time() - written) >= 0 else None
            self._heartbeats[task.address] = before = beat, now, since
        elif before[0] != beat:
            self._heartbeats[task.address] = before = beat, now, 0.0
        _, seen, since = before
        return {
            "owner": None if owner.host == platform.node() else owner.words,
            "silent": since + now - seen if since is not None else (now - seen) or None,
        }


def _damage(folder: Path) -> str | None:
    try:
        return integrity_error(folder)
    except (OSError, ValueError, FormatlabError):
        return None


def _steps(rows: Sequence[Mapping[str, Any]]) -> int:
    """Steps completed."""
    step = _said(rows, "step")
    return 0 if step is None else step + 1


def _said(rows: Sequence[Mapping[str, Any]], name: str) -> int | None:
    """A whole number of the last line."""
    value = rows[-1].get(name) if rows else None
    return value if isinstance(value, int) else None


def _paces(task: PlannedTask, rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Seconds a step of the latest steps.

    A line of a run has the seconds of its step; that of a base, which has one in many steps, has
    those since pretraining began or went on.
    """
    timed = [
        (row["step"], row["seconds"])
        for row in rows
        if isinstance(row.get("step"), int) and isinstance(row.get("seconds"), (int, float))
    ]
    if task.kind == "run":
        return [seconds for _, seconds in timed if seconds > 0]
    return [
        (after - before) / (later - step)
        for (step, before), (later, after) in pairwise(timed)
        if later > step and after > before
    ]


def _leader(rows: Sequence[Mapping[str, Any]]) -> tuple[str | None, float | None]:
    there = rows[-1].get("share") if rows else None
    shares = there if isinstance(there, Mapping) else {}
    known = {name: share for name, share in shares.items() if isinstance(share, (int, float))}
    leader = max(known, key=lambda name: known[name], default=None)
    return leader, None if leader is None else known[leader]


def _winner(run: RunFolder) -> dict[str, Any]:
    """Leader, share, winner and margin of the last probe, where winners are measured."""
    table = run.winners()
    names = ["leader", "share", "winner", "margin"]
    if table is None or not table.num_rows or not set(names) <= set(table.column_names):
        return {}
    return table.select(names).slice(table.num_rows - 1).to_pylist()[0]


def _remarks(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The latest event, or else what a base is known by while it is made."""
    for row in reversed(rows):
        match row.get("events"):
            case [{"kind": kind}, *_]:
                return [f"{str(kind).replace('_', ' ')} at step {row.get('step')}"]
    loss = rows[-1].get("loss") if rows else None
    if isinstance(loss, (int, float)) and "reward" not in rows[-1]:
        return [f"loss {loss:.2f}"]
    return []
