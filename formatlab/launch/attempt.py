"""An attempt: a task done in this process, with whatever becomes of it told in words."""

from pathlib import Path

from formatlab.errors import FormatlabError
from formatlab.launch.defect import defect_text
from formatlab.launch.disk import disk_full
from formatlab.launch.out_of_memory import out_of_memory
from formatlab.launch.perform import perform
from formatlab.launch.schedule import Outcome
from formatlab.study.experiment import load_experiment
from formatlab.study.task import Task
from formatlab.train.progress import Emit


def attempt(task: Task, runs_dir: Path, *, experiment: Path, threads: int, emit: Emit) -> Outcome:
    """Do a task in this process, and say how it ended.

    Args:
        task: what to do.
        runs_dir: the runs folder.
        experiment: imported, for the formats that it may add.
        threads: most that torch may use.
        emit: told about progress.
    """
    import torch

    from formatlab.models.model import silence_libraries

    torch.set_num_threads(min(threads, task.most_threads or threads))
    silence_libraries()
    try:
        load_experiment(experiment)
        perform(task, runs_dir, emit)
    except FormatlabError as error:
        return Outcome(task.label, str(error), error.exit_status)
    except Exception as error:  # before or after the task's own work as well
        told = out_of_memory(error) or disk_full(error, runs_dir)
        return Outcome(task.label, told or defect_text(error), 1)
    return Outcome(task.label)
