"""The runs folder: studies beside the bases, corpora and models that they share.

```
runs/
  bases/<base>/       a run folder each
  corpora/<hash8>/    documents as tokens
  models/             real models that had to be converted
  <study>/<run>/      a run folder each
  <study>/plan.json   the tasks of the study's last command
  .aside/             damaged and outdated folders, moved out of the way
```
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from formatlab.errors import InputError
from formatlab.store.atomic_file import explained_os_errors

BASES, CORPORA, MODELS = "bases", "corpora", "models"
"""Folders that studies share."""

ASIDE = ".aside"
"""Folder that damaged and outdated folders are moved to."""

PLAN_FILE = "plan.json"
"""Name of a study's plan, in its folder; see `formatlab.launch.plan`."""


def is_run_folder(folder: Path) -> bool:
    """Whether a folder is that of a run or a base, though files of it may be missing."""
    return any((folder / name).exists() for name in ("config.json", "env.json", "DONE"))


def studies_in(runs: Path) -> list[Path]:
    """The folders of studies that have begun in a runs folder; none in any other folder."""
    folders = sorted(runs.glob("[!.]*/"))
    if any(map(is_run_folder, folders)):  # it is a study, whatever lies in a run that is damaged
        return []
    return [
        folder
        for folder in folders
        if folder.name not in (BASES, CORPORA, MODELS)
        and next(folder.glob("[!.]*/config.json"), None)
    ]


@contextmanager
def explained_reading(folder: Path) -> Iterator[None]:
    """Look into a folder, and turn a lack of permission into a message that names the folder.

    Raises:
        InputError: no permission to list the folder or one in it, or to open what is in there.
    """
    try:
        if folder.is_dir():
            os.stat(f"{folder}{os.sep}{os.curdir}")  # asks for the right to search it
            os.listdir(folder)  # what globs take for an empty folder
        yield
    except PermissionError as error:
        place = Path(error.filename or folder)
        place = place.parent if place.suffix == ".json" or place.name == "DONE" else place
        raise InputError(
            f"cannot read the folder {place}: {error.strerror or error}; change its permissions, "
            "or give another"
        ) from error


def readable_folders(place: Path) -> list[Path]:
    """The folders in a folder that are not hidden and can be read, by name.

    There are none if `place` is gone: other processes may move it away at any moment.
    """
    try:
        return sorted(
            path
            for path in place.iterdir()
            if not path.name.startswith(".") and path.is_dir() and os.access(path, os.X_OK)
        )
    except OSError:
        return []


def put_aside(folder: Path, runs: Path) -> Path:
    """Move a folder of the runs folder into `.aside/`, and return its new path.

    Raises:
        InputError: no permission.
        RunError: another failure of the file system.
    """
    place = runs / ASIDE / folder.parent.relative_to(runs)
    with explained_os_errors(place):
        place.mkdir(parents=True, exist_ok=True)
        number = 1
        while (there := place / f"{folder.name}-{number}").exists():
            number += 1
        folder.rename(there)
    return there
