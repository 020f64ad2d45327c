"""Leftovers: what in a runs folder nobody needs any more, and its removal."""

import os
import re
import secrets
import shutil
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from formatlab.launch.state.runs_inventory import (
    BASES,
    CORPORA,
    MODELS,
    Inventory,
    MadeFolder,
    below,
    folders_in,
    hidden_too,
    read_inventory,
)
from formatlab.store.atomic_file import TEMPORARY_PREFIX, explained_os_errors
from formatlab.store.lock import RecordFile, held, locked
from formatlab.store.runs_folder import ASIDE

Kind = Literal[
    "lock", "temporary", "checkpoints", "merged", "failed", "unplanned", "unused", "aside"
]

ALWAYS: tuple[Kind, ...] = ("lock", "temporary", "checkpoints", "merged")
"""Of no use to anybody, or made again by whoever needs it."""
BY_OPTION: tuple[Kind, ...] = ("failed", "unplanned", "unused", "aside")
"""Results, or what results are made from: removed only where that is asked for."""

SETTLED = 3600.0
"""Seconds after its last change from which what no lock stands for is taken to be nobody's."""

_TEMPORARY = re.compile(
    rf"{re.escape(TEMPORARY_PREFIX)}.*|\..+-unfinished|\..+\.lock-[0-9a-f]{{8}}"
)
_LOCK = re.compile(r"\.(.+)\.lock")
_CORPUS = re.compile(r"\.[0-9a-f]{8}-(\d+)")
_MERGED = "policy-merged"


@dataclass(frozen=True, kw_only=True, slots=True)
class Leftover:
    """A file or folder that can go."""

    kind: Kind
    path: Path
    size: int
    """Bytes of its files, or of it."""
    guard: Path | None = None
    """The folder that has to be locked while it is removed."""
    done: bool = False
    """Whether it is a finished run or base."""


def find_leftovers(runs: Path, kinds: Collection[Kind] = ALWAYS) -> list[Leftover]:
    """Find what can go, by kind and path. Links are not followed; what somebody holds stays.

    Args:
        runs: the runs folder.
        kinds: what to look for.

    Raises:
        InputError: the folder is not there, or is no runs folder.
    """
    found: dict[Path, Leftover] = {}
    for item in _find(read_inventory(runs), kinds):
        found.setdefault(item.path, item)
    # What lies in a folder that goes is part of it.
    items = [item for item in found.values() if found.keys().isdisjoint(item.path.parents)]
    order = (*ALWAYS, *BY_OPTION)
    return sorted(items, key=lambda item: (order.index(item.kind), item.path))


def _find(inventory: Inventory, kinds: Collection[Kind]) -> Iterator[Leftover]:
    if "lock" in kinds:
        yield from _locks(inventory)
    if "temporary" in kinds:
        yield from _temporary(inventory)
    if "checkpoints" in kinds:
        yield from _checkpoints(inventory)
    if "merged" in kinds:
        yield from _merged(inventory)
    going: list[MadeFolder] = []
    if "failed" in kinds:
        going += _unheld(folder for folder in inventory.folders if folder.failed)
    if "unplanned" in kinds:
        going += _unplanned(inventory)
    for folder in going:
        yield _folder("failed" if "failed" in kinds and folder.failed else "unplanned", folder)
    if "unused" in kinds:
        yield from _unused(inventory, going)
    if "aside" in kinds:
        yield from _aside(inventory.runs)


def remove(leftover: Leftover) -> bool:
    """Remove a leftover, unless it is gone, or no leftover any more.

    Returns:
        Whether it was removed.

    Raises:
        Held: another process has taken the folder meanwhile.
        InputError: no permission.
        RunError: another failure of the file system.
    """
    path, guard = leftover.path, leftover.guard
    if leftover.kind == "lock":
        return _remove_lock(path)
    with locked(guard) if guard is not None else nullcontext(), explained_os_errors(path):
        if not path.exists() or not _still(leftover):
            return False
        if path.is_dir():
            # A removal that is cut short leaves nothing that could be taken for whole.
            gone = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(4)}-{path.name}")
            path.rename(gone)
            if leftover.kind == "checkpoints":
                path.mkdir()
            shutil.rmtree(gone)
        else:
            path.unlink(missing_ok=True)
        return True


def _still(leftover: Leftover) -> bool:
    """Whether what was found is so; another process may have gone on with it."""
    done = leftover.guard is not None and (leftover.guard / "DONE").exists()
    match leftover.kind:
        case "failed":
            return not done and (leftover.path / "FAILED").exists()
        case "checkpoints" | "merged":
            return done
        case _:
            return True


def _folder(kind: Kind, folder: MadeFolder) -> Leftover:
    return replace(_part(kind, folder.path, folder), done=folder.done)


def _part(kind: Kind, path: Path, of: MadeFolder) -> Leftover:
    return Leftover(kind=kind, path=path, size=_size(path), guard=of.path)


def _locks(inventory: Inventory) -> Iterator[Leftover]:
    """The locks of dead owners, beside run folders and in them."""
    places = [inventory.runs / BASES, *(inventory.runs / study for study in inventory.plans)]
    for place in (*places, *(folder.path for folder in inventory.folders)):
        for path in hidden_too(place):
            if _LOCK.fullmatch(path.name) and _lock_content(path) is not None:
                yield Leftover(kind="lock", path=path, size=_size(path))


def _lock_content(path: Path) -> bytes | None:
    """What is in the lock of a dead owner; None if the owner lives, or may be just taking it."""
    match = _LOCK.fullmatch(path.name)
    folder = path.with_name(match[1]) if match else path
    content = RecordFile(folder).read()
    if content is None or held(folder) is not None:
        return None
    whole = content.startswith(b"{") and content.rstrip().endswith(b"}")
    return content if whole or _settled(path) else None


def _remove_lock(path: Path) -> bool:
    content, match = _lock_content(path), _LOCK.fullmatch(path.name)
    if content is None or match is None:
        return False
    RecordFile(path.with_name(match[1])).remove(content)
    return True


def _temporary(inventory: Inventory) -> Iterator[Leftover]:
    """What writers that were killed left: in run folders, beside them, and of what they share."""
    runs = inventory.runs
    for folder in inventory.folders:
        if folder.held or held(folder.path / _MERGED) is not None:
            continue
        # The recorder of somebody's trainer takes no lock.
        guarded = folder.config is not None and "trainer" not in folder.config
        for path in below(folder.path):
            if _TEMPORARY.fullmatch(path.name) and (guarded or _settled(path)):
                guard = folder.path if guarded else None
                yield Leftover(kind="temporary", path=path, size=_size(path), guard=guard)
    of_runs = {folder.path for folder in inventory.folders}
    for name in (BASES, CORPORA, MODELS, *inventory.plans):
        for path in hidden_too(runs / name):
            inside = below(path) if path.is_dir() and path not in of_runs else ()
            for other in (path, *inside):
                if _TEMPORARY.fullmatch(other.name) and _settled(other):
                    yield Leftover(kind="temporary", path=other, size=_size(other))
    if not any(folder.held for folder in inventory.folders):
        for path in hidden_too(runs / CORPORA):
            match = _CORPUS.fullmatch(path.name)
            if match and not _runs_here(int(match[1])):
                yield Leftover(kind="temporary", path=path, size=_size(path))


def _checkpoints(inventory: Inventory) -> Iterator[Leftover]:
    """Checkpoints of finished runs."""
    for folder in _unheld(inventory.folders):
        path = folder.path / "checkpoints"
        if folder.done and not path.is_symlink() and hidden_too(path):
            yield _part("checkpoints", path, folder)


def _merged(inventory: Inventory) -> Iterator[Leftover]:
    """Merged policies of finished runs that no planned run starts from."""
    to_be_made = inventory.to_be_made
    under_way = {address.partition("/")[0] for address in to_be_made}
    needed = {
        need
        for plan in inventory.plans.values()
        if plan
        for task in plan.tasks
        if task.address in to_be_made
        for need in task.needs
    }
    for folder in _unheld(inventory.folders):
        path = folder.path / _MERGED
        if not folder.done or folder.address in needed or path.is_symlink() or not path.is_dir():
            continue
        # Of a study without a plan it is not known what starts from what.
        if folder.study not in under_way or not inventory.plans_everything(folder.study):
            yield _part("merged", path, folder)


def _unplanned(inventory: Inventory) -> list[MadeFolder]:
    planned = inventory.planned
    runs = [f for f in inventory.folders if not f.is_base and f.address not in planned]
    runs = _unheld(runs)
    return [*runs, *inventory.unused_bases(runs)]


def _unused(inventory: Inventory, going: Collection[MadeFolder]) -> Iterator[Leftover]:
    bases = inventory.unused_bases(going)
    for base in bases:
        yield _folder("unused", base)
    for corpus in inventory.unused_corpora([*going, *bases]):
        yield Leftover(kind="unused", path=corpus, size=_size(corpus))


def _aside(runs: Path) -> Iterator[Leftover]:
    if not (runs / ASIDE).is_symlink():
        for place in folders_in(runs / ASIDE):
            for path in hidden_too(place):
                yield Leftover(kind="aside", path=path, size=_size(path))


def _unheld(folders: Iterable[MadeFolder]) -> list[MadeFolder]:
    return [f for f in folders if not f.held and held(f.path / _MERGED) is None]


def _size(path: Path) -> int:
    """Bytes of a file, or of the files below a folder."""
    total = 0
    for file in (path, *below(path)):
        with suppress(OSError):  # gone meanwhile
            total += 0 if file.is_dir() else file.lstat().st_size
    return total


def _settled(path: Path) -> bool:
    """Whether nothing in it was changed of late; a time yet to come says nothing."""
    try:
        return all(time.time() - p.lstat().st_mtime > SETTLED for p in (path, *below(path)))
    except OSError:
        return False


def _runs_here(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
