"""The sandbox: model-written code runs in an interpreter that has no way out."""

import atexit
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic_monty import (
    CollectString,
    Monty,
    MontyCrashedError,
    MontyError,
    OSPolicy,
    RandomSeed,
    ResourceLimits,
)

from formatlab.errors import RunError

Failure = Literal["error", "time", "memory"]

_LIMITS = ResourceLimits(
    max_feed_duration_secs=0.25, max_memory=64 * 2**20, max_recursion_depth=200
)
_OUTPUT_BYTES = 64 * 2**10
_WORKER_SECONDS = 5.0
"""After which a worker that does not answer is killed; sound code never comes near it."""

# A grade must come out the same every time, and sleeping code must not hold up a run: sleeps do
# not count towards the time limit.
_POLICY = OSPolicy(datetime=datetime(2000, 1, 1), sleep="zero", random_start=RandomSeed(seed=0))


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """What became of one piece of code."""

    value: object = None
    """Value of the last expression."""
    failure: Failure | None = None
    """Why there is no value; None where the code ran to its end."""
    message: str = ""
    """The interpreter's words about a failure."""


class Sandbox:
    """A worker process that interprets a subset of Python, with limits always set.

    The interpreter (pydantic-monty) has no files, network, processes or imports of the host. Every
    program starts from an empty state, with a clock that stands still and the same random numbers;
    limits are 0.25 s, 64 MiB, 200 nested calls and 64 KiB of output. Thread-safe.

    Raises:
        RunError: the worker cannot be started.
    """

    def __init__(self) -> None:
        """Start the worker."""
        self._pool = Monty(
            max_processes=1, request_timeout=_WORKER_SECONDS, feed_duration_limit_grace=None
        )
        self._lock = threading.Lock()
        try:
            self._pool.__enter__()
        except (OSError, RuntimeError) as error:
            raise RunError(
                f"sandbox: the interpreter for model-written code does not start ({error}); "
                "install pydantic-monty anew, and see that MONTY_BIN is not set"
            ) from error

    def run(self, code: str) -> Execution:
        """Run code and give the value of its last expression, or why there is none."""
        try:
            return Execution(value=self._value(code))
        except MontyCrashedError as error:
            return Execution(failure="time" if error.timed_out else "memory", message=str(error))
        except MontyError as error:
            return Execution(failure=_failure(error), message=str(error))
        except ValueError as error:  # code that is no text: lone surrogates
            return Execution(failure="error", message=str(error))

    def _value(self, code: str) -> object:
        """The value of the code; where something else killed the worker, a new one is asked."""
        try:
            return self._feed(code)
        except MontyCrashedError as error:
            if error.timed_out:
                raise
        return self._feed(code)

    def _feed(self, code: str) -> object:
        with self._lock, self._pool.checkout(limits=_LIMITS, os_policy=_POLICY) as session:
            return session.feed_run(code, print_callback=CollectString(max_bytes=_OUTPUT_BYTES))

    def close(self) -> None:
        """End the worker."""
        self._pool.__exit__(None, None, None)


def _failure(error: MontyError) -> Failure:
    raised = error.exception()
    if isinstance(raised, TimeoutError):
        return "time"
    return "memory" if isinstance(raised, MemoryError) else "error"


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
