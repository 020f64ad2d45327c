"""Straight-line programs of whole numbers, calculated here: what the sandbox says, without it.

Programs of the controlled world are such, and most of what a policy trained on them writes; a round
trip to the sandbox takes many times as long. A program is read here a line at a time; one with
anything that might mean something else in the sandbox is left to it.
"""

import builtins
import keyword
import operator
import re
from collections.abc import Callable
from typing import NamedTuple

from formatlab.observe.sandbox import Execution

_LONGEST = 1_000
"""Characters of a program."""

_TOKENS, _DEEPEST = 60, 20
"""Tokens of an expression, and brackets within one another: the interpreter of the sandbox takes
some hundred operations within one another."""

_DIGITS, _LARGEST = 18, 10**18
"""Digits of a number in the program, and the largest value; the interpreter limits memory."""

_LINE = re.compile(
    r"( *)(?:def +(\w+) *\( *\) *: *|(?:(\w+) *(//|[-+*%])?= *|(return|print)\b *)?([^=:]+))",
    re.ASCII,
)
_TOKEN = re.compile(r"\w+|//|[^ ]", re.ASCII)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)

_TAKEN = frozenset((*dir(builtins), *keyword.kwlist, *keyword.softkwlist))
"""Names that mean something of their own."""

_SUMS: dict[str, Callable[[int, int], int]] = {"+": operator.add, "-": operator.sub}
_PRODUCTS: dict[str, Callable[[int, int], int]] = {
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}
_OPERATIONS = _SUMS | _PRODUCTS

_Names = dict[str, int | None]
"""The values of names; None where the program has failed before."""


class _Line(NamedTuple):
    """The groups of `_LINE`."""

    indent: str
    function: str | None
    target: str | None
    changed: str | None
    """The operator of `a += 1`."""
    word: str | None
    expression: str


def calculated(code: str) -> Execution | None:
    """What the sandbox says of a program of whole numbers; None where it has to be asked.

    Such a program is made of functions without arguments, calls of all of them, names that are
    given the values of expressions (`+ - * // %` and brackets), and values that are printed or
    returned at the end of a function.
    """
    if len(code) > _LONGEST or not code.isascii():
        return None
    program = _Program()
    try:
        value = program.run(code.split("\n"))
    except _Unclear:
        return None
    output = "".join(program.printed)
    if program.failed:
        return Execution(output=output, failure="error")
    return Execution(value=value, output=output)


class _Unclear(Exception):
    """The program has something that is not read here."""


class _Program:
    """A program that is read and calculated at once.

    Behind a failure the rest is still read: the sandbox refuses some programs as a whole.
    """

    def __init__(self) -> None:
        self.printed: list[str] = []
        self.failed = False
        self._functions: dict[str, list[_Line]] = {}
        self._names: _Names = {}

    def run(self, lines: list[str]) -> int | None:
        """The value of the last line, if it is an expression that has one."""
        value = None
        body: list[_Line] | None = None  # of the function that the lines belong to
        called: set[str] = set()
        for text in lines:
            found = _LINE.fullmatch(text)
            if found is None:
                if text.strip(" "):
                    raise _Unclear
                continue
            line = _Line._make(found.groups())
            if line.indent:
                if body is None or line.function or (body and body[0].indent != line.indent):
                    raise _Unclear
                body.append(line)
                continue
            body = None
            value = None
            if line.function:
                body = self._functions[self._free(line.function)] = []
            elif line.target is None and line.word is None and line.expression.endswith("()"):
                name = line.expression[:-2]
                called.add(name)
                value = self._result(self._functions.get(name))
            else:
                value = self._do(line, self._names)
        if called != self._functions.keys():
            raise _Unclear  # what is not called has not been read
        return value

    def _free(self, name: str) -> str:
        """A name that may be bound, and is not yet."""
        if name in self._functions or name in self._names:
            raise _Unclear
        return _plain(name)

    def _result(self, body: list[_Line] | None) -> int | None:
        """What a call of a function returns."""
        if not body:
            raise _Unclear
        names: _Names = {}
        for line in body[:-1]:
            self._do(line, names)
        if body[-1].word == "return":
            return self._value(body[-1].expression, names)
        self._do(body[-1], names)
        return None

    def _do(self, line: _Line, names: _Names) -> int | None:
        """Assign or print; the value of an expression."""
        _, _, target, changed, word, expression = line
        if target:
            left = self._load(target, names) if changed else None
            value = self._value(expression, names)
            if changed:
                value = self._operation(_OPERATIONS[changed], left, value)
            if target not in names and (target in self._functions or _plain(target) != target):
                raise _Unclear
            names[target] = value
            return None
        if word == "print":
            if not (expression.startswith("(") and expression.endswith(")")):
                raise _Unclear
            value = self._value(expression[1:-1], names)
            if not self.failed:
                self.printed.append(f"{value}\n")
            return None
        if word:
            raise _Unclear  # `return` outside a function, or before other lines of it
        return self._value(expression, names)

    def _value(self, expression: str, names: _Names) -> int | None:
        tokens = _TOKEN.findall(expression)
        if len(tokens) == 3 and (operation := _OPERATIONS.get(tokens[1])):
            left = self._atom(tokens[0], names)
            return self._operation(operation, left, self._atom(tokens[2], names))
        if len(tokens) == 1:
            return self._atom(tokens[0], names)
        if len(tokens) > _TOKENS:
            raise _Unclear
        tokens.append("")
        tokens.reverse()
        value = self._sum(tokens, names, 0)
        if tokens != [""]:
            raise _Unclear
        return value

    def _sum(self, tokens: list[str], names: _Names, depth: int) -> int | None:
        """The value of a sum; its tokens are taken off the end of the list, the first one first."""
        value = self._product(tokens, names, depth)
        while operation := _SUMS.get(tokens[-1]):
            tokens.pop()
            value = self._operation(operation, value, self._product(tokens, names, depth))
        return value

    def _product(self, tokens: list[str], names: _Names, depth: int) -> int | None:
        value = self._factor(tokens, names, depth)
        while operation := _PRODUCTS.get(tokens[-1]):
            tokens.pop()
            value = self._operation(operation, value, self._factor(tokens, names, depth))
        return value

    def _factor(self, tokens: list[str], names: _Names, depth: int) -> int | None:
        token = tokens.pop()
        negative = token == "-"
        if negative:
            token = tokens.pop()
        if token == "(":
            if depth == _DEEPEST:
                raise _Unclear
            value = self._sum(tokens, names, depth + 1)
            if tokens.pop() != ")":
                raise _Unclear
        else:
            value = self._atom(token, names)
        return -value if negative and value is not None else value

    def _atom(self, token: str, names: _Names) -> int | None:
        if token.isdigit():
            if (token[0] == "0" and token != "0") or len(token) > _DIGITS:
                raise _Unclear
            return int(token)
        return self._load(token, names)

    def _load(self, name: str, names: _Names) -> int | None:
        if name in names:
            return names[name]
        if _plain(name) in self._functions or name in self._names:
            raise _Unclear
        self.failed = True
        return None

    def _operation(
        self, operation: Callable[[int, int], int], left: int | None, right: int | None
    ) -> int | None:
        if left is None or right is None:
            return None
        if right == 0 and operation in (operator.floordiv, operator.mod):
            self.failed = True
            return None
        value = operation(left, right)
        if abs(value) > _LARGEST:
            raise _Unclear
        return value


def _plain(name: str) -> str:
    """A name, unless it is none, or means something of its own."""
    if not _NAME.fullmatch(name) or name in _TAKEN or "__" in name:
        raise _Unclear
    return name
