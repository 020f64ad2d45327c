"""Bare statements of Python; the interpreter does the arithmetic."""

from random import Random
from typing import ClassVar

from formatlab.world.formats.format import Format, Missing, Reading
from formatlab.world.formats.page import Page
from formatlab.world.formats.snippet import Snippet
from formatlab.world.formats.steps import statements
from formatlab.world.problem import Problem


class Script(Format):
    """`a = 12 + 5`, `ans = a * 3`: statements without a function, fenced or not."""

    name: ClassVar[str] = "script"

    def render(self, problem: Problem, random: Random) -> str:
        """Write an assignment a step; the last one binds `ans`, or its result is printed."""
        *named, last = statements(problem.steps)
        return "\n".join([*named, f"ans = {last}" if random.random() < 0.5 else f"print({last})"])

    def recognise(self, page: Page) -> bool:
        """Code without a function is what the text begins with, or what its blocks hold."""
        return _snippet(page) is not None

    def read(self, page: Page) -> Reading | Missing:
        """The statements, and where their result is."""
        snippet = _snippet(page)
        if snippet is None:
            return "no answer"
        content = snippet.script()
        if content is None:
            return "malformed" if snippet.module is None else "no answer"
        others = (Reading(content=code, code=True) for code in snippet.other_answers())
        return Reading(content=content, code=True, also=tuple(others))


def _snippet(page: Page) -> Snippet | None:
    """The code of the blocks, or the code that the text begins with, if it defines no function."""
    snippet = page.session if page.code else page.snippet
    return None if snippet is None or snippet.defines else snippet
