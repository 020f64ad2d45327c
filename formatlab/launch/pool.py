"""The local pool: an executor whose tasks run side by side on this machine, a process each."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from formatlab.errors import FormatlabError
from formatlab.launch.devices import VARIABLE, Devices
from formatlab.launch.executor import Busy, TaskEvent
from formatlab.launch.packed_task import Pack, PackedTask
from formatlab.launch.schedule import Outcome
from formatlab.launch.worker import is_done, note_failure, start_process
from formatlab.store.lock import Owner, held
from formatlab.study.task import Task
from formatlab.train.progress import Progress, Remark

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def local_pool(
    runs: Path,
    pack: Pack,
    *,
    devices: Devices,
    threads: int,
    gpu_bytes: Mapping[str, int | None],
) -> Iterator["LocalPool"]:
    """A pool whose workers inherit the number of threads that each may use.

    Args:
        runs: the runs folder.
        pack: packs tasks for their workers.
        devices: what the workers share.
        threads: of each worker; more threads than cores slow small models down tenfold.
        gpu_bytes: estimated GPU memory of each task, by address; None where it is not known.
    """
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ |= dict.fromkeys(_THREAD_VARIABLES, str(threads))
    try:
        yield LocalPool(runs, pack, devices, gpu_bytes)
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


class LocalPool:
    """See `executor.Executor`."""

    def __init__(
        self,
        runs: Path,
        pack: Pack,
        devices: Devices,
        gpu_bytes: Mapping[str, int | None],
    ) -> None:
        """See `local_pool`."""
        self._runs, self._pack = runs, pack
        self._devices, self._gpu_bytes = devices, gpu_bytes
        self._context = multiprocessing.get_context("spawn")
        self._tasks: dict[str, Task] = {}
        self._workers: dict[str, BaseProcess] = {}
        # One pipe a worker: a worker that dies while it writes blocks no other.
        self._pipes: dict[str, Connection] = {}
        # Tasks whose outcome was reported, while their workers have not ended yet.
        self._told: set[str] = set()

    def has_room(self, task: Task) -> bool:
        """Whether a device has a seat for the task."""
        return self._devices.has_room(self._gpu_bytes.get(task.address))

    def submit(self, task: Task, silent: Owner | None) -> None:
        """Start a worker."""
        address = task.address
        gpu = self._devices.take(address, self._gpu_bytes.get(address))
        pipe, theirs = self._context.Pipe(duplex=False)
        packed = self._pack(task, silent)
        worker = self._context.Process(target=_work, args=(packed, gpu, theirs))
        start_process(worker)
        theirs.close()  # the worker's end is then the last, so that its death is noticed
        self._tasks[address], self._workers[address], self._pipes[address] = task, worker, pipe

    def events(self) -> list[tuple[str, TaskEvent]]:
        """Messages of the workers, and the outcomes of those that ended."""
        telling = connection.wait(list(self._pipes.values()), timeout=0.2)
        events: list[tuple[str, TaskEvent]] = []
        for address in [of for of, pipe in self._pipes.items() if pipe in telling]:
            events += self._read(address)
        for address, worker in list(self._workers.items()):
            if worker.exitcode is None:
                continue
            worker.join()
            events += self._read(address)
            if address not in self._told:
                events.append((address, self._lost(self._tasks[address], worker.exitcode)))
            self._told.discard(address)
            self._devices.give_back(address)
            del self._workers[address], self._tasks[address]
        return events

    def cancel(self) -> None:
        """End all workers."""
        for worker in self._workers.values():
            worker.terminate()
        for worker in self._workers.values():
            worker.join(10)
            worker.kill()

    def _read(self, address: str) -> list[tuple[str, TaskEvent]]:
        """The messages of a worker that were not read yet."""
        events: list[tuple[str, TaskEvent]] = []
        pipe = self._pipes.get(address)
        try:
            while pipe is not None and pipe.poll():
                event = pipe.recv()
                events.append((address, event))
                if isinstance(event, Outcome | Busy):
                    self._told.add(address)
        except (EOFError, OSError):  # it ended, perhaps in the middle of a message
            self._pipes.pop(address).close()
        return events

    def _lost(self, task: Task, exitcode: int) -> Outcome:
        """The outcome of a task whose worker ended without reporting one."""
        folder, reason = self._runs / task.address, _ended_by(exitcode)
        if held(folder) is None:
            with suppress(FormatlabError, OSError):
                if is_done(task, self._runs):
                    return Outcome(task.label)  # only the report was missing
            note_failure(folder, reason)
        return Outcome(task.label, reason, 1)


def _work(packed: PackedTask, gpu: str | None, pipe: Connection) -> None:
    """The function of a worker process."""
    threading.Thread(target=_end_with_launcher, daemon=True).start()
    if gpu is not None:
        os.environ[VARIABLE] = gpu

    def tell(event: Progress | Remark | Outcome | Busy) -> None:
        with suppress(OSError):  # the launcher is gone, and so is this process in a moment
            pipe.send(event)

    tell(packed.do(tell))


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
        reason = f"the process was ended by {name}{hint}"
    else:
        reason = f"the process ended with status {exitcode}"
    return f"{reason}; the same command goes on"
