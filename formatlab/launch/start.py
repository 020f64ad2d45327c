"""The start of a run: the weights that it was trained from, and whether they are those of now."""

from pathlib import Path

from formatlab.errors import FormatlabError
from formatlab.launch.task import Task
from formatlab.store.run_folder import RunFolder

_TOLD = ("policy_sha256", "sha256")
"""Under which name a run and a base tell their weights in DONE."""


def start_digest(task: Task, runs: Path) -> str | None:
    """SHA-256 of the weights that what the task needs has left; None if it needs nothing."""
    for need in task.needs:
        summary = RunFolder.open(runs / need.address).summary or {}
        return next((summary[name] for name in _TOLD if name in summary), None)
    return None


def started_elsewhere(task: Task, runs: Path) -> str | None:
    """Why a run is outdated: what it started from was made again, with other weights."""
    try:
        used = RunFolder.open(runs / task.address).config.get("start_sha256")
        there = start_digest(task, runs)
    except FormatlabError:
        return None
    if used is None or there is None or used == there:
        return None
    return "it was trained from other weights than those that are there now"
