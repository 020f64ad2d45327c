"""Several processes on one run: those that `accelerate launch` (or torchrun) started.

They do the tasks of a study one after the other, together; a base is made by the first one. A model
too large for one device, or a run too slow on one, is what this is for; many small runs go side by
side in the pool instead.
"""

import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from formatlab.launch.devices import available_cores
from formatlab.launch.perform import claimed, execute, is_done
from formatlab.launch.progress import ProgressDisplay
from formatlab.launch.schedule import Outcome, Schedule
from formatlab.store.lock import Watch
from formatlab.study.task import Task
from formatlab.train.progress import Emit, Progress, Remark

Word = Literal["wait", "take part", "done"]
"""What the first process says of a task."""

_LOOK_EVERY = 2.0
"""Seconds between two looks at a task that another command is at."""


def processes() -> int:
    """How many processes were started to train together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def is_first() -> bool:
    """Whether this process is the only one, or the first of several."""
    return int(os.environ.get("RANK") or 0) == 0


def run_together(tasks: Sequence[Task], runs_dir: Path, *, console: Console) -> dict[str, Outcome]:
    """Do tasks in turn; the first process shows progress and tells how they ended.

    Args:
        tasks: what to do and what it needs, the same in every process; see `graph`.
        runs_dir: the runs folder, one for all processes.
        console: where progress is shown.

    Returns:
        An outcome a task, by address, in the first process, and none in the others.

    Raises:
        FormatlabError: a task failed. The launcher then ends the other processes; the same command
            goes on with what is left.
    """
    import torch
    from accelerate import PartialState

    from formatlab.models.model import best_device, silence_libraries

    silence_libraries()
    group = PartialState(cpu=best_device().type == "cpu")
    threads = max(1, available_cores() // group.num_processes)
    schedule = Schedule(tasks)
    with ProgressDisplay(console, tasks=len(tasks) if group.is_main_process else 0) as display:
        stage = ""

        def emit(event: Progress | Remark) -> None:
            nonlocal stage
            if isinstance(event, Remark):
                display.say(event.text)
                return
            if stage and event.stage != stage:
                display.finish(stage)
            stage = event.stage
            display.update(event)

        if group.is_main_process:
            display.done_before(schedule.end_done(partial(is_done, runs=runs_dir)))
        for task in tasks:
            torch.set_num_threads(min(threads, task.most_threads or threads))
            if task.address in schedule.outcomes:
                _told_by_first("done")
            elif group.is_main_process:
                _wait_for(task, runs_dir, emit)
                with claimed(task, runs_dir, emit) as to_do:
                    _told_by_first("take part" if to_do else "done")
                    if to_do:
                        execute(task, runs_dir, emit)
                display.finish_task(stage or task.label)
                stage = ""
            elif _heard_from_first() == "take part":
                _take_part(task, runs_dir)
            group.wait_for_everyone()
            schedule.end(task, Outcome(task.label))
    group.destroy_process_group()
    return schedule.outcomes if group.is_main_process else {}


def _wait_for(task: Task, runs_dir: Path, emit: Emit) -> None:
    """Wait for another command that is at a task, with a word to the other processes now and then.

    They wait for the first one no longer than the process group's timeout, and a task takes longer.
    """
    watch = Watch()
    while owner := watch.held(runs_dir / task.address):
        note = f"waiting for {owner.words}"
        emit(Progress(task.label, 0, task.steps or 1, None, None, note))
        _told_by_first("wait")
        time.sleep(_LOOK_EVERY)


def _heard_from_first() -> Word:
    """What the first process says of a task when it has nothing to wait for."""
    while (word := _told_by_first(None)) == "wait":
        pass
    return word


def _told_by_first(word: Word | None) -> Word:
    """What the first process says, in every process."""
    from accelerate.utils import broadcast_object_list

    words: list[Any] = [word]
    broadcast_object_list(words)
    return words[0]


def _take_part(task: Task, runs_dir: Path) -> None:
    """Do a task beside the first process, or wait for it where one does it alone."""
    if task.together:
        execute(task, runs_dir, lambda _: None)
    while not (runs_dir / task.address / "DONE").exists():
        time.sleep(1)
