"""A child process that answers requests, one at a time, and is killed when it takes too long.

The parent holds a `Child`; the child's program ends in a call of `serve`. They exchange JSON over
pipes, each message after its length in four bytes. A library that works on hostile input in a child
can waste no more than a limit of processor time: a timer that only the child's own work moves, so
that other work on the machine ends no request.
"""

import contextlib
import fcntl
import json
import os
import resource
import select
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, NoReturn, Self

_MOST_BYTES = 16 * 2**20
"""Longest message; a child that announces a longer one is ended."""
_STDERR_BYTES = 2000
"""How much of what a dead child wrote to its standard error is repeated in ours."""
_PATIENCE = 40.0
"""Wall time until there must be a reply, as a multiple of the processor time allowed for it. Only
a child that waits for something comes near it, and it has nothing to wait for."""


class ChildTimeout(Exception):
    """The child used up its time before it replied; it was killed."""


class ChildDied(Exception):
    """The child ended, or would not start; the message says how and repeats its last words."""


class Child:
    """A process of this Python that runs a program ending in `serve`. Safe from any thread.

    It starts with the first request, in a session of its own, without our environment variables,
    without the current folder or the user's own packages on its path, and with a fixed hash seed.
    It ends when its parent ends, even by a kill.

    Args:
        program: arguments of the interpreter, such as `("-m", "formatlab.observe.some_child")`.
        start_seconds: wall time from its start to `serve`, imports included.
    """

    def __init__(self, program: Sequence[str], *, start_seconds: float = 300.0) -> None:
        """Remember what to start."""
        self._program = tuple(program)
        self._start_seconds = start_seconds
        self._lock = threading.Lock()
        self._running: _Running | None = None

    def ask(self, request: object, *, seconds: float) -> object:
        """Send a request and return the reply; a child that has ended is replaced first.

        Args:
            request: anything that JSON can carry.
            seconds: processor time of the child for the reply. A child that waits instead of
                working is ended after 40 times as much wall time.

        Raises:
            ChildTimeout: the time was used up before there was a reply.
            ChildDied: it ended before the reply was whole, or could not start.
        """
        message = _with_length([seconds, request])
        with self._lock:
            running = self._ready()
            try:
                return running.exchange(message, deadline=time.monotonic() + _PATIENCE * seconds)
            except BaseException:  # an interrupt too leaves a reply that nobody waits for
                self._end()
                raise

    def close(self) -> None:
        """End the process; a later request would start another."""
        with self._lock:
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ready(self) -> "_Running":
        running = self._running
        if running is not None and running.owner != os.getpid():
            self._running = running = None  # we are a fork: that child is our parent's
        if running is not None and running.process.poll() is not None:
            self._end()
            running = None
        if running is None:
            try:
                running = self._running = _Running(self._program)
            except OSError as error:
                raise ChildDied(f"the child process does not start: {error}") from error
            try:
                running.exchange(b"", deadline=time.monotonic() + self._start_seconds)
            except BaseException as error:
                self._end()
                if isinstance(error, ChildTimeout):
                    raise ChildDied(
                        f"the child process did not start within {self._start_seconds:g} s"
                    ) from None
                raise
        return running

    def _end(self) -> None:
        if self._running is not None:
            self._running.end()
            self._running = None


class _Running:
    """One started process with its pipes."""

    def __init__(self, program: Sequence[str]) -> None:
        self.owner = os.getpid()
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        lifeline, self._lifeline = os.pipe()
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-s", "-P", *program, str(lifeline)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env={"PYTHONHASHSEED": "0", **_way_to_this_package()},
                pass_fds=(lifeline,),
                start_new_session=True,
                bufsize=0,
            )
        except BaseException:
            os.close(self._lifeline)
            self._stderr.close()
            raise
        finally:
            os.close(lifeline)
        assert self.process.stdin is not None and self.process.stdout is not None
        self._requests, self._replies = self.process.stdin, self.process.stdout
        os.set_blocking(self._requests.fileno(), False)

    def exchange(self, message: bytes, *, deadline: float) -> object:
        """Send a message and read one; the child's first message needs none."""
        self._send(message, deadline=deadline)
        size = int.from_bytes(self._read(4, deadline=deadline), "big")
        if size > _MOST_BYTES:
            raise ChildDied(f"the child process announced a reply of {size} bytes")
        return json.loads(self._read(size, deadline=deadline))

    def _send(self, message: bytes, *, deadline: float) -> None:
        rest = memoryview(message)
        while rest:
            _wait(self._requests.fileno(), select.POLLOUT, deadline=deadline)
            try:
                rest = rest[os.write(self._requests.fileno(), rest) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise self._ended() from None

    def _read(self, size: int, *, deadline: float) -> bytes:
        received = bytearray()
        while len(received) < size:
            _wait(self._replies.fileno(), select.POLLIN, deadline=deadline)
            part = os.read(self._replies.fileno(), size - len(received))
            if not part:
                raise self._ended()
            received += part
        return bytes(received)

    def _ended(self) -> ChildTimeout | ChildDied:
        """What to raise when the child has closed its pipes."""
        self._kill()
        status = self.process.returncode
        if status == -signal.SIGPROF:
            return ChildTimeout("the child process took too long")
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        end = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, end - _STDERR_BYTES))
        words = self._stderr.read().decode(errors="replace").strip()
        return ChildDied(f"the child process ended {how}" + (f": {words}" if words else ""))

    def _kill(self) -> None:
        """Kill the child and all that it started, and collect its exit status."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=0.2 if self._closed_its_pipe() else 0)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # none left; macOS: zombies
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _closed_its_pipe(self) -> bool:
        """Whether it is ending by itself, so that its own exit status is worth waiting for."""
        poll = select.poll()
        poll.register(self._replies.fileno(), 0)
        return bool(poll.poll(0))

    def end(self) -> None:
        """Kill it and close the pipes."""
        self._kill()
        os.close(self._lifeline)
        for stream in (self._requests, self._replies, self._stderr):
            stream.close()


def _way_to_this_package() -> dict[str, str]:
    """What lets the child import the package that its parent runs, where that is not installed."""
    folder = str(Path(__file__).parents[3])
    installed = folder in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    return {} if installed else {"PYTHONPATH": folder}


def _wait(descriptor: int, event: int, *, deadline: float) -> None:
    """Wait until a pipe can be read or written (or has lost its other end)."""
    poll = select.poll()
    poll.register(descriptor, event)
    left = deadline - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise ChildTimeout("the child process took too long")


def _with_length(value: object) -> bytes:
    body = json.dumps(value).encode()
    return len(body).to_bytes(4, "big") + body


def serve(answer: Callable[[object], object], *, memory: int | None = None) -> NoReturn:
    """Answer requests until the parent closes the pipe or ends. Called by the child's program.

    Nothing that the program prints is kept. An exception from `answer` ends the process; the parent
    sees it as `ChildDied`. The system ends the process when a request has used up its processor
    time, even within one long operation.

    Args:
        answer: from a request to a reply that JSON can carry.
        memory: most bytes of address space (`RLIMIT_AS`); not limited if not given.
    """
    _die_with_parent(int(sys.argv[-1]))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    requests, replies, errors = os.dup(0), os.dup(1), os.dup(2)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)
    try:
        with open(requests, "rb") as source, open(replies, "wb", buffering=0) as sink:
            _write(sink, _with_length(None))
            while header := source.read(4):
                seconds, request = json.loads(source.read(int.from_bytes(header, "big")))
                signal.setitimer(signal.ITIMER_PROF, seconds)
                reply = _with_length(answer(request))
                signal.setitimer(signal.ITIMER_PROF, 0)
                _write(sink, reply)
    except BaseException:
        os.write(errors, traceback.format_exc().encode(errors="replace"))
        os._exit(1)
    os._exit(0)


def _write(sink: IO[bytes], message: bytes) -> None:
    rest = memoryview(message)
    while rest:
        rest = rest[sink.write(rest) :]


def _die_with_parent(lifeline: int) -> None:
    """Have the system end this process when the parent's end of a pipe closes.

    The kernel sends the signal, so it ends even a process stuck in one long operation.
    (PR_SET_PDEATHSIG would do so too, but already when the thread ends that started the process.)
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())  # the group: what it forks ends too
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    if poll.poll(0):  # the parent ended before the system was told
        os._exit(0)
