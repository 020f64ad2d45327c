"""The plan of a study: its tasks and which its last command does, for `formatlab status`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from formatlab.errors import InputError
from formatlab.store.atomic_file import write_json_atomically
from formatlab.store.runs_folder import PLAN_FILE
from formatlab.study.task import Seeds, Task, TaskFacts

PLAN_SCHEMA_VERSION = 4
"""Version of the file."""

_READABLE_VERSIONS = (1, 2, 3, 4)
"""Versions that are read; version 1 had kind and label, and no facts; up to version 2 it was not
known what a command had selected; up to 3 all bases were whole."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedTask:
    """A base or a run that the command makes or resumes."""

    address: str
    """Its folder, relative to the runs folder: `bases/<name>` or `<study>/<name>`."""
    facts: TaskFacts
    """The facts that make its label."""
    needs: tuple[str, ...]
    """Addresses of the tasks that must be done before it begins."""
    steps: int | None
    """Steps that it has in all; None where that is known only once it has begun."""

    @classmethod
    def of(cls, task: Task) -> Self:
        """The task as a plan names it."""
        needs = tuple(need.address for need in task.needs)
        return cls(address=task.address, facts=task.facts, needs=needs, steps=task.steps)

    @property
    def kind(self) -> Literal["base", "run"]:
        """Whether it is a base or a run."""
        return self.facts.kind

    @property
    def label(self) -> str:
        """Its name in tables and messages."""
        return self.facts.label


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The tasks of a study, as of one command."""

    study: str
    """Name of the study's folder."""
    command: tuple[str, ...]
    """The command line, word by word."""
    written: str
    """When it began, ISO 8601 with the time zone."""
    jobs: int
    """How many tasks run side by side."""
    tasks: tuple[PlannedTask, ...]
    """Each after what it needs."""
    selected: tuple[str, ...] | None = None
    """Addresses of those that the command does, where `--only` selected some; None for all."""

    def asks_for(self, task: PlannedTask) -> bool:
        """Whether the command does a task."""
        return self.selected is None or task.address in self.selected


def write_plan(study_folder: Path, plan: Plan) -> None:
    """Write the plan into the study's folder, replacing that of the command before.

    Raises:
        InputError: no permission.
        RunError: no space left, or another failure of the file system.
    """
    write_json_atomically(
        study_folder / PLAN_FILE, {"schema_version": PLAN_SCHEMA_VERSION, **asdict(plan)}
    )


def read_plan(study_folder: Path) -> Plan | None:
    """Read the plan of a study, or None if it has none.

    Raises:
        InputError: the file is damaged, or of another schema version.
    """
    path = study_folder / PLAN_FILE
    try:
        content = json.loads(path.read_bytes())
        version = content.pop("schema_version")
        if version not in _READABLE_VERSIONS:
            raise ValueError(f"it has schema version {version}")
        content["command"] = tuple(content["command"])
        if (selected := content.get("selected")) is not None:
            content["selected"] = tuple(selected)
        return Plan(**content | {"tasks": tuple(map(_task, content["tasks"]))})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"cannot read {path} ({type(error).__name__}: {error}); remove it, and the next "
            "`formatlab run` of the study writes it again"
        ) from error


def _task(content: dict[str, Any]) -> PlannedTask:
    """A task as it was written; of version 1 the label becomes the chain."""
    content.pop("seconds", None)  # an estimate, in plans of before
    parts = content["address"].split("/")
    if len(parts) != 2 or {"", ".", ".."} & set(parts):  # it would lie outside the runs folder
        raise ValueError(f"{content['address']!r} is no address of a task")
    label = {"kind": content.pop("kind", "run"), "chain": content.pop("label", "")}
    facts = content.get("facts") or {**label, "scale": "", "seeds": None}
    if facts["seeds"]:
        facts["seeds"] = Seeds(**facts["seeds"])
    content |= {"facts": TaskFacts(**facts), "needs": tuple(content["needs"])}
    return PlannedTask(**content)
