"""A Python function; the interpreter does the arithmetic."""

import ast
import warnings
from random import Random
from typing import ClassVar

import regex

from formatlab.world.formats.format import PATTERN_SECONDS, Format, Reading
from formatlab.world.formats.statement import LETTERS, expression, symbol
from formatlab.world.problem import Problem, Result

_FUNCTION_NAMES = ("solve", "solution", "answer")
_FENCED = regex.compile(r"```[ \t]*+[\w+-]*+[ \t]*+\r?\n(.*?)(?:```|\Z)", regex.DOTALL)
_DEFINITION = regex.compile(r"^[ \t]*+def[ \t]++\w++[ \t]*+\(", regex.MULTILINE)
_LINE_END = regex.compile(r"\r\n?|\n")
"""As the parser counts lines; `splitlines` knows more ends of lines."""

_OPENING = regex.compile(r"(?:[ \t\r]*+(?:(?:#|import[ \t]|from[ \t])[^\n]*+)?\n)*+")
"""Blank lines, comments and imports that may stand before the first definition."""


class Program(Format):
    """`def solve(): ... return n`, under any name, fenced or not."""

    name: ClassVar[str] = "program"

    def render(self, problem: Problem, random: Random) -> str:
        """Write a function with a statement a step; variables are reused, fresh, or letters."""
        style = random.choice(("reused", "numbered", "letters"))
        if style == "reused" and not _is_chain(problem):
            style = "numbered"
        lines = [f"def {random.choice(_FUNCTION_NAMES)}():"]
        if style == "reused":
            name = problem.steps[0].quantity
            names = [name]
            lines.append(f"    {name} = {problem.steps[0].left}")
            lines += [
                f"    {name} = {name} {symbol(step.operator)} {step.right}"
                for step in problem.steps
            ]
        else:
            names = [
                LETTERS[index] if style == "letters" else f"{step.quantity}{index + 1}"
                for index, step in enumerate(problem.steps)
            ]
            lines += [
                f"    {name} = {expression(step, names)}"
                for name, step in zip(names, problem.steps, strict=True)
            ]
        lines.append(f"    return {names[-1]}")
        return "\n".join(lines)

    def recognise(self, text: str) -> bool:
        """A function definition, alone or in a fence; one quoted within a sentence is none."""
        return _code(text) is not None

    def read(self, text: str) -> Reading | None:
        """The code up to the end of the last function it defines, and a call of that one.

        What models write below it calls the function too, prints, and often binds its name anew.
        """
        code = _code(text)
        if code is None:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # on dubious escapes in the model's strings
                module = ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        functions = [node for node in module.body if isinstance(node, ast.FunctionDef)]
        if not functions or _needs_arguments(functions[-1]):
            return None
        definitions = _LINE_END.split(code)[: functions[-1].end_lineno]
        return Reading(content="\n".join([*definitions, f"{functions[-1].name}()"]), code=True)


def _code(text: str) -> str | None:
    """The code that the text consists of, or that its last fence holds; None where it has none."""
    whole = text.strip()
    opening = _OPENING.match(whole, timeout=PATTERN_SECONDS)
    if _DEFINITION.match(whole, opening.end() if opening else 0, timeout=PATTERN_SECONDS):
        return whole
    for block in reversed(_FENCED.findall(text, timeout=PATTERN_SECONDS)):
        if _DEFINITION.search(block, timeout=PATTERN_SECONDS):
            return block.strip()
    return None


def _needs_arguments(function: ast.FunctionDef) -> bool:
    positional = len(function.args.posonlyargs) + len(function.args.args)
    return positional > len(function.args.defaults) or None in function.args.kw_defaults


def _is_chain(problem: Problem) -> bool:
    """Whether every step changes the result of the one before by a plain number."""
    first, *others = problem.steps
    return (
        isinstance(first.left, int)
        and all(step.left == Result(index) for index, step in enumerate(others))
        and all(isinstance(step.right, int) for step in problem.steps)
        and len({step.quantity for step in problem.steps}) == 1
    )
