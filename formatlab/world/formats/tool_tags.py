"""Calls of a tool and turns in tags: `<tool>`, `<thought>`, `<execute>`, `<answer>` and such."""

from random import Random
from typing import ClassVar

from formatlab.world.formats.box import answer_key
from formatlab.world.formats.code_fenced import CodeFenced
from formatlab.world.formats.code_tags import answer_element, run
from formatlab.world.formats.commitment import is_taken_back
from formatlab.world.formats.conclusion import concluding
from formatlab.world.formats.direct import Direct
from formatlab.world.formats.format import Format, Missing, Reading
from formatlab.world.formats.json import Json
from formatlab.world.formats.page import Page
from formatlab.world.formats.program import Program
from formatlab.world.formats.script import Script
from formatlab.world.formats.steps import expression, statements
from formatlab.world.problem import Problem, Step

_OPEN, _CLOSE = "<tool>", "</tool>"
_AFTER_THE_TURNS = (Direct(), Json(), CodeFenced(), Program(), Script())
"""What may hold the answer after turns that do not, beside what is said there."""


class ToolTags(Format):
    """`<tool>(12 + 5) * 3</tool>`, or turns of which the last one holds the answer."""

    name: ClassVar[str] = "tool_tags"

    def render(self, problem: Problem, random: Random) -> str:
        """Write one nested expression, or one assignment a step with the last one bare."""
        nested = random.random() < 0.5 or len(problem.steps) == 1
        body = _nested(problem.steps) if nested else "\n".join(statements(problem.steps))
        return f"{_OPEN}{body}{_CLOSE}"

    def includes(self, page: Page) -> frozenset[str]:
        """Code in its turns; and what is said outside them, where that is where the answer is."""
        code = frozenset(("program", "script", "code_fenced", "code_tags"))
        given = [element.end for element in page.elements if element.kind == "answer"]
        if not given:
            return code | {"latex", "prose", "json", "direct"}
        return frozenset() if any(block.start >= max(given) for block in page.code) else code

    def recognise(self, page: Page) -> bool:
        """A tag that is a turn or a call, or whose name says that it holds the answer.

        Where other tags hold code, and no tool is called, the code is what makes the text.
        """
        if not page.elements:
            return False
        kinds = {element.kind for element in page.elements}
        if "code" in kinds and not any(e.runs and e.kind == "turn" for e in page.elements):
            return False
        return not kinds.isdisjoint(("turn", "answer"))

    def read(self, page: Page) -> Reading | Missing:
        """The inside of the answer's tags; else what follows the turns; else what calls give."""
        if not self.recognise(page):
            return "no answer"
        answer = answer_element(page)
        if answer != "no answer":
            return answer
        rest = Page(page.text[max(e.end for e in page.elements) :])
        for form in _AFTER_THE_TURNS if rest.text else ():
            said = form.read(rest)
            if said != "no answer":
                also = concluding(rest.statement) if form.name == "json" else "no answer"
                return said if also == "no answer" or _same(said, also) else "ambiguous"
        said = concluding(page.after)
        if said != "no answer" or is_taken_back(rest.text):
            return said
        return run([e for e in page.elements if e.runs])


def _same(one: Reading | Missing, other: Reading | Missing) -> bool:
    return (
        isinstance(one, Reading)
        and isinstance(other, Reading)
        and answer_key(one.content) == answer_key(other.content)
    )


def _nested(steps: tuple[Step, ...]) -> str:
    results: list[str] = []
    for step in steps[:-1]:
        results.append(f"({expression(step, results)})")
    return expression(steps[-1], results)
