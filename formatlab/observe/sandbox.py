"""The sandbox: model-written code runs in an interpreter that has no way out."""

import atexit
import threading
from dataclasses import dataclass
from typing import Literal

from pydantic_monty import CollectString, Monty, MontyCrashedError, MontyError, ResourceLimits

Failure = Literal["error", "time", "memory"]

_LIMITS = ResourceLimits(
    max_feed_duration_secs=0.25, max_memory=64 * 2**20, max_recursion_depth=200
)
_OUTPUT_BYTES = 64 * 2**10
_REQUEST_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """What became of one piece of code."""

    value: object = None
    """Value of the last expression."""
    failure: Failure | None = None
    message: str = ""


class Sandbox:
    """A worker process that interprets a subset of Python, with limits always set.

    The interpreter (pydantic-monty) has no files, network, processes or imports of the host. Every
    program starts from an empty state; limits are 0.25 s, 64 MiB, 200 nested calls and 64 KiB of
    output. Thread-safe.
    """

    def __init__(self) -> None:
        """Start the worker."""
        self._pool = Monty(max_processes=1, request_timeout=_REQUEST_SECONDS)
        self._pool.__enter__()
        self._lock = threading.Lock()

    def run(self, code: str) -> Execution:
        """Run code and give the value of its last expression, or why there is none."""
        try:
            with self._lock, self._pool.checkout(limits=_LIMITS) as session:
                value = session.feed_run(
                    code, print_callback=CollectString(max_bytes=_OUTPUT_BYTES)
                )
        except MontyCrashedError as error:
            return Execution(failure="time" if error.timed_out else "memory", message=str(error))
        except MontyError as error:
            return Execution(failure=_kind(error), message=str(error))
        except (ValueError, UnicodeError) as error:  # code that is no text: NUL, lone surrogates
            return Execution(failure="error", message=str(error))
        return Execution(value=value)

    def close(self) -> None:
        """End the worker."""
        self._pool.__exit__(None, None, None)


def _kind(error: MontyError) -> Failure:
    text = str(error)
    if "TimeoutError" in text:
        return "time"
    return "memory" if "MemoryError" in text else "error"


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
