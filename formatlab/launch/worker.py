"""The worker: does one task in this process, alone, from an intact folder, and says how it ended.

Every launcher ends up here. Whoever holds a task's lock does the task; a folder that is damaged or
outdated is moved aside and made again; whatever is raised becomes one reason, which stands in the
folder's FAILED and in the outcome.
"""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

from formatlab.errors import FormatlabError, RunError
from formatlab.launch.schedule import Outcome
from formatlab.store.integrity import integrity_error
from formatlab.store.lock import locked
from formatlab.store.run_folder import RunFolder
from formatlab.store.runs_folder import put_aside
from formatlab.study.task import Task
from formatlab.train.failure import failure_reason, is_disk_full, out_of_memory
from formatlab.train.progress import Emit, Remark


def work(task: Task, runs: Path, *, threads: int, emit: Emit) -> Outcome:
    """Do a task in this process unless it is done, and say how it ended.

    Args:
        task: what to do; what it needs is done.
        runs: the runs folder.
        threads: most threads that torch may use.
        emit: called with progress, and with a remark for each folder that is moved aside.
    """
    import torch

    from formatlab.models.model import silence_libraries

    torch.set_num_threads(min(threads, task.most_threads or threads))
    silence_libraries()
    try:
        perform(task, runs, emit)
    except Exception as error:  # also before and after the task's own work
        told = explained(error, runs)
        status = told.exit_status if isinstance(told, FormatlabError) else 1
        return Outcome(task.label, failure_reason(told), status)
    return Outcome(task.label)


def perform(task: Task, runs: Path, emit: Emit) -> None:
    """Do a task unless it is done, after waiting for its lock.

    Raises:
        FormatlabError: it cannot be done; the folder's FAILED says why.
    """
    with claimed(task, runs, emit) as to_do:
        if to_do:
            execute(task, runs, emit)


@contextmanager
def claimed(task: Task, runs: Path, emit: Emit) -> Iterator[bool]:
    """Hold a task's lock for a `with` block; yields whether there is work to do."""
    folder = runs / task.address
    with locked(folder, wait=True, waiting=lambda holder: emit(task.waiting_for(holder))):
        wrong = why_made_again(task, runs)
        if wrong is not None:
            aside = put_aside(folder, runs)
            emit(Remark(f"{task.label}: {wrong}; made again, the old folder is {aside}"))
        elif folder.exists():
            RunFolder(folder).clear_failed()
        yield not (folder / "DONE").exists()


def execute(task: Task, runs: Path, emit: Emit) -> None:
    """Do a task whose lock is held, and write FAILED into its folder if it fails.

    Raises:
        FormatlabError: it cannot be done, or the disk or memory is full.
    """
    try:
        task.execute(runs, emit)
    except Exception as error:
        told = explained(error, runs)
        note_failure(runs / task.address, failure_reason(told))
        if told is error:
            raise
        raise told from error


def is_done(task: Task, runs: Path) -> bool:
    """Whether a task's folder is finished, intact, and what the task would make now."""
    if not all((runs / of.address / "DONE").exists() for of in (task, *task.needs)):
        return False
    return why_made_again(task, runs) is None


def why_made_again(task: Task, runs: Path) -> str | None:
    """Why a task's folder cannot be resumed and is made again; None if it can, or is not there.

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


def explained(error: Exception, runs: Path) -> Exception:
    """The error itself, or a `RunError` in words where it came of a full disk or memory."""
    if isinstance(error, FormatlabError):
        return error
    if said := out_of_memory(error):
        return RunError(
            f"{said}; lower the algorithm's micro_batch or --probe.batch, or run fewer --jobs; the "
            "same command goes on"
        )
    if is_disk_full(error, runs):
        return RunError(
            f"no space left to write in {runs}: free some, or choose another runs folder with "
            "--runs-dir; the same command then goes on from the last checkpoint"
        )
    return error


def note_failure(folder: Path, reason: str) -> None:
    """Write FAILED, also where there is nothing else yet."""
    with suppress(FormatlabError):  # a full disk may be the very reason
        run = RunFolder(folder)
        run.mark_failed(reason)
        if run.done:  # another process finished it meanwhile
            run.clear_failed()


def start_process(worker: BaseProcess, environment: Mapping[str, str]) -> None:
    """Start a worker process that Ctrl-C does not reach, not even while it imports.

    Ctrl-C goes to every process of a terminal; the launcher ends its workers itself. The worker has
    the variables of `environment` from its start: libraries read them when they are imported.
    """
    variables = dict(os.environ)
    signals = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:  # the worker inherits both
        os.environ.update(environment)
        worker.start()
    finally:
        os.environ.clear()
        os.environ.update(variables)
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)
