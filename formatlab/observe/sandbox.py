"""The sandbox: model-written code runs in an interpreter that has no way out."""

import atexit
import builtins
import importlib.util
import os
import shlex
import sys
import tempfile
import threading
from collections.abc import Mapping
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
_LIMITS = ResourceLimits(
    max_feed_duration_secs=0.25, max_memory=64 * 2**20, max_recursion_depth=200
)
_WORKER_SECONDS = 5.0
"""After which a worker that does not answer is killed; sound code never comes near it."""

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
    limits are 0.25 s, 64 MiB, 200 nested calls and 64 KiB of output. Importing a common module that
    the interpreter lacks (such as numpy) is no error as long as the program never uses it.
    Thread-safe; called from several threads, it runs as many programs at once as there are cores.

    Raises:
        RunError: the workers cannot be started.
    """

    def __init__(self) -> None:
        """Start one worker; more start when they are needed."""
        _refuse_forks()
        self._folder = tempfile.TemporaryDirectory(prefix="formatlab-sandbox-")
        try:
            self._pool = Monty(
                binary_path=_quiet(find_monty_binary(), Path(self._folder.name)),
                max_processes=os.cpu_count() or 1,
                request_timeout=_WORKER_SECONDS,
                feed_duration_limit_grace=None,
            )
            self._pool.__enter__()
        except (OSError, RuntimeError) as error:
            self._folder.cleanup()
            raise RunError(
                f"sandbox: the interpreter for model-written code does not start ({error}); "
                "install pydantic-monty anew, and see that MONTY_BIN is not set"
            ) from error

    def run(self, code: str) -> Execution:
        """Run code and give the value of its last expression, or why there is none.

        Raises:
            RunError: this process is a fork of the one that uses sandboxes.
        """
        _refuse_forks()
        execution = self._run(code)
        if execution.failure == "unsupported":
            with_stand_ins = self._run(code, modules=_OFTEN_UNUSED)
            if with_stand_ins.failure is None:
                return with_stand_ins
        return execution

    def close(self) -> None:
        """End the workers; in a fork of the process that started them, do nothing."""
        if _user != os.getpid():
            return
        self._pool.__exit__(None, None, None)
        self._folder.cleanup()

    def _run(
        self,
        code: str,
        *,
        modules: Mapping[str, ExternalModule] | None = None,
        again: bool = False,
    ) -> Execution:
        value, failure, message = None, None, ""
        printed = CollectString(max_bytes=OUTPUT_BYTES)
        try:
            with self._pool.checkout(
                limits=_LIMITS, os_policy=_POLICY, external_modules=modules
            ) as session:
                value = session.feed_run(code, print_callback=printed)
        except MontyCrashedError as error:
            if not error.timed_out and not again:  # something outside may have killed the worker
                return self._run(code, modules=modules, again=True)
            failure, message = "time" if error.timed_out else "memory", str(error)
        except MontyError as error:
            failure, message = _failure(error.exception()), str(error)
        except ValueError as error:  # code that is no text: lone surrogates
            failure, message = "error", str(error)
        return Execution(value=value, output=printed.output, failure=failure, message=message)


def _quiet(interpreter: str, folder: Path) -> str:
    """A script that starts the interpreter without its standard error.

    A worker that meets its memory limit says so there, in the middle of a progress display.
    """
    script = folder / "monty"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(interpreter)} "$@" 2>/dev/null\n')
    script.chmod(0o700)
    runs = os.access(interpreter, os.X_OK) and os.access(script, os.X_OK)
    return str(script) if runs else interpreter


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
        case NameError() if any(words == f"name '{n}' is not defined" for n in vars(builtins)):
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
