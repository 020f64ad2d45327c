"""Folders that take long to make, made once for all processes of the tests."""

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest


def common_folder(factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of this run of the tests, which its processes share."""
    folder = factory.getbasetemp()
    return folder.parent if folder.name.startswith("popen-") else folder  # of one of several


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Have a folder made by the first process that asks for it; the others wait, and none writes.

    Args:
        folder: where it is to be.
        make: fills it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "made").open("a") as made:
        fcntl.flock(made, fcntl.LOCK_EX)
        if made.tell() == 0:
            make(folder)
            made.write("made\n")
    return folder
