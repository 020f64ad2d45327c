"""A full disk, told by what the libraries make of it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

_LEAST_FREE = 2**20
_SIGNS = (
    "No space left on device",
    "Disk quota exceeded",
    "File too large",
    "PytorchStreamWriter failed writing",
    "unexpected pos",  # what torch.save says when a write was cut short
)


def disk_full(error: BaseException, folder: Path) -> str | None:
    """A message for people if an error came of a disk that is full; None if it did not.

    torch and safetensors raise errors of their own, without the system's error number.
    """
    told = any(sign in str(link) for link in _chain(error) for sign in _SIGNS)
    if not told and shutil.disk_usage(folder).free >= _LEAST_FREE:
        return None
    return (
        f"no space left to write in {folder}: free some, or choose another runs folder with "
        "--runs-dir; the same command then goes on from the last checkpoint"
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came of."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
