"""The state of a study: every task of its last command, and what else lies in its folder."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from formatlab.errors import FormatlabError, InputError
from formatlab.launch.plan import PLAN_FILE, Plan, PlannedTask, read_plan
from formatlab.launch.state.task_state import State, TaskReader, TaskState
from formatlab.launch.state.time_left import is_left, study_seconds_left, with_time_left
from formatlab.show.wording import CORRECTNESS, reward_name
from formatlab.store.run_folder import RunFolder
from formatlab.store.runs_folder import BASES, CORPORA, MODELS
from formatlab.study.task import Seeds, TaskFacts

_NOT_STUDIES = (BASES, CORPORA, MODELS)


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyState:
    """How far a study has come."""

    name: str
    plan: Plan | None
    """Of its last command; None for a folder without one, whose runs are then all there is."""
    tasks: tuple[TaskState, ...]
    """Bases first."""
    beside: Mapping[State, int]
    """How many runs lie in its folder that the last command did not ask for, by their state."""
    seconds_left: float
    """Until its tasks are done, as many side by side as the plan says."""
    complete: bool
    """Whether the time left is that of all tasks; that of some may not be known."""
    remark: str = ""
    """What is wrong with the plan."""

    @property
    def totals(self) -> dict[State, int]:
        """How many tasks are in each state, for the states that occur."""
        return counted(self.tasks)

    @property
    def left(self) -> bool:
        """Whether anything is running or still to be done."""
        return any(map(is_left, self.tasks))

    @property
    def failed(self) -> bool:
        """Whether a task failed."""
        return any(task.state == "failed" for task in self.tasks)


def counted(tasks: Sequence[TaskState]) -> dict[State, int]:
    """How many tasks are in each state, for the states that occur."""
    count = Counter(task.state for task in tasks)
    return {state: count[state] for state in get_args(State) if count[state]}


def find_studies(paths: Sequence[Path]) -> dict[Path, list[str] | None]:
    """Say what people mean by paths: runs folders, each with the studies asked for or None for all.

    Raises:
        InputError: a path is no folder, or one run.
    """
    found: dict[Path, list[str] | None] = {}
    for path in paths:
        if not path.is_dir() or not os.access(path, os.R_OK | os.X_OK):
            raise InputError(
                f"there is no folder {path} that can be read; give a runs folder, or that of a "
                "study in it, such as runs/<study>"
            )
        if (path / "config.json").exists():
            raise InputError(f"{path} is one run; give the folder of its study, which holds it")
        if (path / PLAN_FILE).exists() or next(path.glob("*/config.json"), None):
            # Of `.` and `..` the name is known only once they are resolved.
            runs = path.parent if path.name not in ("", "..") else path.resolve().parent
            names = found.setdefault(runs, [])
            if names is not None:
                names.append(path.name if path.name not in ("", "..") else path.resolve().name)
        else:
            found[path] = None
    return found


def read_studies(reader: TaskReader, names: Sequence[str] | None) -> list[StudyState]:
    """Look at studies of a runs folder.

    Args:
        reader: of the runs folder.
        names: of the studies; None for all, and the bases that none of them names.
    """
    if names is not None:
        return [_study(reader, name) for name in names]
    studies = [_study(reader, name) for name in _names(reader.runs)]
    planned = {task.task.address for study in studies for task in study.tasks}
    others = [task for task in _there(reader.runs, BASES) if task.address not in planned]
    if others:
        studies.append(_state(BASES, None, [reader.read(task) for task in others]))
    return studies


def _names(runs: Path) -> list[str]:
    return sorted(
        child.name
        for child in _children(runs)
        if child.name not in _NOT_STUDIES
        and ((child / PLAN_FILE).exists() or next(child.glob("*/config.json"), None))
    )


def _study(reader: TaskReader, name: str) -> StudyState:
    plan, remark = None, ""
    try:
        plan = read_plan(reader.runs / name)
    except InputError as error:
        remark = str(error)
    if plan is None:
        tasks = [reader.read(task) for task in _there(reader.runs, name)]
        return _state(name, None, tasks, remark=remark)
    tasks = [reader.read(task) for task in plan.tasks]
    planned = {task.address for task in plan.tasks}
    beside, bases = (
        [
            reader.read(_unplanned(f"{place}/{child.name}"))
            for child in _children(reader.runs / place)
            if f"{place}/{child.name}" not in planned and (child / "config.json").exists()
        ]
        for place in (name, BASES)
    )
    return _state(name, plan, tasks, beside, bases)


def _state(
    name: str,
    plan: Plan | None,
    tasks: Sequence[TaskState],
    beside: Sequence[TaskState] = (),
    bases: Sequence[TaskState] = (),
    remark: str = "",
) -> StudyState:
    tasks = with_time_left(_with_needs(tasks), [*beside, *bases])
    seconds, complete = study_seconds_left(tasks, plan.jobs if plan else 1)
    return StudyState(
        name=name,
        plan=plan,
        tasks=tuple(sorted(tasks, key=lambda task: task.task.kind)),
        beside=counted(beside),
        seconds_left=seconds,
        complete=complete,
        remark=remark,
    )


def _with_needs(tasks: Sequence[TaskState]) -> list[TaskState]:
    """The tasks, waiting ones with what they wait for."""
    by_address: dict[str, TaskState] = {}
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


def _there(runs: Path, name: str) -> list[PlannedTask]:
    """What lies in a folder of the runs folder, as if it had been planned."""
    found = [
        _unplanned(f"{name}/{child.name}", RunFolder(child))
        for child in _children(runs / name)
        if (child / "config.json").exists()
    ]
    labels = Counter(task.label for task in found)
    return [
        task
        if labels[task.label] == 1
        else replace(task, facts=replace(task.facts, details=_hash(task)))
        for task in found
    ]


def _unplanned(address: str, run: RunFolder | None = None) -> PlannedTask:
    folder, _, name = address.rpartition("/")
    kind = "base" if folder == BASES else "run"
    facts = (run and _facts(run)) or TaskFacts(kind=kind, chain=name, scale="", seeds=None)
    return PlannedTask(address=address, facts=facts, needs=(), steps=None)


def _facts(run: RunFolder) -> TaskFacts | None:
    """What a run's or a base's configuration says of it; None where it cannot be read."""
    try:
        config = run.config
        base = config.get("kind") == "base"
        reward = reward_name(config)
        seed = config["seed"]
        of_base = (config.get("base") or {}).get("config") or config
        return TaskFacts(
            kind="base" if base else "run",
            chain="base" if base else config.get("arm") or config["algorithm"],
            scale=config["scale"]["name"],
            mixture=config.get("mixture_name", ""),
            algorithm=config.get("algorithm", ""),
            details="" if reward == CORRECTNESS else f"{reward} reward",
            seeds=Seeds(
                world=(config.get("world") or {}).get("seed", 0),
                initialisation=of_base["seed"],
                sampling=seed,
            ),
        )
    except (FormatlabError, OSError, KeyError, TypeError, AttributeError):
        return None


def _hash(task: PlannedTask) -> str:
    return task.address.rpartition("-")[2]


def _children(folder: Path) -> list[Path]:
    """The folders in a folder that are not hidden and can be read, by name; none if it is gone."""
    try:
        return sorted(
            child
            for child in folder.iterdir()
            if not child.name.startswith(".") and child.is_dir() and os.access(child, os.X_OK)
        )
    except OSError:
        return []
