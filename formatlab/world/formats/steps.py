"""The steps of a solution, for formats to write: as Python statements, and as worked lines.

Executed formats take the statements, whose result the interpreter finds; the others take the lines,
each with its numbers and its result.
"""

from collections.abc import Sequence
from typing import NamedTuple

from formatlab.world.problem import Operand, Operator, Problem, Result, Step, apply, value

LETTERS = "abcdefgh"
"""Names for the results of successive steps."""


def symbol(operator: Operator) -> str:
    """Python's operator; the divisions of the world come out even."""
    return "//" if operator == "/" else operator


def expression(step: Step, names: Sequence[str]) -> str:
    """The step's operation, with results of earlier steps by name."""
    operator, left, right, _, _ = step
    return f"{_operand(left, names)} {symbol(operator)} {_operand(right, names)}"


def statements(steps: Sequence[Step]) -> list[str]:
    """An assignment a step, but for the last one, which stands bare."""
    lines = [expression(step, LETTERS) for step in steps]
    named = [f"{letter} = {line}" for letter, line in zip(LETTERS, lines[:-1], strict=False)]
    return [*named, lines[-1]]


def _operand(operand: Operand, names: Sequence[str]) -> str | int:
    return names[operand.index] if isinstance(operand, Result) else operand


class WorkedLine(NamedTuple):
    """One step of a solution, calculated."""

    left: int
    operator: Operator
    right: int
    result: int


def worked_lines(problem: Problem) -> list[WorkedLine]:
    """The steps of a controlled problem in order; the last result is the answer they lead to.

    That is not the problem's own answer where a step has been mistranslated.
    """
    lines: list[WorkedLine] = []
    results: list[int] = []
    for operator, first, second, _, _ in problem.steps:
        left, right = value(first, results), value(second, results)
        result = apply(operator, left, right)
        results.append(result)
        lines.append(WorkedLine(left, operator, right, result))
    return lines
