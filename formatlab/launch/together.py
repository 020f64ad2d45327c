"""Several processes on one run: those that `accelerate launch` (or torchrun) started.

They execute the runs of a study one after the other, together. A model too large for one device, or
a run too slow on one, is what this is for; many small runs go side by side in the pool instead.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from formatlab.launch.cores import available_cores
from formatlab.launch.pool import Outcome
from formatlab.launch.progress import Progress, ProgressDisplay
from formatlab.launch.run import Run


def processes() -> int:
    """How many processes were started to train together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def run_together(runs: Sequence[Run], runs_dir: Path, *, console: Console) -> list[Outcome]:
    """Execute runs in turn; the first process shows progress and tells how they ended.

    Args:
        runs: what to do, the same in every process.
        runs_dir: the runs folder, one for all processes.
        console: where progress is shown.

    Returns:
        An outcome a run in the first process, and none in the others.

    Raises:
        FormatlabError: a run failed. The launcher then ends the other processes; the same command
            goes on with the runs that are left.
    """
    import torch
    from accelerate import PartialState

    from formatlab.models.device import best_device
    from formatlab.models.saved import silence_libraries

    silence_libraries()
    group = PartialState(cpu=best_device().type == "cpu")
    threads = max(1, available_cores() // group.num_processes)
    outcomes: list[Outcome] = []
    with ProgressDisplay(console) as display:
        stage = ""

        def emit(event: Progress) -> None:
            nonlocal stage
            if not group.is_main_process:
                return
            if stage and event.stage != stage:
                display.finish(stage)
            stage = event.stage
            display.update(event)

        for run in runs:
            torch.set_num_threads(min(threads, run.most_threads or threads))
            folder = run.execute(runs_dir, emit)
            group.wait_for_everyone()
            outcomes.append(Outcome(run.label, folder, None, 0))
        if stage:
            display.finish(stage)
    group.destroy_process_group()
    return outcomes if group.is_main_process else []
