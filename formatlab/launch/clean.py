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
from formatlab.launch.plan import PlannedTask, read_plan
from formatlab.store.atomic_file import TEMPORARY_PREFIX, explained_os_errors
from formatlab.store.lock import RecordFile, held, locked
from formatlab.store.run_folder import RunFolder
from formatlab.store.runs_folder import ASIDE, BASES, CORPORA, MODELS, readable_folders
from formatlab.train.pretraining.base import corpus_name

Kind = Literal[
    "lock", "temporary", "checkpoints", "merged", "failed", "unplanned", "unused", "aside"
]

GARBAGE: tuple[Kind, ...] = ("lock", "temporary", "checkpoints", "merged")
"""Kinds of garbage: files that nobody needs, or that are made again when they are needed."""
BY_OPTION: tuple[Kind, ...] = ("failed", "unplanned", "unused", "aside")
"""Results, or what results are made from: removed only where that is asked for."""

SETTLED = 3600.0
"""Seconds without a change after which a temporary file is taken to be abandoned."""

_TEMPORARY = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}.*|\..+-unfinished|\.converting-.*")
_LOCK = re.compile(r"\..+\.lock")
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
    done: bool = False
    """Whether it is a finished run or base."""


def find_removable(runs: Path, kinds: Collection[Kind] = GARBAGE) -> list[Removable]:
    """Find what can be removed, by kind and path. Links are not followed.

    Args:
        runs: the runs folder.
        kinds: what to look for.

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
    if not any(folder.config and (folder.path / "env.json").exists() for folder in folders):
        raise InputError(
            f"{runs} holds no run folders, so it is not taken for a runs folder; nothing was done"
        )
    plans = {place.name: _planned_tasks(place) for place in places}
    found = [*_left_behind(places, folders, kinds), *_not_needed(plans, folders, kinds)]
    found += _not_planned(runs, plans, folders, kinds)
    if "aside" in kinds:
        found += [_item("aside", path) for p in _entries(runs / ASIDE) for path in _entries(p)]
    # What lies in a folder that is removed needs no mention of its own.
    paths = {item.path for item in found}
    items = [item for item in found if paths.isdisjoint(item.path.parents)]
    order = (*GARBAGE, *BY_OPTION)
    return sorted(items, key=lambda item: (order.index(item.kind), item.path))


def remove(item: Removable) -> bool:
    """Remove a file or folder, unless it is gone, or cannot be removed any more.

    Returns:
        Whether it was removed.

    Raises:
        Held: another process has taken the folder meanwhile.
        InputError: no permission.
        RunError: another failure of the file system.
    """
    path, guard = item.path, item.guard
    if item.kind == "lock":
        content = _dead_lock(path)
        if content is not None:
            RecordFile(_locked_folder(path)).remove(content)
        return content is not None
    with locked(guard) if guard is not None else nullcontext(), explained_os_errors(path):
        if not path.exists() or not _still_removable(item):
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


def _still_removable(item: Removable) -> bool:
    """Whether what was found is still so; another process may have resumed the run."""
    done = item.guard is not None and (item.guard / "DONE").exists()
    match item.kind:
        case "failed":
            return not done and (item.path / "FAILED").exists()
        case "checkpoints" | "merged":
            return done
        case _:
            return True


class _Folder:
    """The folder of a run or a base."""

    def __init__(self, path: Path) -> None:
        run = RunFolder(path)
        self.path, self.done = path, run.done
        self.address = f"{path.parent.name}/{path.name}"
        self.is_base = path.parent.name == BASES
        self.failed = (path / "FAILED").exists() and not run.done
        # While its merged policy is being made, that has a lock of its own.
        self.held = held(path) is not None or held(path / _MERGED) is not None
        self.config: Mapping[str, Any] | None = None
        """None if it cannot be read."""
        with suppress(FormatlabError):
            self.config = run.config

    @property
    def base_config(self) -> Mapping[str, Any] | None:
        """Configuration of the base that it starts from, or that it is; None if that is no base."""
        match self.config:
            case config if self.is_base:
                return config
            case {"base": {"config": config}}:
                return config
        return None

    @property
    def corpus(self) -> str | None:
        """Name of the corpus that its base is made from."""
        try:
            return corpus_name(self.base_config or {})
        except (KeyError, TypeError):
            return None

    def item(self, kind: Kind, name: str = "") -> Removable:
        """The folder, or what is called `name` in it, as removable while the folder is locked."""
        path = self.path / name
        return _item(kind, path, guard=self.path, done=self.done and not name)


def _planned_tasks(study: Path) -> tuple[PlannedTask, ...] | None:
    """The tasks of a study's last command; None if its plan is missing or cannot be read."""
    try:
        plan = read_plan(study)
    except InputError:
        return None
    return None if plan is None else plan.tasks


def _left_behind(
    places: Collection[Path], folders: Collection[_Folder], kinds: Collection[Kind]
) -> Iterator[Removable]:
    """Locks of dead owners, and temporary files of killed writers."""
    by_path = {folder.path: folder for folder in folders}
    for path in (path for place in places for path in _below(place)):
        if "lock" in kinds and _LOCK.fullmatch(path.name) and _dead_lock(path) is not None:
            yield _item("lock", path)
        elif "temporary" in kinds and _TEMPORARY.fullmatch(path.name) and _settled(path):
            folder = next((by_path[p] for p in path.parents if p in by_path), None)
            if folder is None or not folder.held:
                yield _item("temporary", path, guard=folder and folder.path)


def _not_needed(
    plans: Mapping[str, Collection[PlannedTask] | None],
    folders: Collection[_Folder],
    kinds: Collection[Kind],
) -> Iterator[Removable]:
    """Checkpoints of finished runs, and merged policies that no planned run starts from."""
    done = {folder.address for folder in folders if folder.done}
    to_do = [task for tasks in plans.values() for task in tasks or () if task.address not in done]
    needed = {need for task in to_do for need in task.needs}
    for folder in folders:
        if not folder.done or folder.held:
            continue
        if "checkpoints" in kinds and _entries(folder.path / "checkpoints"):
            yield folder.item("checkpoints", "checkpoints")
        if "merged" in kinds and folder.address not in needed and _entries(folder.path / _MERGED):
            yield folder.item("merged", _MERGED)


def _not_planned(
    runs: Path,
    plans: Mapping[str, Collection[PlannedTask] | None],
    folders: Collection[_Folder],
    kinds: Collection[Kind],
) -> Iterator[Removable]:
    """Run folders that failed or that no plan names, then bases and corpora without a run."""
    planned = {task.address for tasks in plans.values() for task in tasks or ()}
    staying: list[_Folder] = []
    bases: list[_Folder] = []
    for folder in folders:
        # Without a plan nobody knows what the last command asked for.
        unplanned = folder.address not in planned and (
            folder.is_base or plans[folder.path.parent.name] is not None
        )
        if folder.failed and not folder.held and "failed" in kinds:
            yield folder.item("failed")
        elif unplanned and not folder.held and folder.is_base:
            bases.append(folder)
        elif unplanned and not folder.held and "unplanned" in kinds:
            yield folder.item("unplanned")
        else:
            staying.append(folder)
    # A run that cannot be read may start from any base.
    if any(folder.config is None for folder in (*staying, *bases)):
        return
    used = [folder.base_config for folder in staying if not folder.is_base]
    kind: Kind = "unplanned" if "unplanned" in kinds else "unused"
    for base in bases:
        if kind in kinds and base.config not in used:
            yield base.item(kind)
        else:
            staying.append(base)
    to_be_made = {address for address in planned if address.startswith(f"{BASES}/")}
    if "unused" in kinds and to_be_made <= {folder.address for folder in folders if folder.done}:
        corpora = {folder.corpus for folder in staying}
        for path in readable_folders(runs / CORPORA):
            if path.name not in corpora and not path.is_symlink():
                yield _item("unused", path, guard=path)


def _item(kind: Kind, path: Path, *, guard: Path | None = None, done: bool = False) -> Removable:
    size = 0
    for file in (path, *_below(path)):
        with suppress(OSError):  # gone meanwhile
            size += 0 if file.is_dir() else file.lstat().st_size
    return Removable(kind=kind, path=path, size=size, guard=guard, done=done)


def _dead_lock(path: Path) -> bytes | None:
    """Content of the lock of a dead owner; None if the owner lives, or has not written it yet."""
    folder = _locked_folder(path)
    content = RecordFile(folder).read()
    return content if content and held(folder) is None else None


def _locked_folder(lock: Path) -> Path:
    return lock.with_name(lock.name.removeprefix(".").removesuffix(".lock"))


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
