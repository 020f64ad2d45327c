"""Progress: what a stage of training tells whoever started it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one stage has come; picklable, so that a worker can send it through a queue."""

    stage: str
    """What is running, as a person would name it: `base 0.8M s0`, `grpo 0.07M s0`."""
    step: int
    """Steps completed, from 0 to `total`."""
    total: int
    """Steps that the stage has in all."""
    leader: str | None
    """The format with the largest share at this step, where one is known."""
    share: float | None
    """The share of `leader`, from 0 to 1."""
    note: str = ""
    """Anything else worth a few words, such as the loss or the epoch."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that people should know, in a line that stays; picklable as well."""

    text: str


Emit = Callable[[Progress | Remark], None]
"""Told about progress."""
