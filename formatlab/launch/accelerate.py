"""Several processes on one run: those that `accelerate launch` (or torchrun) started.

They do the tasks of a study one after the other, together; the first one makes the bases. This is
for a model too large for one device, or a run too slow on one; many small runs are better run side
by side in the pool.
"""

import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from formatlab.launch.monitor import LOOK_EVERY, Monitor
from formatlab.launch.progress import ProgressDisplay
from formatlab.launch.schedule import Outcome
from formatlab.launch.worker import claimed, execute, is_done
from formatlab.store.lock import Watch
from formatlab.study.task import Task
from formatlab.train.progress import Emit
from formatlab.world.cores import available_cores

Word = Literal["wait", "take part", "done"]
"""The first process's orders to the others about a task."""


def processes() -> int:
    """How many processes were started to train together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def is_first() -> bool:
    """Whether this process is the only one, or the first of several."""
    return int(os.environ.get("RANK") or 0) == 0


def run_together(tasks: Sequence[Task], runs: Path, *, console: Console) -> dict[str, Outcome]:
    """Do tasks in turn; the first process shows progress and says how they ended.

    Args:
        tasks: what to do and what it needs, the same in every process; see `graph`.
        runs: the runs folder, one for all processes.
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
    with ProgressDisplay(console, tasks=len(tasks) if group.is_main_process else 0) as display:
        monitor = Monitor(tasks, display)
        if group.is_main_process:
            monitor.skip_done(partial(is_done, runs=runs))
        for task in tasks:
            torch.set_num_threads(min(threads, task.most_threads or threads))
            if task.address in monitor.schedule.outcomes:
                _say("done")
            elif group.is_main_process:
                emit = partial(monitor.show, task.address)
                _wait_for_lock(task, runs, emit)
                with claimed(task, runs, emit) as to_do:
                    _say("take part" if to_do else "done")
                    if to_do:
                        execute(task, runs, emit)
                monitor.end(task, Outcome(task.label))
            elif _hear() == "take part":
                _take_part(task, runs)
            group.wait_for_everyone()
    group.destroy_process_group()
    return monitor.schedule.outcomes if group.is_main_process else {}


def _wait_for_lock(task: Task, runs: Path, emit: Emit) -> None:
    """Wait while another command holds the lock, with a word to the other processes now and then.

    They wait for the first one no longer than the process group's timeout, and a task takes longer.
    """
    watch = Watch()
    while owner := watch.held(runs / task.address):
        emit(task.waiting_for(owner.words))
        _say("wait")
        time.sleep(LOOK_EVERY)


def _hear() -> Word:
    """Wait for the first process's next order that is not `wait`."""
    while (word := _say(None)) == "wait":
        pass
    return word


def _say(word: Word | None) -> Word:
    """Tell every process what the first one says; returns that in every process."""
    from accelerate.utils import broadcast_object_list

    words: list[Any] = [word]
    broadcast_object_list(words)
    return words[0]


def _take_part(task: Task, runs: Path) -> None:
    """Do a task beside the first process, or wait for it where one process does it alone."""
    if task.facts.kind == "run":
        execute(task, runs, lambda _: None)
    while not (runs / task.address / "DONE").exists():
        time.sleep(1)
