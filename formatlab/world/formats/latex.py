r"""Worked equations that end in `\boxed{N}`."""

from random import Random
from typing import ClassVar

import regex

from formatlab.world.formats.box import boxed
from formatlab.world.formats.conclusion import concluding, marked, stated
from formatlab.world.formats.format import Format, Missing, Reading
from formatlab.world.formats.page import Page
from formatlab.world.formats.steps import worked_lines
from formatlab.world.problem import Operator, Problem

_STRUCTURE = regex.compile(
    r"\\boxed|\\\[|\\\(|\\begin\{|\\(?:times|cdot|d?frac|div|sqrt|left|text)\b"
    # `$...$` by pandoc's rule, or every price in dollars would open mathematics
    r"|\$(?=\S)[^$\n=]{1,200}+=[^$\n]{1,200}+(?<=\S)\$(?!\d)|\$\$[^$]"
)

_SHORT = 60
_ALONE = regex.compile(
    r"\s*+(?:\$|\\\()?(?:[\d\s+*/^{}()-]|\\(?:[dt]?frac|sqrt|pi|cdot|times|left"
    r"|right)(?![A-Za-z]))++"
    r"(?:\$|\\\))?\.?\s*+"
)
"""A number in roots, fractions and powers, and nothing else."""


class Latex(Format):
    """Equations in mathematical markup, with the answer in a box."""

    name: ClassVar[str] = "latex"

    def render(self, problem: Problem, random: Random) -> str:
        """Write one equation a step, in one of two delimiters and two signs for times."""
        opening, closing, gap = random.choice((("$", "$", ", "), ("\\[", "\\]", "\n")))
        times = random.choice(("\\times", "\\cdot"))
        signs: dict[Operator, str] = {"+": "+", "-": "-", "*": times, "/": "\\div"}
        lines = worked_lines(problem)
        equations = [
            f"{opening}{left} {signs[operator]} {right} = {result}{closing}"
            for left, operator, right, result in lines
        ]
        equations.append(f"\\boxed{{{lines[-1].result}}}")
        return gap.join(equations)

    def includes(self, page: Page) -> frozenset[str]:
        """Without a box, what is stated."""
        return frozenset(("prose",)) if boxed(page.statement) == "no answer" else frozenset()

    def recognise(self, page: Page) -> bool:
        """A box; or worked mathematics, unless words outside it state the answer."""
        text = page.statement
        if "\\" not in text and "$" not in text:
            return False
        if boxed(text) != "no answer":
            return True
        if _STRUCTURE.search(text) is None:
            return False
        if marked(text) != "no answer":
            return False
        last_line = text.rsplit("\n", 1)[-1]
        return _STRUCTURE.search(last_line) is not None or stated(text) == "no answer"

    def read(self, page: Page) -> Reading | Missing:
        """The inside of the box; else what a last sentence concludes, or the text itself."""
        if not self.recognise(page):
            return "no answer"
        answer = concluding(page.statement)
        if answer == "no answer" and len(page.text) <= _SHORT and _ALONE.fullmatch(page.text):
            return Reading(content=page.text.strip())
        return answer
