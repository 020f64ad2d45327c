"""The local pool: an executor whose tasks run side by side on this machine, a process each.

A process that has done a task on the CPU does the next one: to start a process and to import torch
and TRL takes longer than many a task. A process ends after a task that failed, and after one on a
GPU, to free the GPU's memory.
"""

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from formatlab.launch.devices import VARIABLE, Devices
from formatlab.launch.executor import Busy, Lost, TaskEvent
from formatlab.launch.packed_task import Pack, PackedTask
from formatlab.launch.schedule import Outcome
from formatlab.launch.worker import start_process
from formatlab.store.lock import Owner
from formatlab.study.task import Task
from formatlab.train.progress import Progress, Remark


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    pipe: Connection
    """One a worker: a worker that dies while it writes blocks no other."""
    task: str | None
    """Address of its task; None while it waits for one."""
    told: bool = False
    """Whether the outcome of its task was reported."""


class LocalPool:
    """See `executor.Executor`."""

    def __init__(self, pack: Pack, devices: Devices, gpu_bytes: Mapping[str, int | None]) -> None:
        """Start nothing yet.

        Args:
            pack: packs tasks for their workers.
            devices: what the workers share.
            gpu_bytes: estimated GPU memory of each task, by address; None where it is not known.
        """
        self._pack, self._devices, self._gpu_bytes = pack, devices, gpu_bytes
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []

    def close(self) -> None:
        """Let the workers end, none of which has a task."""
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(10)
            worker.process.kill()

    def has_room(self, task: Task) -> bool:
        """Whether a device has a seat for the task."""
        return self._devices.has_room(self._gpu_bytes.get(task.address))

    def submit(self, task: Task, silent: Owner | None) -> None:
        """Give the task to a worker that waits for one, or start a worker."""
        address, waiting = task.address, [w for w in self._workers if w.task is None]
        gpu = self._devices.take(address, self._gpu_bytes.get(address))
        packed = self._pack(task, silent)
        for worker in waiting:
            if worker.process.is_alive():
                with suppress(OSError):  # it dies
                    worker.pipe.send(packed)
                    worker.task, worker.told = address, False
                    return
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(packed, theirs, gpu is None))
        start_process(process, packed.environment | ({VARIABLE: gpu} if gpu else {}))
        theirs.close()  # the worker's end is then the last, so that its death is noticed
        self._workers.append(_Worker(process, ours, address))

    def events(self) -> list[tuple[str, TaskEvent]]:
        """Messages of the workers, and the outcomes of those that ended."""
        open_pipes = [worker.pipe for worker in self._workers if not worker.pipe.closed]
        telling = connection.wait(open_pipes, timeout=0.2)
        events: list[tuple[str, TaskEvent]] = []
        for worker in list(self._workers):
            status = worker.process.exitcode
            if status is not None or worker.pipe in telling:
                events += self._read(worker)
            if status is None:
                continue
            worker.pipe.close()
            self._workers.remove(worker)
            if worker.task is not None:
                if not worker.told:
                    events.append((worker.task, Lost(_ended_by(status))))
                self._devices.give_back(worker.task)
        return events

    def cancel(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.process.terminate()
        self.close()

    def _read(self, worker: _Worker) -> list[tuple[str, TaskEvent]]:
        """The messages of a worker that were not read yet."""
        events: list[tuple[str, TaskEvent]] = []
        try:
            while not worker.pipe.closed and worker.pipe.poll():
                event = worker.pipe.recv()
                assert worker.task is not None  # a worker without one is silent
                if event is None:
                    self._devices.give_back(worker.task)
                    worker.task = None
                    continue
                events.append((worker.task, event))
                if isinstance(event, Outcome | Busy):
                    worker.told = True
        except (EOFError, OSError):  # it ended, perhaps in the middle of a message
            worker.pipe.close()
        return events


def _work(packed: PackedTask, pipe: Connection, waits: bool) -> None:
    """Do a task, and those that `pipe` brings, if it `waits`; tell events, and None to wait."""
    gc.set_threshold(50_000, 20, 20)  # imports make a million objects: a tenth of their time
    threading.Thread(target=_end_with_launcher, daemon=True).start()

    def tell(event: Progress | Remark | Outcome | Busy | None) -> None:
        with suppress(OSError):  # the launcher is gone, and so is this process in a moment
            pipe.send(event)

    while True:
        outcome = packed.do(tell)
        tell(outcome)
        if not waits or (isinstance(outcome, Outcome) and outcome.error is not None):
            return
        tell(None)
        try:
            packed = pipe.recv()
        except (EOFError, OSError):  # there are no more
            return


def _end_with_launcher() -> None:
    """End this process when the launcher is gone: two must never write to one run folder."""
    launcher = multiprocessing.parent_process()
    if launcher is not None:
        connection.wait([launcher.sentinel])
        os._exit(1)


def _ended_by(exitcode: int) -> str:
    """Why a worker ended without an outcome, as far as that is known."""
    if exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = " (often: out of memory; use fewer --jobs)" if -exitcode == signal.SIGKILL else ""
        return f"the process was ended by {name}{hint}"
    return f"the process ended with status {exitcode}"
