"""The local pool: an executor whose tasks run side by side on this machine, a process each."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping
from contextlib import suppress
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
        worker = self._context.Process(target=_work, args=(packed, theirs))
        start_process(worker, packed.environment | ({VARIABLE: gpu} if gpu else {}))
        theirs.close()  # the worker's end is then the last, so that its death is noticed
        self._workers[address], self._pipes[address] = worker, pipe

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
                events.append((address, Lost(_ended_by(worker.exitcode))))
            self._told.discard(address)
            self._devices.give_back(address)
            del self._workers[address]
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


def _work(packed: PackedTask, pipe: Connection) -> None:
    """The function of a worker process."""
    threading.Thread(target=_end_with_launcher, daemon=True).start()

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
        return f"the process was ended by {name}{hint}"
    return f"the process ended with status {exitcode}"
