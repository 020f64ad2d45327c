"""The crew: worker processes that each tag one chunk at a time.

Every worker has a pipe of its own. One that ends in the middle of a message, killed or interrupted,
closes its pipe and nothing else: nobody waits for the rest of what it said, as the readers of a
queue that processes share would.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from formatlab.errors import RunError
from formatlab.observe.files.chunk import Chunk
from formatlab.observe.files.layout import Layout
from formatlab.observe.files.tagging import TaggedChunk, TagJob, tag_chunk

_AHEAD = 3
"""Chunks for each worker that are on their way or wait for an earlier one; bounds memory."""

_SECONDS_TO_END = 5.0


def tag_chunks(
    chunks: Iterator[tuple[Chunk, Layout]], job: TagJob, *, workers: int
) -> Iterator[TaggedChunk]:
    """Tag chunks, and give them back in their order.

    Args:
        chunks: read no further ahead than the workers need.
        job: what to do with each.
        workers: processes; with 1 it is done in this one.

    Raises:
        RunError: a worker died.
    """
    if workers == 1:
        for chunk, layout in chunks:
            yield tag_chunk(chunk, layout, job)
        return
    with _Crew(job, workers=workers) as crew:
        yield from crew.tagged(chunks)


class _Crew:
    """Tags chunks side by side, and gives them back in their order; a context manager."""

    def __init__(self, job: TagJob, *, workers: int) -> None:
        """Start the workers.

        Args:
            job: what to do with each chunk.
            workers: number of processes.
        """
        context = get_context("spawn")
        self._processes: dict[Connection, BaseProcess] = {}
        with _interrupts_held():
            for _ in range(workers):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(theirs, job), daemon=True)
                process.start()
                theirs.close()  # so that the end of the process is the end of the pipe
                self._processes[ours] = process

    def __enter__(self) -> "_Crew":
        """The workers run already."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the workers, whatever they are at."""
        for connection, process in self._processes.items():
            connection.close()
            if error[0] is not None:
                process.terminate()
        for process in self._processes.values():
            process.join(_SECONDS_TO_END)
            if process.is_alive():
                process.kill()
                process.join()

    def tagged(self, chunks: Iterator[tuple[Chunk, Layout]]) -> Iterator[TaggedChunk]:
        """Tag chunks; one worker has one at a time, so that no pipe ever fills."""
        idle = list(self._processes)
        busy: dict[Connection, tuple[int, Chunk]] = {}
        done: dict[int, TaggedChunk] = {}
        sent, given = 0, 0
        following = next(chunks, None)
        while following is not None or busy:
            while idle and following is not None and sent - given < _AHEAD * len(self._processes):
                connection = idle.pop()
                busy[connection] = (sent, following[0])
                _exchange(connection.send, following, chunk=following[0])
                sent += 1
                following = next(chunks, None)
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                number, chunk = busy.pop(connection)
                result = _exchange(connection.recv, chunk=chunk)
                if isinstance(result, Exception):
                    raise result
                done[number] = result
                idle.append(connection)
            while given in done:
                yield done.pop(given)
                given += 1


def _exchange(call: Any, *values: object, chunk: Chunk) -> Any:
    """Send or receive.

    Raises:
        RunError: there is nobody at the other end.
    """
    try:
        return call(*values)
    except (EOFError, OSError) as error:
        rows = f", rows {chunk.numbers[0]} to {chunk.numbers[-1]}" if chunk.numbers else ""
        raise RunError(
            f"a worker process died, at about {chunk.file}{rows}; it may have been out of memory. "
            "Nothing was written. Try fewer --jobs; with --jobs 1 all is done in one process"
        ) from error


def _work(connection: Connection, job: TagJob) -> None:
    """Tag chunks until there are no more."""
    _end_with_parent()
    while True:
        try:
            chunk, layout = connection.recv()
        except (EOFError, OSError):
            return
        try:
            result: TaggedChunk | Exception = tag_chunk(chunk, layout, job)
        except Exception as error:
            result = error
        connection.send(result)


def _end_with_parent() -> None:
    """Have this worker end when the process that feeds it is killed."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Put Ctrl-C off while processes start, which then never see it.

    It reaches every process of the terminal, and the one that reads the files ends the others.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
