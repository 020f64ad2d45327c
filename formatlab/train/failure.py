"""Failures: what an error came of, and its text for a folder's FAILED.

Where memory or a disk runs short libraries raise errors of their own, often without the system's
error number.
"""

import shutil
import sys
import traceback
from pathlib import Path

from formatlab.errors import FormatlabError

_MEMORY_SIGNS = (
    "can't allocate memory",  # torch, on a CPU
    "Cannot allocate memory",
    "can't start new thread",
    "Failed to launch worker thread",  # pyarrow
    "error return without exception set",  # compiled code that did not foresee it
    "std::bad_alloc",
)
_DISK_SIGNS = (
    "No space left on device",
    "Disk quota exceeded",
    "File too large",
    "PytorchStreamWriter failed writing",
    "unexpected pos",  # what torch.save says when a write was cut short
)
_LEAST_FREE = 2**20
"""Free bytes below which any failure is put down to a full disk."""


def out_of_memory(error: BaseException) -> str | None:
    """What an error says about too little memory, in a line; None if it is about something else."""
    torch = sys.modules.get("torch")  # what is not imported raised nothing
    kinds = (MemoryError, getattr(torch, "OutOfMemoryError", MemoryError))
    said = str(error).partition("\n")[0]
    if isinstance(error, kinds) or any(sign in said for sign in _MEMORY_SIGNS):
        return said or "out of memory"
    return None


def is_disk_full(error: BaseException, folder: Path) -> bool:
    """Whether an error, or what caused it, came of a full disk.

    Args:
        error: what was raised.
        folder: where it was written to.
    """
    link: BaseException | None = error
    while link is not None:
        if any(sign in str(link) for sign in _DISK_SIGNS):
            return True
        link = link.__cause__ or link.__context__
    return shutil.disk_usage(folder).free < _LEAST_FREE


def failure_reason(error: Exception) -> str:
    """The text of a failure: its message, or for a bug its place and then the traceback.

    The author of an added format has to see at once which line of it is wrong.
    """
    if isinstance(error, FormatlabError):
        return str(error)
    said = str(error).strip().partition("\n")[0]
    words = f"{type(error).__name__}: {said}" if said else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    if frames:
        last = frames[-1]
        words += f" ({Path(last.filename).name}, line {last.lineno}, in {last.name})"
    return f"{words}\n\n{''.join(traceback.format_exception(error)).rstrip()}"
