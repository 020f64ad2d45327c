"""A program in real Python: run in this process, with its verdict in a form fit for JSON.

It runs in the locked fork alone. Whatever it does to the interpreter ends with the process.
"""

import ast
import builtins
import io
import sys

from formatlab.observe.sandbox.execution import OUTPUT_BYTES, Failure

Verdict = dict[str, object]
"""The fields of an Execution, its value encoded: numbers and containers as `{kind: content}`."""

VALUE_BYTES = 256 * 2**10
"""Longest value, as JSON, that is passed on."""
_VALUE_PARTS = 10_000
"""Most elements, at all depths, of a list or dictionary that is passed on."""
_VALUE_DEPTH = 20
_MESSAGE_LENGTH = 500

_NUMBER_MODULES = ("datetime", "decimal", "fractions", "numpy", "sympy")
"""Whose instances are passed on as what `str` gives for them."""


def verdict(code: str) -> Verdict:
    """Run code; no exception leaves, whatever it is."""
    output = _Output()
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(), output, output
    result: Verdict
    try:
        result = {"value": _Plain().encode(_value(code))}
    except MemoryError as error:
        result = failed("memory", _words(error))
    except BaseException as error:  # SystemExit and KeyboardInterrupt are the program's too
        result = failed("error", _words(error))
    if output.overflowed:
        result = failed("memory", f"it printed more than {OUTPUT_BYTES} bytes")
    return {**result, "output": output.text()}


def failed(failure: Failure, message: str) -> Verdict:
    """The verdict on a program without a value."""
    return {"failure": failure, "message": message[:_MESSAGE_LENGTH]}


def _value(code: str) -> object:
    tree = ast.parse(code)
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr):
        tree.body.pop()
    names: dict[str, object] = {"__name__": "__main__", "__builtins__": builtins}
    exec(compile(tree, "<program>", "exec", dont_inherit=True), names)
    if not isinstance(last, ast.Expr):
        return None
    expression = ast.Expression(last.value)
    return eval(compile(expression, "<program>", "eval", dont_inherit=True), names)


def _words(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:  # the program's own exceptions may refuse to be told
        return "an exception"


class _Output(io.TextIOBase):
    """Keeps what is printed, up to the cap."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._left = OUTPUT_BYTES
        self.overflowed = False

    def write(self, text: str, /) -> int:
        encoded = text.encode(errors="surrogatepass")
        if len(encoded) > self._left:
            encoded, self.overflowed = encoded[: self._left], True
        self._left -= len(encoded)
        self._parts.append(encoded.decode(errors="ignore"))
        if self.overflowed:
            raise MemoryError(f"output limit exceeded: {OUTPUT_BYTES} bytes")
        return len(text)

    def writable(self) -> bool:
        return True

    def text(self) -> str:
        return "".join(self._parts)


class _Plain:
    """A value as JSON can carry it."""

    def __init__(self) -> None:
        self._parts = 0
        self._bytes = 0

    def encode(self, value: object, depth: int = 0) -> object:
        self._parts += 1
        if self._parts > _VALUE_PARTS:
            raise MemoryError("its value has too many parts to be passed on")
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return self._counted(str(value))
        if kind is int and isinstance(value, int):
            return {"int": self._counted(hex(value))}
        if kind is float and isinstance(value, float):
            return {"float": value.hex()}
        if kind.__module__.partition(".")[0] in _NUMBER_MODULES:
            return self._counted(str(value))
        if depth < _VALUE_DEPTH:
            if kind in (list, tuple, set, frozenset) and isinstance(
                value, (list, tuple, set, frozenset)
            ):
                return {kind.__name__: [self.encode(item, depth + 1) for item in value]}
            if kind is dict and isinstance(value, dict):
                pairs = value.items()
                return {
                    "dict": [
                        [self.encode(key, depth + 1), self.encode(item, depth + 1)]
                        for key, item in pairs
                    ]
                }
        return {"opaque": self._counted(kind.__name__)}

    def _counted(self, text: str) -> str:
        self._bytes += len(text)
        if self._bytes > VALUE_BYTES:
            raise MemoryError(f"its value takes more than {VALUE_BYTES} bytes to pass on")
        return text
