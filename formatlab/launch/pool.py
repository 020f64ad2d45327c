"""The local pool: runs of a study side by side, each in a process of its own."""

import multiprocessing
import os
import queue
import signal
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from rich.console import Console

from formatlab.errors import FormatlabError
from formatlab.launch.cores import available_cores
from formatlab.launch.disk import disk_full
from formatlab.launch.experiment import load_experiment
from formatlab.launch.progress import Progress, ProgressDisplay
from formatlab.launch.run import Run
from formatlab.models.device import worker_devices


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run ended."""

    label: str
    folder: Path | None
    """The run folder of a finished run."""
    error: str | None
    """What went wrong, for people; a traceback where it was a defect."""
    exit_status: int
    """0, or the exit status that the command ends with."""


def run_all(
    runs: Sequence[Run], runs_dir: Path, *, experiment: Path, jobs: int, console: Console
) -> list[Outcome]:
    """Execute runs, at most `jobs` at a time; a failed one does not stop the others.

    Cores are divided among the workers: more threads than cores slow small models down tenfold.
    `OMP_NUM_THREADS`, where it is set, is the most that each gets.

    Args:
        runs: what to do, in order of start.
        runs_dir: the runs folder.
        experiment: the experiment file; workers import it, for the formats that it may add.
        jobs: most processes at a time.
        console: where progress is shown.

    Returns:
        An outcome a run, in the order of `runs`.
    """
    context = multiprocessing.get_context("spawn")
    threads = max(1, available_cores() // min(jobs, len(runs)))
    threads = min(threads, int(os.environ.get("OMP_NUM_THREADS") or threads))
    events: Any = context.Queue()
    waiting = list(enumerate(runs))
    running: dict[int, BaseProcess] = {}
    outcomes: dict[int, Outcome] = {}
    stages: dict[int, str] = {}
    with _thread_environment(threads), ProgressDisplay(console) as display:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    index, run = waiting.pop(0)
                    process = context.Process(
                        target=_work, args=(index, run, runs_dir, experiment, threads, events)
                    )
                    process.start()
                    running[index] = process
                for index, event in _drain(events):
                    _show(display, stages, index, event)
                    if isinstance(event, Outcome):
                        outcomes[index] = event
                for index, process in list(running.items()):
                    if process.exitcode is None:
                        continue
                    process.join()
                    for late, event in _drain(events):
                        _show(display, stages, late, event)
                        if isinstance(event, Outcome):
                            outcomes[late] = event
                    if index not in outcomes:
                        lost = _lost(runs[index].label, process.exitcode)
                        outcomes[index] = lost
                        _show(display, stages, index, lost)
                    del running[index]
        except BaseException:
            for process in running.values():
                process.terminate()
            for process in running.values():
                process.join(10)
                process.kill()
            raise
    return [outcomes[index] for index in range(len(runs))]


def _work(
    index: int, run: Run, runs_dir: Path, experiment: Path, threads: int, events: Any
) -> None:
    """What a worker process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the launcher's; it ends us
    threading.Thread(target=_end_with_launcher, daemon=True).start()
    import torch

    from formatlab.models.saved import silence_libraries

    variable = "CUDA_VISIBLE_DEVICES"
    device = worker_devices(index, os.environ.get(variable), torch.cuda.device_count())
    if device is not None:
        os.environ[variable] = device
    torch.set_num_threads(min(threads, run.most_threads or threads))
    silence_libraries()
    try:
        load_experiment(experiment)
        folder = run.execute(runs_dir, lambda event: events.put((index, event)))
        outcome = Outcome(run.label, folder, None, 0)
    except FormatlabError as error:
        outcome = Outcome(run.label, None, str(error), error.exit_status)
    except torch.OutOfMemoryError as error:
        reason = str(error).partition("\n")[0]
        advice = "lower the algorithm's micro_batch or --probe.batch, or run fewer --jobs"
        outcome = Outcome(run.label, None, f"{reason}; {advice}", 1)
    except Exception as error:
        full = disk_full(error, runs_dir)
        outcome = Outcome(run.label, None, full or traceback.format_exc(), 1)
    events.put((index, outcome))
    events.close()
    events.join_thread()


def _end_with_launcher() -> None:
    """End this process when the launcher is gone: two must never write to one run folder."""
    launcher = multiprocessing.parent_process()
    if launcher is not None:
        connection.wait([launcher.sentinel])
        os._exit(1)


def _drain(events: Any) -> list[tuple[int, Progress | Outcome]]:
    """Everything in the queue; waits a moment for the first."""
    drained = []
    try:
        drained.append(events.get(timeout=0.2))
        while True:
            drained.append(events.get_nowait())
    except queue.Empty:
        return drained


def _show(
    display: ProgressDisplay, stages: dict[int, str], index: int, event: Progress | Outcome
) -> None:
    """Show an event; a worker's stage ends when its next one begins."""
    stage = stages.get(index)
    if isinstance(event, Progress):
        if stage is not None and stage != event.stage:
            display.finish(stage)
        stages[index] = event.stage
        display.update(event)
    elif event.error is None:
        display.finish(stage or event.label, "" if stage else "done before")
    else:
        display.fail(stage or event.label, event.error.strip().splitlines()[-1])


def _lost(label: str, exitcode: int) -> Outcome:
    """A worker that ended without a word."""
    if exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = " (often: out of memory; use fewer --jobs)" if -exitcode == signal.SIGKILL else ""
        reason = f"the process was ended by {name}{hint}"
    else:
        reason = f"the process ended with status {exitcode}"
    return Outcome(label, None, f"{reason}; run the same command again to go on", 1)


class _thread_environment:
    """Sets the thread counts that workers inherit, and puts the old ones back."""

    _NAMES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")

    def __init__(self, threads: int) -> None:
        self._value = str(threads)
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        for name in (*self._NAMES,):
            self._before[name] = os.environ.get(name)
            os.environ[name] = self._value

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
