"""Performing a task: alone, once, and from a sound folder."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from formatlab.errors import FormatlabError, RunError
from formatlab.launch.defect import defect_text
from formatlab.launch.disk import disk_full
from formatlab.launch.out_of_memory import out_of_memory
from formatlab.store.integrity import integrity_error
from formatlab.store.lock import locked
from formatlab.store.run_folder import RunFolder
from formatlab.store.runs_folder import put_aside
from formatlab.study.task import Task
from formatlab.train.progress import Emit, Progress, Remark


def is_done(task: Task, runs: Path) -> bool:
    """Whether a task's folder is finished, sound, and what the task would make now."""
    if not all((runs / of.address / "DONE").exists() for of in (task, *task.needs)):
        return False
    return unfit(task, runs) is None


def unfit(task: Task, runs: Path) -> str | None:
    """Why a task's folder cannot be gone on with and is put aside; None if it can, or is not there.

    Raises:
        FormatlabError: the folder is of another version of formatlab.
    """
    folder = runs / task.address
    if not folder.exists():
        return None
    wrong = integrity_error(folder)
    if wrong is None and (folder / "config.json").exists():
        wrong = task.outdated(runs)
    return wrong


def perform(task: Task, runs: Path, emit: Emit) -> None:
    """Do a task unless it is done, waiting for whoever is at it.

    A folder that is damaged or outdated is put aside and made again, and a remark says so.

    Args:
        task: what to do; what it needs is done.
        runs: the runs folder.
        emit: told about progress and what is put aside.

    Raises:
        FormatlabError: it cannot be done; the folder's FAILED says why.
    """
    with claimed(task, runs, emit) as to_do:
        if to_do:
            execute(task, runs, emit)


@contextmanager
def claimed(task: Task, runs: Path, emit: Emit) -> Iterator[bool]:
    """Hold a task's folder, tidied up, and say whether there is something left to do."""

    def waiting(owner: str) -> None:
        emit(Progress(task.label, 0, task.steps or 1, None, None, f"waiting for {owner}"))

    folder = runs / task.address
    with locked(folder, wait=True, waiting=waiting):
        _tidy(task, runs, emit)
        yield not (folder / "DONE").exists()


def execute(task: Task, runs: Path, emit: Emit) -> None:
    """Do a task whose folder is held, and note in it why it failed if it does.

    Raises:
        FormatlabError: it cannot be done, or a disk or memory is full, of which the libraries raise
            errors of their own.
    """
    folder = runs / task.address
    try:
        task.execute(runs, emit)
    except FormatlabError as error:
        note_failure(folder, str(error))
        raise
    except Exception as error:
        told = out_of_memory(error) or disk_full(error, runs)
        note_failure(folder, told or defect_text(error))
        if told is not None:
            raise RunError(told) from error
        raise


def _tidy(task: Task, runs: Path, emit: Emit) -> None:
    """Put the folder aside if it is of no use, and forget an earlier failure."""
    folder = runs / task.address
    wrong = unfit(task, runs)
    if wrong is not None:
        there = put_aside(folder, runs)
        emit(Remark(f"{task.label}: {wrong}; made again, the old folder is {there}"))
    elif folder.exists():
        RunFolder(folder).clear_failed()


def note_failure(folder: Path, reason: str) -> None:
    """Write FAILED, also where there is nothing else yet; the caller tells people anyway."""
    with suppress(FormatlabError):  # a full disk may be the very reason
        run = RunFolder(folder)
        run.mark_failed(reason)
        if run.done:  # meanwhile, by another process
            run.clear_failed()
