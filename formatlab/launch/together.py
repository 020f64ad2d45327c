"""Several processes on one run: those that `accelerate launch` (or torchrun) started.

They do the tasks of a study one after the other, together; a base is made by the first one. A model
too large for one device, or a run too slow on one, is what this is for; many small runs go side by
side in the pool instead.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from formatlab.launch.cores import available_cores
from formatlab.launch.perform import claimed, execute
from formatlab.launch.progress import Progress, ProgressDisplay
from formatlab.launch.schedule import Outcome
from formatlab.launch.task import Task


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

    from formatlab.models.device import best_device
    from formatlab.models.saved import silence_libraries

    silence_libraries()
    group = PartialState(cpu=best_device().type == "cpu")
    threads = max(1, available_cores() // group.num_processes)
    outcomes: dict[str, Outcome] = {}
    with ProgressDisplay(console) as display:
        stage = ""

        def emit(event: Progress) -> None:
            nonlocal stage
            if stage and event.stage != stage:
                display.finish(stage)
            stage = event.stage
            display.update(event)

        for task in tasks:
            torch.set_num_threads(min(threads, task.most_threads or threads))
            if group.is_main_process:
                with claimed(task, runs_dir, emit) as to_do:
                    _told_by_first(to_do)
                    if to_do:
                        execute(task, runs_dir, emit)
            elif _told_by_first(None):
                _take_part(task, runs_dir)
            group.wait_for_everyone()
            outcomes[task.address] = Outcome(task.label)
        if stage:
            display.finish(stage)
    group.destroy_process_group()
    return outcomes if group.is_main_process else {}


def _told_by_first(word: bool | None) -> bool:
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
