"""The answer alone."""

from random import Random
from typing import ClassVar

import regex

from formatlab.world.formats.format import NUMBER, PATTERN_SECONDS, Format, Reading
from formatlab.world.formats.worked import worked_lines
from formatlab.world.problem import Problem

_ALONE = regex.compile(
    rf"\s*+[$€£]?\s*+(?P<number>{NUMBER})\s*+"
    r"(?:%|\p{L}{1,20}+(?:[ \t]++\p{L}{1,20}+)?)?\s*+\.?\s*+"
)


class Direct(Format):
    """A number with nothing around it but a currency sign or a unit."""

    name: ClassVar[str] = "direct"

    def render(self, problem: Problem, random: Random) -> str:
        """Write the number, with the noun of the last step in half of the cases."""
        answer = str(worked_lines(problem)[-1].result)
        return answer if random.random() < 0.5 else f"{answer} {problem.steps[-1].quantity}"

    def recognise(self, text: str) -> bool:
        """Nothing but one number and its unit."""
        return _ALONE.fullmatch(text, timeout=PATTERN_SECONDS) is not None

    def read(self, text: str) -> Reading | None:
        """The number."""
        match = _ALONE.fullmatch(text, timeout=PATTERN_SECONDS)
        return Reading(content=match["number"]) if match else None
