r"""Worked equations that end in `\boxed{N}`."""

from random import Random
from typing import ClassVar

import regex

from formatlab.world.formats.format import PATTERN_SECONDS, Format, Reading
from formatlab.world.formats.worked import worked_lines
from formatlab.world.problem import Operator, Problem

_STRUCTURE = regex.compile(
    r"\\boxed|\\\[|\\\(|\\begin\{|\\(?:times|cdot|frac|div)\b"
    # `$...$` by pandoc's rule, or every price in dollars would open mathematics
    r"|\$(?=\S)[^$\n=]{1,200}+=[^$\n]{1,200}+(?<=\S)\$(?!\d)"
)
_BOX = regex.compile(r"\\boxed\s*+\{")
_BRACE = regex.compile(r"[{}]")


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
            f"{opening}{line.left} {signs[line.operator]} {line.right} = {line.result}{closing}"
            for line in lines
        ]
        equations.append(f"\\boxed{{{lines[-1].result}}}")
        return gap.join(equations)

    def recognise(self, text: str) -> bool:
        """A box, or worked mathematics in delimiters."""
        return _STRUCTURE.search(text, timeout=PATTERN_SECONDS) is not None

    def read(self, text: str) -> Reading | None:
        """The inside of the last box that is closed."""
        closing = _closing_braces(text)
        content = ""
        for match in _BOX.finditer(text, timeout=PATTERN_SECONDS):
            end = closing.get(match.end() - 1)
            content = content if end is None else text[match.end() : end].strip()
        return Reading(content=content) if content else None


def _closing_braces(text: str) -> dict[int, int]:
    """For the position of each opening brace that is closed, that of its closing one."""
    pairs: dict[int, int] = {}
    unclosed: list[int] = []
    for match in _BRACE.finditer(text, timeout=PATTERN_SECONDS):
        if match[0] == "{":
            unclosed.append(match.start())
        elif unclosed:
            pairs[unclosed.pop()] = match.start()
    return pairs
