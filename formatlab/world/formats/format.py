"""What a format is: it writes a solution, recognises one, and finds the answer in one."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from random import Random
from typing import ClassVar

import regex

from formatlab.world.problem import Problem

PATTERN_SECONDS = 0.5
"""Time limit of every pattern match on text that a model wrote."""

_FENCE = regex.compile(r"\s*```[ \t]*[\w+-]*[ \t]*\r?\n(?P<inside>.*?)(?:```\s*|\Z)", regex.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """Where a text holds its answer."""

    content: str
    """The answer as written, or the code whose value is the answer."""
    code: bool = False
    """Whether `content` has to be run."""


class Format(ABC):
    """A way to write a solution."""

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


def unfence(text: str) -> str:
    """The inside of a code fence that holds the whole text; otherwise the text."""
    match = _FENCE.fullmatch(text, timeout=PATTERN_SECONDS)
    return match["inside"] if match else text
