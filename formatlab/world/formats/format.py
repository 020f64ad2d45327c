"""What a format is: it writes a solution, recognises one, and finds the answer in one."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from formatlab.world.problem import Problem

PATTERN_SECONDS = 2.0
"""Time limit of every pattern match on text that a model wrote; `regex` then raises TimeoutError.

No pattern here should come near it: they are written to take time in proportion to the text.
"""

NUMBER = r"[-\u2212]?[$€£]?\d(?:[\d,]*\d)?(?:\.\d+)?(?:/\d+)?(?:[eE][+-]?\d+)?"
"""Pattern of a number as it stands in running text, a full stop or comma behind it left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """Where a text holds its answer."""

    content: str
    """The answer as written, or the code whose value is the answer."""
    code: bool = False
    """Whether `content` has to be run."""


class Format(ABC):
    """A way to write a solution.

    `recognise` and `read` take any text. They raise TimeoutError where a pattern runs out of time,
    which the tagger turns into a tag.
    """

    name: ClassVar[str]

    @abstractmethod
    def render(self, problem: Problem, random: Random) -> str:
        """Write the worked solution of a controlled problem; `random` chooses the surface."""

    @abstractmethod
    def recognise(self, text: str) -> bool:
        """Whether the text is written in this format, well or badly, by its structure alone."""

    @abstractmethod
    def read(self, text: str) -> Reading | None:
        """Find the answer where this format puts it; None where there is none."""
