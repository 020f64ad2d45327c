"""An execution: what became of one piece of model-written code."""

from dataclasses import dataclass
from typing import Literal

Failure = Literal["error", "unsupported", "time", "memory"]
"""Why code gave no value; `unsupported`: it asks for more than the first tier has, such as an
import, and the second tier, which might run it, is off."""

OUTPUT_BYTES = 64 * 2**10
"""Most that a program may print, in UTF-8."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Opaque:
    """Stands for a value that cannot leave the interpreter: an instance of the program's own."""

    kind: str
    """Name of its type."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """What became of one piece of code."""

    value: object = None
    """Value of the last expression."""
    output: str = ""
    """What it printed, also where it failed; at most 64 KiB."""
    failure: Failure | None = None
    """Why there is no value; None where the code ran to its end."""
    message: str = ""
    """The interpreter's words about a failure."""
    tier: Literal[1, 2] = 1
    """1 where the interpreter with no way out ran it, 2 where a locked-down Python did."""
