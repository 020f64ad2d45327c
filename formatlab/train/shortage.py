"""Shortage: whether what a library raised came of too little memory, or of a full disk.

Libraries raise errors of their own there, often without the system's error number.
"""

import shutil
import sys
from pathlib import Path

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
