"""The process behind `LockedPython`: it forks for every program, and locks the fork.

It has imported what programs may want and has closed itself off from files and network. A fork
moreover gives up all system calls but those of computing, runs one program, and ends with it; so
nothing that a program does to the interpreter reaches the next.
"""

import contextlib
import gc
import importlib
import json
import os
import random
import resource
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import NoReturn

from formatlab.observe.sandbox.child import serve
from formatlab.observe.sandbox.kernel_lock import KernelLock, LockError
from formatlab.observe.sandbox.locked_program import VALUE_BYTES, Verdict, failed, verdict

MODULES = (
    "abc array bisect calendar cmath collections copy dataclasses datetime decimal enum fractions "
    "functools heapq itertools json math numbers numpy operator random re statistics string "
    "sympy textwrap time types typing uuid "
    # Imported on first use by the others, when no file can be opened any more.
    "_strptime encodings.idna encodings.latin_1 encodings.utf_16 numpy.linalg "
    "sympy.parsing.sympy_parser sympy.solvers sympy.stats unicodedata"
).split()
"""What programs can import, as far as it is installed."""

MEMORY_BYTES = 256 * 2**20
"""Address space that a program may add to what the modules take."""
_NO_MEMORY = 12
"""Exit status of a fork that ran out of memory and stayed so."""
_VERDICT_BYTES = 8 * VALUE_BYTES
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""For numpy, whose threads would not survive a fork; gone before the first program."""

_TRIALS = """
import os, signal, socket
def refused(trial):
    try:
        trial()
    except OSError:
        return True
trials = [
    lambda: os.open("/", os.O_RDONLY),
    lambda: os.open("/proc/self/environ", os.O_RDONLY),
    lambda: os.stat("/"),
    lambda: os.kill(os.getpid(), 0),
    lambda: os.execv("/bin/true", ["true"]),
    lambda: signal.setitimer(signal.ITIMER_REAL, 60),
    socket.socket,
    os.fork,
    os.pipe,
]
sum(bool(refused(trial)) for trial in trials) - len(trials)
"""
"""A program that gives 0 where each of its trials is refused."""


class Warden:
    """Runs programs in locked forks of this process.

    Args:
        seconds: of computing that a program may take; of time it may take thrice as many.

    Raises:
        LockError: the kernel offers no locks.
    """

    def __init__(self, *, seconds: int) -> None:
        """Import what programs may want, and find the locks."""
        _import_modules()
        self._seconds = seconds
        self._lock = KernelLock()
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        self._memory = pages * resource.getpagesize() + MEMORY_BYTES

    def lock(self) -> None:
        """Give up files and network, and see that the locks hold, those of the forks included.

        Raises:
            LockError: one does not.
        """
        self._lock.forbid_files()
        with contextlib.suppress(OSError):
            os.close(os.open(sys.executable, os.O_RDONLY))
            raise LockError("Landlock holds nothing back here")
        proof = self.run(_TRIALS)
        if proof.get("value") != {"int": "0x0"}:
            raise LockError(f"the filter of system calls does not hold here ({proof})")
        gc.collect()
        gc.freeze()  # a collection in a fork would touch, and so copy, every page

    def run(self, code: str) -> Verdict:
        """Fork, run, and read the verdict; whatever the fork does, this process goes on."""
        deadline = time.monotonic() + 3 * self._seconds
        source, sink = os.pipe()
        process = os.fork()
        if process == 0:
            self._run_in_fork(code, sink)
        os.close(sink)
        try:
            received = _read(source, deadline)
        finally:
            os.close(source)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            _, status, usage = os.wait4(process, 0)
        ended = os.waitstatus_to_exitcode(status)
        spent = usage.ru_utime + usage.ru_stime
        if received is None or ended == -signal.SIGXCPU or spent >= self._seconds:
            return failed("time", f"stopped after {spent:.1f} s of computing")
        with contextlib.suppress(ValueError, RecursionError):
            told = json.loads(received)
            if isinstance(told, dict):
                return told
        if ended == _NO_MEMORY:
            return failed("memory", "no memory was left, not even for a message")
        return failed("error", f"the interpreter ended with status {ended}, without a word")

    def _run_in_fork(self, code: str, sink: int) -> NoReturn:
        try:
            os.dup2(sink, 0)
            os.closerange(1, 2**31 - 1)
            for limit, soft, hard in (
                (resource.RLIMIT_AS, self._memory, self._memory),
                (resource.RLIMIT_CPU, self._seconds, self._seconds + 1),
                (resource.RLIMIT_FSIZE, 0, 0),
                (resource.RLIMIT_NOFILE, 0, 0),
                (resource.RLIMIT_NPROC, 0, 0),
                (resource.RLIMIT_CORE, 0, 0),
            ):
                resource.setrlimit(limit, (soft, hard))
            random.seed(0)
            time.sleep = _no_sleep
            self._lock.forbid_system_calls()
            message = json.dumps(verdict(code)).encode()
            while message:
                message = message[os.write(0, message) :]
        except MemoryError:  # there is none left to tell a verdict with
            os._exit(_NO_MEMORY)
        except BaseException:
            os._exit(1)
        os._exit(0)


def _no_sleep(seconds: float, /) -> None:
    """As in the first tier, sleeping takes no time."""


def _read(source: int, deadline: float) -> bytes | None:
    """What the fork writes until it ends; None where the deadline comes first."""
    received = bytearray()
    poll = select.poll()
    poll.register(source, select.POLLIN)
    while len(received) <= _VERDICT_BYTES:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return None
        part = os.read(source, 65536)
        if not part:
            break
        received += part
    return bytes(received)


def _import_modules() -> None:
    os.environ.update(_ENVIRONMENT)
    for module in MODULES:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    os.environ.clear()
    _ = socket.socket  # one of the trials needs it imported
    with contextlib.suppress(ImportError):
        _rehearse()


def _rehearse() -> None:
    """Have sympy import what it imports on first use."""
    import sympy

    x = sympy.Symbol("x")
    sympy.solve(x**2 - 5 * x + 6, x)
    sympy.simplify((x**2 - 1) / (x - 1)).subs(x, 3).evalf()
    sympy.integrate(sympy.diff(sympy.sin(x) * x**2, x), (x, 0, 1))
    sympy.sympify("2*x + 1")
    sympy.factorint(360)
    sympy.Matrix([[1, 2], [3, 4]]).det()


def main() -> NoReturn:
    """Serve programs to the parent, or end with the reason why not."""
    try:
        warden = Warden(seconds=int(sys.argv[1]))
    except LockError as error:
        sys.exit(str(error))
    serve(lambda code: warden.run(str(code)), prepare=lambda: _lock(warden))


def _lock(warden: Warden) -> None:
    try:
        warden.lock()
    except LockError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
