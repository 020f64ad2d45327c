"""Output files: what a command writes to a place that its user names.

One rule holds for every verb. An existing file is replaced with `--overwrite` alone, an input
never; the suffix says what is written; and the place is tried before the work is done.
"""

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from formatlab.errors import InputError
from formatlab.store.atomic_file import TEMPORARY_PREFIX, explained_os_errors

FIGURE_FILES = (".png", ".svg", ".pdf")
"""Kinds of files that figures are written to."""


def check_output(
    option: str,
    path: Path,
    *,
    kinds: Sequence[str],
    inputs: Iterable[Path] = (),
    overwrite: bool = False,
) -> None:
    """Refuse a place where a file should not, or cannot, be written.

    Args:
        option: the option that names it, for messages.
        path: the file to be written.
        kinds: suffixes of what is written, the usual one first.
        inputs: what the command reads: files, or folders, of which everything counts. What does not
            exist is passed over.
        overwrite: whether an existing file may be replaced.

    Raises:
        InputError: it is a folder, of another kind, an input, or there already; or its folder is
            missing or cannot be written to.
        RunError: the file system does not take the file.
    """
    if path.is_dir():
        raise InputError(f"{option}: {path} is a folder; name a file")
    if path.suffix.lower() not in kinds:
        raise InputError(
            f"{option}: {path} should be a {' or '.join(kinds)} file, as that is what is written; "
            f"name it {kinds[0]}"
        )
    if not path.parent.is_dir():
        raise InputError(f"{option}: {path.parent} is no folder; make it, or choose another")
    with explained_os_errors(path):
        if _exists(path):
            if any(_is_part(path, of) for of in inputs):
                raise InputError(
                    f"{option}: {path} is also one of the files that are read; choose another"
                )
            if not overwrite:
                raise InputError(
                    f"{option}: {path} exists; choose another name, or replace it with --overwrite"
                )
        with tempfile.NamedTemporaryFile(prefix=TEMPORARY_PREFIX, dir=path.parent):
            pass


def _exists(path: Path) -> bool:
    """Whether there is something of this name, be it a link to nothing."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _is_part(path: Path, of: Path) -> bool:
    """Whether a file is an input, under whatever name, or lies in a folder that is one."""
    if not path.exists() or not of.exists():
        return False
    return os.path.samefile(path, of) or of.resolve() in path.resolve().parents
