"""A Python function; the interpreter does the arithmetic."""

from random import Random
from typing import ClassVar

from formatlab.world.formats.format import Format, Missing, Reading
from formatlab.world.formats.page import Page
from formatlab.world.formats.snippet import Snippet
from formatlab.world.formats.steps import LETTERS, expression, symbol
from formatlab.world.problem import Problem, Result

_FUNCTION_NAMES = ("solve", "solution", "answer")


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

    def recognise(self, page: Page) -> bool:
        """A function definition, alone, in a block, or in lines of its own after some words."""
        return _snippet(page) is not None

    def read(self, page: Page) -> Reading | Missing:
        """The function and a call of it."""
        snippet = _snippet(page)
        if snippet is None:
            return "no answer"
        content = snippet.call()
        if content is None:
            return "malformed"
        others = (Reading(content=code, code=True) for code in snippet.other_answers())
        return Reading(content=content, code=True, also=tuple(others))


def _snippet(page: Page) -> Snippet | None:
    """The code with the function; one quoted within a sentence is none."""
    if page.code:
        session = page.session
        if session is None or not session.defines:
            return None
        if len(page.code) == 1:
            return session
        for block in reversed(page.code):  # of several programs, the last whole one counts
            alone = Snippet.parse(block.body)
            if alone.defines and alone.call() is not None:
                return alone
        return session
    return page.snippet if page.snippet is not None and page.snippet.defines else None


def _is_chain(problem: Problem) -> bool:
    """Whether every step changes the result of the one before by a plain number."""
    quantity = problem.steps[0].quantity
    for before, step in enumerate(problem.steps, start=-1):
        left = step.left.index if isinstance(step.left, Result) else -1
        if left != before or isinstance(step.right, Result) or step.quantity != quantity:
            return False
    return True
