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
from formatlab.observe.sandbox.execution import OUTPUT_BYTES, Execution, Failure, Opaque
from formatlab.observe.sandbox.locked_python import LockedPython

__all__ = ["Execution", "Failure", "Opaque", "Sandbox", "TierCount", "shared_sandbox"]

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


@dataclass(frozen=True, kw_only=True, slots=True)
class TierCount:
    """How many programs a sandbox has run, and where."""

    programs: int = 0
    """All of them."""
    second: int = 0
    """Those that needed the second tier, be it on or off."""
    second_values: int = 0
    """Those of them that the second ran to their end."""


class Sandbox:
    """Worker processes that interpret a subset of Python, with limits always set.

    The interpreter (pydantic-monty) has no files, network, processes or imports of the host. Every
    program starts from an empty state, with a clock that stands still and the same random numbers;
    limits are 0.25 s, 64 MiB, 200 nested calls and 64 KiB of output. An import that the program
    does not go on to use does not fail it, if it is of a module that programs often import.
    Thread-safe; called from several threads, it runs as many programs at once as there are cores.

    Args:
        locked_python: whether code that asks for more than the subset (other imports, generators,
            inheritance) is run once more by `LockedPython`, a hundred times slower.

    Raises:
        RunError: the workers cannot be started, or the second tier is asked for and this system
            cannot lock it.
    """

    def __init__(self, *, locked_python: bool = False) -> None:
        """Start one worker of each tier that is asked for; more start when they are needed."""
        _note_process()
        cores = os.cpu_count() or 1
        self._lock = threading.Lock()
        self._count = TierCount()
        self._folder = tempfile.TemporaryDirectory(prefix="formatlab-sandbox-")
        try:
            self._pool = Monty(
                binary_path=_quiet(find_monty_binary(), Path(self._folder.name)),
                max_processes=cores,
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
        self._second = LockedPython(processes=cores) if locked_python else None

    @property
    def count(self) -> TierCount:
        """What has been run so far."""
        return self._count

    def run(self, code: str) -> Execution:
        """Run code and give the value of its last expression, or why there is none.

        Raises:
            RunError: this process is a fork of the one that uses sandboxes.
        """
        _note_process()
        execution, lacking = self._run(code)
        if lacking:
            spared, _ = self._run(code, modules=_OFTEN_UNUSED)
            if spared.failure is None:
                execution, lacking = spared, False
        if lacking and self._second is not None:
            execution = self._second.run(code)
        self._note(execution, lacking=lacking)
        return execution

    def close(self) -> None:
        """End the workers; in a fork of the process that started them, do nothing."""
        if _user != os.getpid():
            return
        self._pool.__exit__(None, None, None)
        self._folder.cleanup()
        if self._second is not None:
            self._second.close()

    def _run(
        self,
        code: str,
        *,
        modules: Mapping[str, ExternalModule] | None = None,
        again: bool = False,
    ) -> tuple[Execution, bool]:
        """What became of the code, and whether that is for lack of something real Python has."""
        value, failure, message, lacking = None, None, "", False
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
            raised = error.exception()
            failure, message, lacking = _failure(raised), str(error), _is_lack(raised)
        except ValueError as error:  # code that is no text: lone surrogates
            failure, message = "error", str(error)
        execution = Execution(value=value, output=printed.output, failure=failure, message=message)
        return execution, lacking

    def _note(self, execution: Execution, *, lacking: bool) -> None:
        with self._lock:
            count = self._count
            self._count = TierCount(
                programs=count.programs + 1,
                second=count.second + lacking,
                second_values=count.second_values + (lacking and execution.failure is None),
            )


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
    match raised:
        case TimeoutError():
            return "time"
        case MemoryError():
            return "memory"
        case AttributeError():  # mostly the program's own mistake, if not always
            return "error"
        case _:
            return "unsupported" if _is_lack(raised) else "error"


def _is_lack(raised: BaseException) -> bool:
    """Whether real Python might not have raised this."""
    words = str(raised)
    match raised:
        case ImportError() | AttributeError():
            return True
        case NotImplementedError():
            return words.startswith(("The monty ", "Wildcard imports"))
        case NameError():
            return any(words == f"name '{name}' is not defined" for name in vars(builtins))
        case TypeError():
            return words.startswith("cannot create '")
        case _:
            return False


_user: int | None = None


def _note_process() -> None:
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
