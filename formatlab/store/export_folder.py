"""The export folder: written beside its place and then moved there; no foreign file is lost."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from formatlab.errors import InputError
from formatlab.store.atomic_file import explained_os_errors, write_json_atomically

MANIFEST = "export.json"
"""The file that marks a folder as an export, and names all other files in it."""

CARD = "README.md"
"""Name of the files that people may edit; an export whose card was edited is not replaced."""

_SCHEMA_VERSION = 1


@contextmanager
def export_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty folder to fill, which replaces `path` when the block ends.

    If the block fails, `path` is left as it was.

    Args:
        path: the folder.
        overwrite: whether an earlier export may be replaced.

    Raises:
        InputError: `path` holds an earlier export that may not be replaced, files that no export
            wrote, or a card that was edited since, or it cannot be written to.
        RunError: no space left, or another failure of the file system.
    """
    path = path.resolve()
    _check_replaceable(path, overwrite=overwrite)
    unfinished = path.with_name(f".{path.name}-{os.getpid()}-unfinished")
    replaced = path.with_name(f".{path.name}-{os.getpid()}-replaced")
    with explained_os_errors(path):
        unfinished.mkdir(parents=True)
        try:
            yield unfinished
            _write_manifest(unfinished)
            _check_replaceable(path, overwrite=overwrite)  # again: it may have changed meanwhile
            if path.exists():
                path.rename(replaced)
            unfinished.rename(path)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
            if replaced.exists() and not path.exists():
                replaced.rename(path)
            shutil.rmtree(replaced, ignore_errors=True)


def _write_manifest(folder: Path) -> None:
    names = _files(folder)
    cards = {name: _digest(folder / name) for name in names if Path(name).name == CARD}
    manifest = {"schema_version": _SCHEMA_VERSION, "written_by": "formatlab export"}
    write_json_atomically(folder / MANIFEST, manifest | {"cards": cards, "files": names})


def _check_replaceable(path: Path, *, overwrite: bool) -> None:
    if not path.exists():
        return
    if not path.is_dir():
        raise InputError(f"{path} is a file; name a folder that is new or empty")
    names = set(_files(path)) - {MANIFEST}
    manifest = _read_manifest(path / MANIFEST)
    foreign = sorted(names - set(manifest.get("files", [])))
    if foreign:
        raise InputError(
            f"{path} holds files that no export wrote ({', '.join(foreign[:3])}"
            f"{' and others' if len(foreign) > 3 else ''}); choose a new or empty folder"
        )
    cards = manifest.get("cards", {})
    changed = sorted(name for name in names & set(cards) if _digest(path / name) != cards[name])
    if changed:
        raise InputError(
            f"{path} holds an export whose {changed[0]} was changed since; move the folder away, "
            "or choose another, so that what was written there is not lost"
        )
    if names and not overwrite:
        raise InputError(
            f"{path} holds an earlier export; choose another folder, or replace it with --overwrite"
        )


def _read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of an export; empty if there is none that can be read."""
    try:
        manifest = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    known = isinstance(manifest, dict) and manifest.get("schema_version") == _SCHEMA_VERSION
    return manifest if known else {}


def _files(folder: Path) -> list[str]:
    """All files and links below a folder, as POSIX paths relative to it."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
