r"""Worked equations that end in `\boxed{N}`."""

from random import Random
from typing import ClassVar

import regex

from formatlab.world.formats.format import PATTERN_SECONDS, Format, Reading
from formatlab.world.formats.worked import worked_lines
from formatlab.world.problem import Operator, Problem

_STRUCTURE = regex.compile(
    r"\\boxed|\\\[|\\\(|\\begin\{|\\(?:times|cdot|frac|div)\b|\$[^$\n]{1,200}=[^$\n]{1,200}\$"
)
_BOX = regex.compile(r"\\boxed\s*(?P<braces>\{(?:[^{}]++|(?&braces))*+\})")


class Latex(Format):
    r"""Equations in mathematical markup, with the answer in a box."""

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
        equations.append(f"\\boxed{{{lines[-1][3]}}}")
        return gap.join(equations)

    def recognise(self, text: str) -> bool:
        """A box, or worked mathematics in delimiters."""
        return _STRUCTURE.search(text, timeout=PATTERN_SECONDS) is not None

    def read(self, text: str) -> Reading | None:
        """The inside of the last box."""
        content = None
        for match in _BOX.finditer(text, timeout=PATTERN_SECONDS):
            content = match["braces"][1:-1].strip()
        return Reading(content=content) if content else None
