"""Locked Python: the second tier, real Python in processes that the kernel holds shut."""

import queue

from formatlab.errors import RunError
from formatlab.observe.sandbox.child import Child, ChildDied, ChildTimeout
from formatlab.observe.sandbox.execution import Execution, Opaque

_PROGRAM = ("-m", "formatlab.observe.sandbox.locked_python_child")
_SLACK = 10.0
"""Seconds beyond its programs' time after which the process that oversees them is replaced."""


class LockedPython:
    """Runs code in real Python with no files, network, processes or environment. Thread-safe.

    The standard modules of arithmetic and dates, numpy and sympy can be imported, as far as they
    are installed. Every program has a process of its own, with 256 MiB beyond the modules, 64 KiB
    of output, and the same random numbers (its clock is real).

    Args:
        processes: how many programs may run at once.
        seconds: of computing that a program may take; of time it may take thrice as many.

    Raises:
        RunError: this system's kernel offers no lock that holds.
    """

    def __init__(self, *, processes: int = 1, seconds: int = 2) -> None:
        """Start the first process and see that its locks hold."""
        self._seconds = seconds
        self._children = [Child((*_PROGRAM, str(seconds))) for _ in range(processes)]
        self._free: queue.LifoQueue[Child] = queue.LifoQueue()
        for child in self._children:
            self._free.put(child)
        try:
            self._ask("")
        except ChildDied as error:
            self.close()
            raise RunError(
                f"sandbox: the second tier cannot be locked, so it does not start: {error}; "
                "do without it"
            ) from error

    def run(self, code: str) -> Execution:
        """Run code and give the value of its last expression, or why there is none."""
        try:
            return _execution(self._ask(code))
        except ChildTimeout:
            return _failed("time", "stopped from outside")
        except ChildDied as error:
            return _failed("error", str(error))

    def close(self) -> None:
        """End the processes."""
        for child in self._children:
            child.close()

    def _ask(self, code: str) -> object:
        child = self._free.get()
        try:
            return child.ask(code, seconds=3 * self._seconds + _SLACK)
        finally:
            self._free.put(child)


def _failed(failure: object, message: object, output: object = "") -> Execution:
    """Of what a process that ran hostile code said, only what makes sense is believed."""
    return Execution(
        failure=failure if failure in ("time", "memory") else "error",
        message=str(message),
        output=output if isinstance(output, str) else "",
        tier=2,
    )


def _execution(verdict: object) -> Execution:
    match verdict:
        case {"failure": failure, "message": message, **others}:
            return _failed(failure, message, others.get("output"))
        case {"value": encoded, "output": str(output)}:
            try:
                return Execution(value=_decoded(encoded), output=output, tier=2)
            except (TypeError, ValueError, OverflowError, RecursionError):
                pass
    return _failed("error", "the program forged its verdict")


def _decoded(encoded: object) -> object:
    match encoded:
        case None | bool() | str():
            return encoded
        case {"int": str(text)}:
            return int(text, 16)
        case {"float": str(text)}:
            return float.fromhex(text)
        case {"list": list(items)}:
            return [_decoded(item) for item in items]
        case {"tuple": list(items)}:
            return tuple(_decoded(item) for item in items)
        case {"set": list(items)}:
            return {_decoded(item) for item in items}
        case {"frozenset": list(items)}:
            return frozenset(_decoded(item) for item in items)
        case {"dict": list(pairs)}:
            return {_decoded(key): _decoded(value) for key, value in pairs}
        case {"opaque": str(kind)}:
            return Opaque(kind=kind)
    raise ValueError("not an encoded value")
