"""A Python function; the interpreter does the arithmetic."""

import ast
from random import Random
from typing import ClassVar

import regex

from formatlab.world.formats.format import PATTERN_SECONDS, Format, Reading, unfence
from formatlab.world.problem import Operand, Problem, Result

_FUNCTION_NAMES = ("solve", "solution", "answer")
_LETTERS = "abcdefgh"
_FENCED = regex.compile(r"```[ \t]*[\w+-]*[ \t]*\r?\n(.*?)(?:```|\Z)", regex.DOTALL)
_DEFINITION = regex.compile(r"^[ \t]*(?:async[ \t]+)?def[ \t]+(\w+)[ \t]*\(", regex.MULTILINE)


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
            first = problem.steps[0]
            lines.append(f"    {first.quantity} = {first.left}")
            for step in problem.steps:
                lines.append(
                    f"    {step.quantity} = {step.quantity} {_symbol(step.operator)} {step.right}"
                )
            lines.append(f"    return {problem.steps[-1].quantity}")
        else:
            names = [
                _LETTERS[index] if style == "letters" else f"{step.quantity}{index + 1}"
                for index, step in enumerate(problem.steps)
            ]
            for variable, step in zip(names, problem.steps, strict=True):
                left, right = _name(step.left, names), _name(step.right, names)
                lines.append(f"    {variable} = {left} {_symbol(step.operator)} {right}")
            lines.append(f"    return {names[-1]}")
        return "\n".join(lines)

    def recognise(self, text: str) -> bool:
        """A function definition, alone or in a fence; one quoted within a sentence is none."""
        return _code(text) is not None

    def read(self, text: str) -> Reading | None:
        """The code, followed by a call of the last function it defines."""
        code = _code(text)
        if code is None:
            return None
        try:
            module = ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        functions = [node for node in module.body if isinstance(node, ast.FunctionDef)]
        if not functions or _needs_arguments(functions[-1]):
            return None
        return Reading(content=f"{code}\n{functions[-1].name}()", code=True)


def _code(text: str) -> str | None:
    """The code that the text consists of, or that its last fence holds; None where it has none."""
    whole = unfence(text)
    if _DEFINITION.match(whole.lstrip("\n \t\r"), timeout=PATTERN_SECONDS):
        return whole.strip("\n\r")
    fenced = _FENCED.findall(text, timeout=PATTERN_SECONDS)
    for block in reversed(fenced):
        if _DEFINITION.search(block, timeout=PATTERN_SECONDS):
            return block.strip("\n\r")
    return None


def _needs_arguments(function: ast.FunctionDef) -> bool:
    required = len(function.args.args) - len(function.args.defaults)
    keyword_only = [default for default in function.args.kw_defaults if default is None]
    return required > 0 or bool(keyword_only) or bool(function.args.posonlyargs)


def _is_chain(problem: Problem) -> bool:
    """Whether every step changes the result of the one before by a plain number."""
    quantities = {step.quantity for step in problem.steps}
    return (
        len(quantities) == 1
        and isinstance(problem.steps[0].left, int)
        and all(isinstance(step.right, int) for step in problem.steps)
        and all(
            step.left == Result(index) for index, step in enumerate(problem.steps[1:])
        )
    )


def _symbol(operator: str) -> str:
    """Python's operator; the divisions of the world come out even."""
    return "//" if operator == "/" else operator


def _name(operand: Operand, names: list[str]) -> str:
    return names[operand.index] if isinstance(operand, Result) else str(operand)
