"""The local pool: tasks of a study side by side, each in a process of its own."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from rich.console import Console

from formatlab.errors import FormatlabError
from formatlab.launch.attempt import attempt
from formatlab.launch.devices import VARIABLE, Devices, available_cores, most_threads, threads_each
from formatlab.launch.estimates.calibration import Calibration, saying
from formatlab.launch.estimates.estimate import estimate_all
from formatlab.launch.perform import is_done, note_failure
from formatlab.launch.progress import ProgressDisplay
from formatlab.launch.schedule import Outcome, Schedule
from formatlab.launch.worker import start_worker
from formatlab.store.lock import Watch, held
from formatlab.study.task import Task
from formatlab.train.progress import Progress, Remark

_LOOK_EVERY = 2.0
"""Seconds between two looks at a folder that another launcher holds."""


def run_all(
    tasks: Sequence[Task], runs_dir: Path, *, experiment: Path, devices: Devices, console: Console
) -> dict[str, Outcome]:
    """Do tasks, as many at a time as devices seat; a failed one stops only those that need it.

    Cores are divided among the workers: more threads than cores slow small models down tenfold.
    `OMP_NUM_THREADS`, where it is set, is the most that each gets. Tasks share GPUs as far as their
    memory is estimated to reach. What another launcher is at is left to it, and taken up when it is
    given up.

    Args:
        tasks: what to do and what it needs, see `graph`; each begins as soon as it can, in order.
        runs_dir: the runs folder.
        experiment: the experiment file; workers import it, for the formats that it may add.
        devices: what the workers share.
        console: where progress is shown.

    Returns:
        An outcome a task, by address.
    """
    needed = _gpu_bytes(tasks, runs_dir, experiment, devices, console) if devices.gpus else {}
    with ProgressDisplay(console, tasks=len(tasks)) as display:
        pool = _Pool(tasks, runs_dir, experiment, devices, needed, display)
        display.done_before(pool.schedule.end_done(partial(is_done, runs=runs_dir)))
        with _thread_environment(pool.threads):
            try:
                while not pool.schedule.finished:
                    pool.begin()
                    pool.wait()
            except BaseException:
                pool.end_workers()
                raise
    return pool.schedule.outcomes


def _gpu_bytes(
    tasks: Sequence[Task], runs_dir: Path, experiment: Path, devices: Devices, console: Console
) -> dict[str, int | None]:
    """What each task is estimated to need of a GPU, by address; None where that is not known."""
    to_do = []
    for task in tasks:
        with suppress(FormatlabError, OSError):  # told when its turn comes
            if not is_done(task, runs_dir):
                to_do.append(task)
    calibration = Calibration(runs_dir, devices.gpus)
    with saying(console) as say:
        estimates = estimate_all(
            to_do,
            runs_dir,
            calibration,
            experiment=experiment,
            gpus=devices.gpus,
            workers=min(devices.most, len(tasks)),
            say=say,
        )
    return {address: estimate.gpu_memory for address, estimate in estimates.items()}


class _Pool:
    """The worker processes of a study."""

    def __init__(
        self,
        tasks: Sequence[Task],
        runs_dir: Path,
        experiment: Path,
        devices: Devices,
        needed: Mapping[str, int | None],
        display: ProgressDisplay,
    ) -> None:
        self.schedule = Schedule(tasks)
        self.threads = threads_each(available_cores(), min(devices.most, len(tasks)), None)
        self.threads = min(self.threads, most_threads() or self.threads)
        self._devices, self._needed = devices, needed
        self._tasks = {task.address: task for task in tasks}
        self._runs_dir, self._experiment, self._display = runs_dir, experiment, display
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[str, BaseProcess] = {}
        # One a worker: whoever dies while he tells something keeps no other from telling.
        self._pipes: dict[str, Connection] = {}
        self._stages: dict[str, str] = {}
        self._watch = Watch()
        self._next_look: dict[str, float] = {}

    def begin(self) -> None:
        """Start a worker for every task that may begin and gets a seat."""
        if len(self._workers) >= self._devices.most:
            return
        for task in self.schedule.ready():
            if self._next_look.get(task.address, 0.0) > time.monotonic():
                continue
            folder = self._runs_dir / task.address
            try:
                done = is_done(task, self._runs_dir)
            except (FormatlabError, OSError) as error:
                self._note(task.address, Outcome(task.label, str(error), 1))
                continue
            if done:
                self.schedule.end(task, Outcome(task.label))
                self._display.finish_task(task.label, "nothing left to do")
            elif owner := self._watch.held(folder):
                if task.address not in self._next_look:
                    self._display.say(f"{task.label}: {owner.words} is at it")
                self._next_look[task.address] = time.monotonic() + _LOOK_EVERY
            elif seat := self._devices.take(task.address, self._needed.get(task.address)):
                self._start(task, seat.gpu)

    def _start(self, task: Task, gpu: str | None) -> None:
        pipe, words = self._context.Pipe(duplex=False)
        arguments = (task, self._runs_dir, self._experiment, self.threads, gpu, words)
        worker = self._context.Process(target=_work, args=arguments)
        start_worker(worker)
        words.close()  # the worker's is then the last, and its end is noticed
        self._workers[task.address], self._pipes[task.address] = worker, pipe
        self.schedule.begin(task)

    def wait(self) -> None:
        """Show what the workers tell, and take note of those that ended."""
        telling = connection.wait(list(self._pipes.values()), timeout=0.2)
        for address in [of for of, pipe in self._pipes.items() if pipe in telling]:
            self._hear(address)
        for address, worker in list(self._workers.items()):
            if worker.exitcode is None:
                continue
            worker.join()
            self._hear(address)
            if address not in self.schedule.outcomes:
                self._note(address, self._lost(self._tasks[address], worker.exitcode))
            self._devices.give_back(address)
            del self._workers[address]

    def _lost(self, task: Task, exitcode: int) -> Outcome:
        """The outcome of a task whose worker ended without a word."""
        folder = self._runs_dir / task.address
        if held(folder) is None:
            with suppress(FormatlabError, OSError):
                if is_done(task, self._runs_dir):
                    return Outcome(task.label)  # the word was all that was left
            note_failure(folder, _reason(exitcode))
        return Outcome(task.label, _reason(exitcode), 1)

    def _hear(self, address: str) -> None:
        """Take note of everything that a worker has told."""
        pipe = self._pipes.get(address)
        try:
            while pipe is not None and pipe.poll():
                self._note(address, pipe.recv())
        except (EOFError, OSError):  # it ended, perhaps in the middle of a word
            self._pipes.pop(address).close()

    def _note(self, address: str, event: Progress | Remark | Outcome) -> None:
        """Show an event; a worker's stage ends when its next one begins."""
        if isinstance(event, Remark):
            self._display.say(event.text)
            return
        stage = self._stages.get(address)
        if isinstance(event, Progress):
            if stage is not None and stage != event.stage:
                self._display.finish(stage)
            self._stages[address] = event.stage
            self._display.update(event)
            return
        self.schedule.end(self._tasks[address], event)
        if event.error is None:
            self._display.finish_task(stage or event.label)
        else:
            self._display.fail(stage or event.label, event.reason)

    def end_workers(self) -> None:
        """End all workers, as when the launcher is interrupted."""
        for worker in self._workers.values():
            worker.terminate()
        for worker in self._workers.values():
            worker.join(10)
            worker.kill()


def _work(
    task: Task, runs_dir: Path, experiment: Path, threads: int, gpu: str | None, words: Connection
) -> None:
    """What a worker process does."""
    threading.Thread(target=_end_with_launcher, daemon=True).start()
    if gpu is not None:
        os.environ[VARIABLE] = gpu

    def tell(event: Progress | Remark | Outcome) -> None:
        with suppress(OSError):  # the launcher is gone, and so are we in a moment
            words.send(event)

    tell(attempt(task, runs_dir, experiment=experiment, threads=threads, emit=tell))


def _end_with_launcher() -> None:
    """End this process when the launcher is gone: two must never write to one run folder."""
    launcher = multiprocessing.parent_process()
    if launcher is not None:
        connection.wait([launcher.sentinel])
        os._exit(1)


def _reason(exitcode: int) -> str:
    """Why a worker ended without a word, as far as that is known."""
    if exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = " (often: out of memory; use fewer --jobs)" if -exitcode == signal.SIGKILL else ""
        reason = f"the process was ended by {name}{hint}"
    else:
        reason = f"the process ended with status {exitcode}"
    return f"{reason}; the same command goes on"


class _thread_environment:
    """Sets the thread counts that workers inherit, and puts the old ones back."""

    _NAMES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")

    def __init__(self, threads: int) -> None:
        self._value = str(threads)
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        for name in self._NAMES:
            self._before[name] = os.environ.get(name)
            os.environ[name] = self._value

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
