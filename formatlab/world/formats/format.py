"""What a format is: it writes a solution, recognises one, and finds the answer in one."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Literal

from formatlab.errors import InputError
from formatlab.world.formats.page import Page
from formatlab.world.problem import Problem

Missing = Literal["no answer", "malformed", "ambiguous"]
"""Why a text of a format gives no answer: it holds none; what should hold it is broken or cut off;
it offers several that differ."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """Where a text holds its answer."""

    content: str
    """The answer as written, or the code whose value, or else whose last line of output, is it."""
    code: bool = False
    """Whether `content` has to be run."""
    also: tuple["Reading", ...] = ()
    """Further answers that the text commits to, written in another way; all have to agree."""


class Format(ABC):
    """A way to write a solution.

    `recognise` and `read` take any text, as a page. One that takes too long may raise TimeoutError,
    which the tagger turns into a tag.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Raised when `render` writes other text, so that worlds with the format have other bases."""

    def render(self, problem: Problem, random: Random) -> str:
        """Write the worked solution of a controlled problem; `random` chooses the surface.

        Raises:
            InputError: the format can only be recognised.
        """
        raise InputError(f"format {self.name!r} has no render, so it cannot be in a mixture")

    def includes(self, page: Page) -> frozenset[str]:
        """Formats that are part of this text's: their answers in it do not make it mixed."""
        return frozenset()

    @abstractmethod
    def recognise(self, page: Page) -> bool:
        """Whether the text is written in this format, well or badly, by its structure alone."""

    @abstractmethod
    def read(self, page: Page) -> Reading | Missing:
        """Find the answer where this format puts it, or say why there is none."""
