"""Words around fenced code that is run on the way; the answer is said after it."""

from random import Random
from typing import ClassVar

from formatlab.world.formats.box import boxed
from formatlab.world.formats.conclusion import concluding, marked
from formatlab.world.formats.format import Format, Missing, Reading
from formatlab.world.formats.page import Page
from formatlab.world.formats.steps import statements, worked_lines
from formatlab.world.problem import Problem


class CodeFenced(Format):
    """A fenced block of code, mostly with its output in a second one, and a last sentence."""

    name: ClassVar[str] = "code_fenced"

    def render(self, problem: Problem, random: Random) -> str:
        """Write the code, what it prints, and a sentence with the answer in a box or without."""
        *named, last = statements(problem.steps)
        code = "\n".join([*named, f"print({last})"])
        answer = worked_lines(problem)[-1].result
        said = f"The answer is {answer}." if random.random() < 0.5 else f"\\boxed{{{answer}}}"
        return f"```python\n{code}\n```\n```output\n{answer}\n```\n{said}"

    def includes(self, page: Page) -> frozenset[str]:
        """What is said after statements; after a whole program, only if its output stands there."""
        parts = frozenset(("prose", "latex", "script"))
        return parts | {"program"} if page.outputs else parts

    def recognise(self, page: Page) -> bool:
        """Code in a block, of which the output or the answer is said after it, or words follow.

        After a function, words that state no answer explain it: that is a program.
        """
        if not page.code:
            return False
        if any(block.start > page.code[0].start for block in page.outputs):
            return True
        if not page.after.strip():
            return False
        if boxed(page.after) != "no answer" or marked(page.after) != "no answer":
            return True
        return page.session is not None and not page.session.defines and page.after_in_words

    def read(self, page: Page) -> Reading | Missing:
        """What is said after the last code; else the code itself."""
        if not self.recognise(page):
            return "no answer"
        said = concluding(page.after)
        if said != "no answer":
            return said
        content = page.session.script() if page.session is not None else None
        return Reading(content=content, code=True) if content is not None else "malformed"
