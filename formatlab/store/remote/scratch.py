"""The scratch folder: where runs at an address are done, on a disk of this machine."""

import getpass
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from formatlab.errors import InputError
from formatlab.store.lock import Held, locked
from formatlab.store.runs_folder import CORPORA, MODELS


@contextmanager
def work_folder(scratch: Path | None) -> Iterator[Path]:
    """A runs folder for one task, removed in the end; those of killed processes are removed too.

    All share corpora and models, since every machine makes the same ones.

    Args:
        scratch: where it is made; None for a folder of this user among the system's temporary
            files.

    Raises:
        InputError: that folder is another user's.
    """
    place = scratch or Path(tempfile.gettempdir()) / f"formatlab-{getpass.getuser()}"
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    if scratch is None and hasattr(os, "getuid") and place.stat().st_uid != os.getuid():
        raise InputError(f"{place} belongs to another user; name a folder with --scratch")
    for left in place.glob("work-*"):
        with suppress(Held), locked(left):
            shutil.rmtree(left, ignore_errors=True)
    work = place / f"work-{secrets.token_hex(4)}"
    with locked(work):
        try:
            work.mkdir()
            for name in (CORPORA, MODELS):
                (place / name).mkdir(exist_ok=True)
                (work / name).symlink_to((place / name).absolute())
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
