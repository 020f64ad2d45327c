"""Atomic files: a reader finds the old file or the new one, never half of one."""

import errno
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from formatlab.errors import FormatlabError, InputError, RunError

TEMPORARY_PREFIX = ".unfinished-"
"""Start of the names of temporary files. A killed writer leaves them, and nothing reads them."""

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_PERMISSION = {errno.EACCES, errno.EPERM, errno.EROFS}


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, sync it and move it over `path`.

    Raises:
        InputError: the place cannot be written to (permission, not a folder).
        RunError: no space left, or another failure of the file system.
    """
    with explained_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Named before it is made, so that an interrupt at any moment leaves nothing.
        temporary = path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
        try:
            temporary.touch(exist_ok=False)
            write(temporary)
            sync(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        sync(path.parent)


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Write bytes; see `write_atomically`."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_atomically(path, write)


def write_text_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text, with `?` for what UTF-8 cannot hold; see `write_atomically`."""
    write_bytes_atomically(path, text.encode("utf-8", "replace"))


def write_json_atomically(path: Path, value: Mapping[str, Any]) -> None:
    """Write indented JSON; see `write_atomically`."""
    write_text_atomically(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def sync(path: Path) -> None:
    """Flush a file or folder to the disk, so that a power cut cannot undo it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explained_os_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` met while working on `path` into a message for people."""
    try:
        yield
    except OSError as error:
        raise _explained(path, error) from error


def _explained(path: Path, error: OSError) -> FormatlabError:
    if error.errno in _NO_SPACE:
        return RunError(
            f"No space left to write {path}. What was written before is intact: free some space "
            "and repeat the command to go on, or choose a folder on another disk."
        )
    if error.errno in _NO_PERMISSION:
        return InputError(
            f"No permission to write {path}. Choose a folder you can write to, or change the "
            "permissions of this one."
        )
    if isinstance(error, (NotADirectoryError, FileExistsError)):
        return InputError(
            f"Cannot write {path}: a part of this path is a file, not a folder. Choose another "
            "folder."
        )
    return RunError(f"Cannot write {path}: {error.strerror or error}.")
