"""Cleaning a runs folder: what can be removed from it, and its removal.

Some of it is garbage: nobody needs it, or whoever needs it makes it again. The rest are results, or
what results are made from, and go only where that is asked for. What a process holds always stays.
"""

import os
import re
import secrets
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from formatlab.errors import FormatlabError, InputError
from formatlab.launch.plan import Plan, read_plan
from formatlab.store.atomic_file import TEMPORARY_PREFIX, explained_os_errors
from formatlab.store.lock import held, locked
from formatlab.store.run_folder import RunFolder
from formatlab.store.runs_folder import ASIDE, BASES, CORPORA, MODELS, readable_folders
from formatlab.train.pretraining.base import corpus_name

Kind = Literal["temporary", "checkpoints", "merged", "failed", "unplanned", "aside"]

GARBAGE: tuple[Kind, ...] = ("temporary", "checkpoints", "merged")
"""Kinds of garbage: files that nobody needs, or that are made again when they are needed."""
BY_OPTION: tuple[Kind, ...] = ("failed", "unplanned", "aside")
"""Results, or what results are made from: removed only where that is asked for."""

SETTLED = 3600.0
"""Seconds without a change after which a temporary file is taken to be abandoned."""

_TEMPORARY = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}.*|\..+-unfinished|\.converting-.*")
_MERGED = "policy-merged"


@dataclass(frozen=True, kw_only=True, slots=True)
class Removable:
    """A file or folder that can be removed."""

    kind: Kind
    path: Path
    size: int
    """Bytes of the file, or of the files in the folder."""
    guard: Path | None = None
    """The run folder to lock while it is removed."""
    end: str = ""
    """How the run in that folder ended: `DONE`, `FAILED`, or empty."""

    @property
    def done(self) -> bool:
        """Whether it is a finished run or base."""
        return self.path == self.guard and self.end == "DONE"


def find_removable(runs: Path, kinds: Collection[Kind] = GARBAGE) -> list[Removable]:
    """Find what of some kinds can be removed, by kind and path. Links are not followed.

    Raises:
        InputError: the folder is not there, or is no runs folder.
    """
    if not runs.is_dir() or not os.access(runs, os.R_OK | os.X_OK):
        raise InputError(f"there is no folder {runs} that can be read; give a runs folder")
    places = [path for path in readable_folders(runs) if not path.is_symlink()]
    folders = [
        _Folder(path)
        for place in places
        if place.name not in (CORPORA, MODELS)
        for path in readable_folders(place)
        if not path.is_symlink() and (path / "config.json").exists()
    ]
    if not any((folder.path / "env.json").exists() for folder in folders):
        raise InputError(
            f"{runs} holds no run folders, so it is not taken for a runs folder; nothing was done"
        )
    found = [*_left_behind(runs, places), *_of_runs(runs, places, folders, kinds)]
    found += [_item("aside", path) for put in _entries(runs / ASIDE) for path in _entries(put)]
    found = [item for item in found if item.kind in kinds]
    # What lies in a folder that is removed needs no mention of its own.
    paths = {item.path for item in found}
    items = [item for item in found if paths.isdisjoint(item.path.parents)]
    order = (*GARBAGE, *BY_OPTION)
    return sorted(items, key=lambda item: (order.index(item.kind), item.path))


def remove(item: Removable) -> bool:
    """Remove a file or folder, unless it is gone, or the run has gone on since it was found.

    Returns:
        Whether it was removed.

    Raises:
        Held: another process has taken the folder meanwhile.
        InputError: no permission.
        RunError: another failure of the file system.
    """
    path, guard = item.path, item.guard
    with locked(guard) if guard is not None else nullcontext(), explained_os_errors(path):
        if not path.exists() or (guard is not None and _end(guard) != item.end):
            return False
        if path.is_dir():
            # Renamed first, so that a removal cut short leaves nothing that looks whole.
            renamed = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(4)}-{path.name}")
            path.rename(renamed)
            if item.kind == "checkpoints":
                path.mkdir()
            shutil.rmtree(renamed)
        else:
            path.unlink(missing_ok=True)
        return True


def _left_behind(runs: Path, places: Collection[Path]) -> Iterator[Removable]:
    """Temporary files of killed writers."""
    for path in (path for place in places for path in _below(place)):
        if _TEMPORARY.fullmatch(path.name) and _settled(path):
            folder = runs.joinpath(*path.relative_to(runs).parts[:2])
            if folder == path:
                yield _item("temporary", path)
            elif held(folder) is None and held(folder / _MERGED) is None:
                yield _item("temporary", path, folder, _end(folder))


class _Folder:
    """The folder of a run or a base."""

    def __init__(self, path: Path) -> None:
        self.path, self.end = path, _end(path)
        self.address = f"{path.parent.name}/{path.name}"
        self.is_base = path.parent.name == BASES
        # While its merged policy is being made, that has a lock of its own.
        self.held = held(path) is not None or held(path / _MERGED) is not None
        self.config: Mapping[str, Any] | None = None
        """None if it cannot be read."""
        with suppress(FormatlabError):
            self.config = RunFolder(path).config

    def item(self, kind: Kind, name: str = "") -> Removable:
        """The folder, or what is called `name` in it, as it was found."""
        return _item(kind, self.path / name, self.path, self.end)


def _of_runs(
    runs: Path, places: Collection[Path], folders: Collection[_Folder], kinds: Collection[Kind]
) -> Iterator[Removable]:
    """Runs and bases that failed or that nobody asked for, and what the others do not need."""
    plans: dict[str, Plan] = {}
    for place in places:
        with suppress(InputError):  # one that cannot be read is none
            if (plan := read_plan(place)) is not None:
                plans[place.name] = plan
    planned = [task for plan in plans.values() for task in plan.tasks]
    asked = {task.address for task in planned}
    done = {folder.address for folder in folders if folder.end == "DONE"}
    needed = {need for task in planned if task.address not in done for need in task.needs}
    staying: list[_Folder] = []
    for folder in folders:
        # Without a plan nobody knows what the last command asked for.
        unplanned = folder.path.parent.name in plans and folder.address not in asked
        if folder.end == "FAILED" and not folder.held and "failed" in kinds:
            yield folder.item("failed")
            continue
        if unplanned and not folder.held and "unplanned" in kinds:
            yield folder.item("unplanned")
            continue
        staying.append(folder)
        if folder.end == "DONE" and not folder.held:
            if _entries(folder.path / "checkpoints"):
                yield folder.item("checkpoints", "checkpoints")
            if folder.address not in needed and _entries(folder.path / _MERGED):
                yield folder.item("merged", _MERGED)
    if "unplanned" in kinds:
        yield from _unused(runs, staying, asked)


def _unused(
    runs: Path, staying: Collection[_Folder], asked: Collection[str]
) -> Iterator[Removable]:
    """Bases and corpora that no run comes of."""
    used, corpora = [], set[str]()
    to_be_made = {address for address in asked if address.startswith(f"{BASES}/")}
    for folder in staying:
        match folder.config:
            case None:  # a run that cannot be read may start from any base
                return
            case {"base": {"config": {**config}}}:
                used += [config, {key: of for key, of in config.items() if key != "after"}]
    for base in (folder for folder in staying if folder.is_base):
        to_be_made.discard(base.address)
        if base.held or base.address in asked or base.config in used:
            with suppress(KeyError, TypeError):  # a base that another program made
                corpora.add(corpus_name(base.config or {}))
        else:
            yield base.item("unplanned")
    for path in readable_folders(runs / CORPORA) if not to_be_made else ():
        if path.name not in corpora and not path.is_symlink():
            yield _item("unplanned", path, path, _end(path))


def _item(kind: Kind, path: Path, guard: Path | None = None, end: str = "") -> Removable:
    size = 0
    for file in (path, *_below(path)):
        with suppress(OSError):  # gone meanwhile
            size += 0 if file.is_dir() else file.lstat().st_size
    return Removable(kind=kind, path=path, size=size, guard=guard, end=end)


def _end(folder: Path) -> str:
    """How the run in a folder ended: `DONE`, `FAILED`, or empty."""
    return next((name for name in ("DONE", "FAILED") if (folder / name).exists()), "")


def _entries(place: Path) -> list[Path]:
    """Everything in a folder but links, by name; nothing if it is gone, a link or unreadable."""
    try:
        entries = [] if place.is_symlink() else place.iterdir()
        return sorted(path for path in entries if not path.is_symlink())
    except OSError:
        return []


def _below(place: Path) -> Iterator[Path]:
    """Everything below a folder but links and what is behind them."""
    for path in _entries(place):
        yield path
        if path.is_dir():
            yield from _below(path)


def _settled(path: Path) -> bool:
    """Whether nothing in it has changed of late; a time in the future says nothing."""
    try:
        return all(time.time() - p.lstat().st_mtime > SETTLED for p in (path, *_below(path)))
    except OSError:
        return False
