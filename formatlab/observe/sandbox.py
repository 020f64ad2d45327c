"""The sandbox: model-written code runs in an interpreter that has no way out."""

import atexit
import builtins
import importlib.util
import os
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic_monty import (
    CollectString,
    ExternalModule,
    Monty,
    MontyCrashedError,
    MontyError,
    OSPolicy,
    RandomSeed,
    ResourceLimits,
)
from pydantic_monty._binary import find_monty_binary

from formatlab.errors import RunError

OUTPUT_BYTES = 64 * 2**10
"""Most that a program may print, in UTF-8."""
_SECONDS = 0.25
"""Processor time that a program may take."""
_FIRST_SECONDS = 0.05
"""Wall time of its first try. The interpreter limits wall time alone, which other work on the
machine uses up too; so a program that does not end in this time has a second try, with a worker of
its own that the system ends by its processor time. What ends within the first limit is within the
other as well. Programs mostly take a millisecond, and a second try costs twenty at least."""
_PATIENCE = 60.0
"""Seconds after which a worker that does not answer is killed; no program waits for anything."""
_NO_TIMER_SECONDS = 2.0
"""Wall time of a second try where the folder of temporary files does not let scripts run."""
_TIMER = (
    "import os, signal, sys; signal.setitimer(signal.ITIMER_PROF, float(sys.argv[1])); "
    "os.execv(sys.argv[2], sys.argv[2:])"
)
"""Starts a worker with a timer, which lasts over the change of program."""

# A grade must come out the same every time, and sleeping code must not hold up a run: sleeps do
# not count towards the time limit.
_POLICY = OSPolicy(datetime=datetime(2000, 1, 1), sleep="zero", random_start=RandomSeed(seed=0))

_OFTEN_UNUSED = {
    name: ExternalModule({})
    for name in (
        "cmath fractions heapq matplotlib numpy operator pandas scipy statistics string sympy"
    ).split()
}
"""Modules that the interpreter lacks, and that programs import out of habit: empty stand-ins."""

# Before every program the interpreter's client looks for a tracer that is not installed; without
# this, the search takes longer than the program.
if importlib.util.find_spec("opentelemetry") is None:
    sys.modules.setdefault("opentelemetry.context", None)  # pyright: ignore[reportArgumentType] - None bars an import

_UNDEFINED = frozenset(f"name '{name}' is not defined" for name in dir(builtins))
"""What the interpreter says where it lacks a name that real Python has."""

Failure = Literal["error", "unsupported", "time", "memory"]
"""Why code gave no value; `unsupported`: it asks for something that real Python has and the
interpreter lacks, such as a module."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """The result of running one piece of code."""

    value: object = None
    """Value of the last expression."""
    output: str = ""
    """What it printed, also where it failed; at most `OUTPUT_BYTES`."""
    failure: Failure | None = None
    """Why there is no value; None where the code ran to its end."""
    message: str = ""
    """The interpreter's words about a failure."""


class Sandbox:
    """Worker processes that interpret a subset of Python, with limits always set.

    The interpreter (pydantic-monty) has no files, network, processes or imports of the host. Every
    program starts from an empty state, with a clock that stands still and the same random numbers;
    limits are 0.25 s of processor time, 64 MiB, 200 nested calls and 64 KiB of output. What runs
    out of time or memory is tried once more. Importing a common module that the interpreter lacks
    (such as numpy) is no error as long as the program never uses it. Thread-safe; called from
    several threads, it runs as many programs at once as there are cores.

    Raises:
        RunError: the workers cannot be started.
    """

    def __init__(self) -> None:
        """Start one worker; more start when they are needed."""
        _refuse_forks()
        self._folder = tempfile.TemporaryDirectory(prefix="formatlab-sandbox-")
        try:
            interpreter, folder = find_monty_binary(), Path(self._folder.name)
            with_timer = (sys.executable, "-I", "-S", "-c", _TIMER, str(_SECONDS), interpreter)
            timed = _script(folder / "timed", with_timer)
            self._first = _Tries(
                _pool(_script(folder / "monty", (interpreter,)) or interpreter),
                _limits(_FIRST_SECONDS),
            )
            self._second = _Tries(
                _pool(timed or interpreter, min_processes=0, max_checkouts_per_worker=1),
                _limits(None if timed else _NO_TIMER_SECONDS),
            )
            for tries in (self._first, self._second):
                tries.pool.__enter__()
        except (OSError, RuntimeError) as error:
            self._folder.cleanup()
            raise _does_not_work(error) from error

    def run(self, code: str) -> Execution:
        """Run code and give the value of its last expression, or why there is none.

        Raises:
            RunError: this process is a fork of the one that uses sandboxes, or the interpreter
                does not work.
        """
        _refuse_forks()
        execution = self._twice(code)
        if execution.failure == "unsupported":
            with_stand_ins = self._twice(code, modules=_OFTEN_UNUSED)
            if with_stand_ins.failure is None:
                return with_stand_ins
        return execution

    def close(self) -> None:
        """End the workers; in a fork of the process that started them, do nothing."""
        if _user != os.getpid():
            return
        for tries in (self._first, self._second):
            tries.pool.__exit__(None, None, None)
        self._folder.cleanup()

    def _twice(
        self, code: str, *, modules: Mapping[str, ExternalModule] | None = None
    ) -> Execution:
        """Run code, and once more if that took too much time or memory, or the worker ended."""
        try:
            execution = self._first.run(code, modules)
        except MontyCrashedError:  # perhaps something outside killed it
            execution = None
        if execution is not None and execution.failure not in ("time", "memory"):
            return execution
        try:
            return self._second.run(code, modules)
        except MontyCrashedError as error:
            self._check()
            return Execution(failure="memory", message=str(error))

    def _check(self) -> None:
        """Tell code that ends its worker from workers that cannot work at all."""
        try:
            self._second.run("", None)
        except MontyCrashedError as error:
            raise _does_not_work(error) from error


@dataclass(frozen=True, slots=True)
class _Tries:
    """Workers and the limits that they have."""

    pool: Monty
    limits: ResourceLimits

    def run(self, code: str, modules: Mapping[str, ExternalModule] | None) -> Execution:
        """Run code in one of the workers.

        Raises:
            MontyCrashedError: the worker ended, and not by a limit of time.
        """
        value, failure, message = None, None, ""
        printed = CollectString(max_bytes=OUTPUT_BYTES)
        try:
            with self.pool.checkout(
                limits=self.limits, os_policy=_POLICY, external_modules=modules
            ) as session:
                value = session.feed_run(code, print_callback=printed)
        except MontyCrashedError as error:
            if not error.timed_out and signal.SIGPROF.name not in str(error):
                raise
            failure, message = "time", "the program took too long"
        except MontyError as error:
            failure, message = _failure(error.exception()), str(error)
        except ValueError as error:  # code that is no text: lone surrogates
            failure, message = "error", str(error)
        except (OSError, RuntimeError) as error:
            raise _does_not_work(error) from error
        return Execution(value=value, output=printed.output, failure=failure, message=message)


def _limits(seconds: float | None) -> ResourceLimits:
    """What the interpreter itself limits, wall time included."""
    return ResourceLimits(
        max_feed_duration_secs=seconds, max_memory=64 * 2**20, max_recursion_depth=200
    )


def _pool(interpreter: str, **options: int) -> Monty:
    return Monty(
        binary_path=interpreter,
        max_processes=os.cpu_count() or 1,
        request_timeout=_PATIENCE,
        feed_duration_limit_grace=None,
        **options,
    )


def _does_not_work(error: Exception) -> RunError:
    return RunError(
        f"sandbox: the interpreter for model-written code does not start ({error}); "
        "install pydantic-monty anew, and see that MONTY_BIN is not set"
    )


def _script(place: Path, command: Sequence[str]) -> str | None:
    """A script that starts the interpreter without its standard error; None where it cannot run.

    A worker that meets its memory limit says so there, in the middle of a progress display.
    """
    place.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@" 2>/dev/null\n')
    place.chmod(0o700)
    runs = os.access(command[-1], os.X_OK) and os.access(place, os.X_OK)
    return str(place) if runs else None


def _failure(raised: BaseException) -> Failure:
    """The kind of an exception; `unsupported` where real Python might not have raised it."""
    words = str(raised)
    match raised:
        case TimeoutError():
            return "time"
        case MemoryError():
            return "memory"
        case ImportError():
            return "unsupported"
        case NotImplementedError() if words.startswith(("The monty ", "Wildcard imports")):
            return "unsupported"
        case NameError() if words in _UNDEFINED:
            return "unsupported"
        case TypeError() if words.startswith("cannot create '"):
            return "unsupported"
        case _:  # an attribute that is missing, too, is mostly the program's own mistake
            return "error"


_user: int | None = None
"""The process that uses sandboxes."""


def _refuse_forks() -> None:
    """The interpreter's client keeps threads, which a fork of this process lacks: it would hang."""
    global _user
    process = os.getpid()
    if _user is None:
        _user = process
    elif _user != process:
        raise RunError(
            "sandbox: this process was forked from one that uses the sandbox, where it cannot be "
            "used; have processes spawned instead (multiprocessing.get_context('spawn'))"
        )


_lock = threading.Lock()
_shared: Sandbox | None = None


def shared_sandbox() -> Sandbox:
    """The sandbox of this process, started on first use and ended with the process."""
    global _shared
    with _lock:
        if _shared is None:
            _shared = Sandbox()
            atexit.register(_shared.close)
        return _shared
