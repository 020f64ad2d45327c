"""A call of a calculator: an expression or statements in tags, executed."""

from random import Random
from typing import ClassVar

import regex

from formatlab.world.formats.format import PATTERN_SECONDS, Format, Reading
from formatlab.world.problem import Operand, Problem, Result

_OPEN = regex.compile(r"<tool>")
_CALL = regex.compile(r"<tool>(.*?)</tool>", regex.DOTALL)
_LETTERS = "abcdefgh"


class Tool(Format):
    """`<tool>(12 + 5) * 3</tool>`; the value of the last expression is the answer."""

    name: ClassVar[str] = "tool"

    def render(self, problem: Problem, random: Random) -> str:
        """Write one nested expression, or one assignment a step with the last one bare."""
        if random.random() < 0.5 or len(problem.steps) == 1:
            body = _expression(problem, len(problem.steps) - 1, outermost=True)
        else:
            lines = []
            for index, step in enumerate(problem.steps):
                text = (
                    f"{_letter(step.left)} {_symbol(step.operator)} {_letter(step.right)}"
                )
                last = index == len(problem.steps) - 1
                lines.append(text if last else f"{_LETTERS[index]} = {text}")
            body = "\n".join(lines)
        return f"<tool>{body}</tool>"

    def recognise(self, text: str) -> bool:
        """The text calls the tool, even where the closing tag is missing."""
        return _OPEN.search(text, timeout=PATTERN_SECONDS) is not None

    def read(self, text: str) -> Reading | None:
        """The inside of the last complete call."""
        calls = _CALL.findall(text, timeout=PATTERN_SECONDS)
        body = calls[-1].strip() if calls else ""
        return Reading(content=body, code=True) if body else None


def _symbol(operator: str) -> str:
    return "//" if operator == "/" else operator


def _letter(operand: Operand) -> str:
    return _LETTERS[operand.index] if isinstance(operand, Result) else str(operand)


def _expression(problem: Problem, index: int, *, outermost: bool) -> str:
    step = problem.steps[index]
    left, right = (
        _expression(problem, operand.index, outermost=False)
        if isinstance(operand, Result)
        else str(operand)
        for operand in (step.left, step.right)
    )
    text = f"{left} {_symbol(step.operator)} {right}"
    return text if outermost else f"({text})"
