"""A foreseen task: what a command would make of it, and what is known of that beforehand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from formatlab.launch.estimates.estimate import Estimate
from formatlab.launch.worker import why_made_again as unfit
from formatlab.study.task import Task

State = Literal["done", "to go on", "to make again", "to make"]


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """One task of a command."""

    task: Task
    state: State
    estimate: Estimate
    """What it still takes."""
    used_by: int
    """How many tasks of the command start from it."""


def state_of(task: Task, runs: Path) -> State:
    """What a launcher would find.

    A run whose base has to be made again is done, if it is sound: the base comes out as it was.

    Raises:
        FormatlabError: the task's folder is of another version of formatlab.
    """
    folder = runs / task.address
    if unfit(task, runs) is not None:
        return "to make again"
    if (folder / "DONE").exists():
        return "done"
    return "to go on" if (folder / "metrics.jsonl").exists() else "to make"
