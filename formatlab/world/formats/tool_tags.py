"""A call of a calculator: an expression or statements in tags, executed."""

from random import Random
from typing import ClassVar

from formatlab.world.formats.format import Format, Reading
from formatlab.world.formats.statement import LETTERS, expression
from formatlab.world.problem import Problem, Step

_OPEN, _CLOSE = "<tool>", "</tool>"


class Tool(Format):
    """`<tool>(12 + 5) * 3</tool>`; the value of the last expression is the answer."""

    name: ClassVar[str] = "tool"

    def render(self, problem: Problem, random: Random) -> str:
        """Write one nested expression, or one assignment a step with the last one bare."""
        nested = random.random() < 0.5 or len(problem.steps) == 1
        body = _nested(problem.steps) if nested else _assignments(problem.steps)
        return f"{_OPEN}{body}{_CLOSE}"

    def recognise(self, text: str) -> bool:
        """The text calls the tool, even where the closing tag is missing."""
        return _OPEN in text

    def read(self, text: str) -> Reading | None:
        """The inside of the last complete call."""
        start = text.rfind(_OPEN, 0, max(text.rfind(_CLOSE), 0))
        if start < 0:
            return None
        body = text[start + len(_OPEN) : text.index(_CLOSE, start)].strip()
        return Reading(content=body, code=True) if body else None


def _nested(steps: tuple[Step, ...]) -> str:
    results: list[str] = []
    for step in steps[:-1]:
        results.append(f"({expression(step, results)})")
    return expression(steps[-1], results)


def _assignments(steps: tuple[Step, ...]) -> str:
    lines = [expression(step, LETTERS) for step in steps]
    named = [f"{letter} = {line}" for letter, line in zip(LETTERS, lines[:-1], strict=False)]
    return "\n".join([*named, lines[-1]])
