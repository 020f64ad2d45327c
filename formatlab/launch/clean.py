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
from formatlab.launch.plan import PLAN_FILE, Plan, read_plan
from formatlab.store.atomic_file import TEMPORARY_PREFIX, explained_os_errors
from formatlab.store.lock import RecordFile, held, locked
from formatlab.store.run_folder import RunFolder
from formatlab.store.runs_folder import ASIDE, BASES, CORPORA, MODELS
from formatlab.train.pretraining.base import corpus_name

Kind = Literal[
    "lock", "temporary", "checkpoints", "merged", "failed", "unplanned", "unused", "aside"
]

GARBAGE: tuple[Kind, ...] = ("lock", "temporary", "checkpoints", "merged")
"""Of no use to anybody, or made again by whoever needs it."""
BY_OPTION: tuple[Kind, ...] = ("failed", "unplanned", "unused", "aside")
"""Results, or what results are made from: removed only where that is asked for."""

SETTLED = 3600.0
"""Seconds without a change after which a file that no lock guards is taken to be abandoned."""

_TEMPORARY = re.compile(
    rf"{re.escape(TEMPORARY_PREFIX)}.*|\..+-unfinished|\..+\.lock-[0-9a-f]{{8}}"
)
_LOCK = re.compile(r"\.(.+)\.lock")
_CORPUS = re.compile(r"\.[0-9a-f]{8}-(\d+)")
"""A corpus that the process of this number is making."""
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
    found: dict[Path, Removable] = {}
    for item in _find(_read_contents(runs), kinds):
        found.setdefault(item.path, item)
    # What lies in a folder that is removed needs no mention of its own.
    items = [item for item in found.values() if found.keys().isdisjoint(item.path.parents)]
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
        return _remove_lock(path)
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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Folder:
    """The folder of a run or a base."""

    path: Path
    address: str
    """Relative to the runs folder."""
    config: Mapping[str, Any] | None
    """None if it cannot be read."""
    done: bool
    failed: bool
    held: bool
    """Whether a process holds it, or its merged policy."""

    @property
    def study(self) -> str:
        """The folder that it lies in."""
        return self.address.partition("/")[0]

    @property
    def is_base(self) -> bool:
        """Whether runs start from it."""
        return self.study == BASES

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

    def item(self, kind: Kind, path: Path | None = None) -> Removable:
        """The folder, or a path in it, as removable while the folder is locked."""
        whole = path is None
        path = path or self.path
        return Removable(
            kind=kind, path=path, size=_size(path), guard=self.path, done=whole and self.done
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Contents:
    """What a runs folder holds."""

    runs: Path
    folders: tuple[_Folder, ...]
    plans: Mapping[str, Plan | None]
    """Study -> plan of its last command; None if it has none, or one that cannot be read."""
    planned: Collection[str]
    """Addresses that a study's last command asked for; all of a study without a plan."""

    def unused_bases(self, going: Collection[_Folder]) -> list[_Folder]:
        """The bases that no plan names, and that no run starts from but those that are `going`."""
        staying = [f for f in self.folders if not f.is_base and f not in going]
        if any(folder.config is None for folder in staying):  # which may start from any of them
            return []
        used = [folder.base_config for folder in staying]
        return [
            folder
            for folder in self.folders
            if folder.is_base
            and folder.config is not None
            and folder.address not in self.planned
            and folder.config not in used
            and not folder.held
        ]

    def unused_corpora(self, going: Collection[_Folder]) -> list[Path]:
        """The corpora that no folder was made from but those that are `going`.

        There are none while a base is being made, or still to be made.
        """
        staying = [folder for folder in self.folders if folder not in going]
        made = {folder.address for folder in self.folders if folder.done}
        bases = {address for address in self.planned if address.startswith(f"{BASES}/")}
        if any(f.config is None or f.held for f in staying) or not bases <= made:
            return []
        used = {folder.corpus for folder in staying}
        return [path for path in _folders_in(self.runs / CORPORA) if path.name not in used]


def _read_contents(runs: Path) -> _Contents:
    if not runs.is_dir() or not os.access(runs, os.R_OK | os.X_OK):
        raise InputError(f"there is no folder {runs} that can be read; give a runs folder")
    inside = [runs, *_folders_in(runs)]
    if (runs / PLAN_FILE).exists() or any(map(_is_whole_run_folder, inside)):
        raise InputError(f"{runs} lies in a runs folder; give that folder, which holds it")
    found = [
        _read_folder(path, f"{place.name}/{path.name}")
        for place in _folders_in(runs)
        if place.name not in (CORPORA, MODELS)
        for path in _folders_in(place)
        if (path / "config.json").exists()
    ]
    if not any(of.config is not None and _is_whole_run_folder(of.path) for of in found):
        raise InputError(
            f"{runs} holds no run folders, so it is not taken for a runs folder; nothing was done"
        )
    studies = [p.name for p in _folders_in(runs) if p.name not in (BASES, CORPORA, MODELS)]
    plans = {study: _plan(runs / study) for study in studies}
    named = {task.address for plan in plans.values() if plan for task in plan.tasks}
    of_no_plan = {of.address for of in found if plans.get(of.study) is None and not of.is_base}
    return _Contents(runs=runs, folders=tuple(found), plans=plans, planned=named | of_no_plan)


def _read_folder(path: Path, address: str) -> _Folder:
    run = RunFolder(path)
    try:
        config = run.config
    except FormatlabError:
        config = None
    return _Folder(
        path=path,
        address=address,
        config=config,
        done=run.done,
        failed=(path / "FAILED").exists() and not run.done,
        held=held(path) is not None or held(path / _MERGED) is not None,
    )


def _is_whole_run_folder(path: Path) -> bool:
    try:
        RunFolder.open(path)
    except FormatlabError:
        return False
    return True


def _plan(study: Path) -> Plan | None:
    try:
        return read_plan(study)
    except InputError:
        return None


def _find(contents: _Contents, kinds: Collection[Kind]) -> Iterator[Removable]:
    if "lock" in kinds:
        yield from _locks(contents)
    if "temporary" in kinds:
        yield from _temporary(contents)
    if "checkpoints" in kinds:
        yield from _checkpoints(contents)
    if "merged" in kinds:
        yield from _merged(contents)
    going: list[_Folder] = []
    if "failed" in kinds:
        failed = [folder for folder in contents.folders if folder.failed and not folder.held]
        yield from (folder.item("failed") for folder in failed)
        going += failed
    if "unplanned" in kinds:
        unplanned = [
            folder
            for folder in contents.folders
            if not folder.is_base and not folder.held and folder.address not in contents.planned
        ]
        unplanned += contents.unused_bases(unplanned)
        yield from (folder.item("unplanned") for folder in unplanned)
        going += unplanned
    if "unused" in kinds:
        bases = contents.unused_bases(going)
        yield from (base.item("unused") for base in bases)
        for corpus in contents.unused_corpora([*going, *bases]):
            yield Removable(kind="unused", path=corpus, size=_size(corpus))
    if "aside" in kinds and not (contents.runs / ASIDE).is_symlink():
        for place in _folders_in(contents.runs / ASIDE):
            for path in _entries(place):
                yield Removable(kind="aside", path=path, size=_size(path))


def _locks(contents: _Contents) -> Iterator[Removable]:
    """The locks of dead owners, beside run folders and in them."""
    places = [contents.runs / BASES, *(contents.runs / study for study in contents.plans)]
    for place in (*places, *(folder.path for folder in contents.folders)):
        for path in _entries(place):
            if _LOCK.fullmatch(path.name) and _dead_lock(path) is not None:
                yield Removable(kind="lock", path=path, size=_size(path))


def _dead_lock(path: Path) -> bytes | None:
    """Content of the lock of a dead owner; None if the owner lives, or may be just taking it."""
    folder = _locked_folder(path)
    content = RecordFile(folder).read()
    if content is None or held(folder) is not None:
        return None
    whole = content.startswith(b"{") and content.rstrip().endswith(b"}")
    return content if whole or _settled(path) else None


def _remove_lock(path: Path) -> bool:
    content = _dead_lock(path)
    if content is None:
        return False
    RecordFile(_locked_folder(path)).remove(content)
    return True


def _locked_folder(lock: Path) -> Path:
    match = _LOCK.fullmatch(lock.name)
    assert match is not None  # only names that match are taken for locks
    return lock.with_name(match[1])


def _temporary(contents: _Contents) -> Iterator[Removable]:
    """What killed writers left: in run folders, beside them, and among what studies share."""
    for folder in contents.folders:
        if folder.held:
            continue
        # A FormatRecorder in somebody's own trainer takes no lock.
        guarded = folder.config is not None and "trainer" not in folder.config
        for path in _below(folder.path):
            if _TEMPORARY.fullmatch(path.name) and (guarded or _settled(path)):
                guard = folder.path if guarded else None
                yield Removable(kind="temporary", path=path, size=_size(path), guard=guard)
    run_folders = {folder.path for folder in contents.folders}
    for name in (BASES, CORPORA, MODELS, *contents.plans):
        for path in _entries(contents.runs / name):
            inside = _below(path) if path not in run_folders else ()
            for other in (path, *inside):
                if _TEMPORARY.fullmatch(other.name) and _settled(other):
                    yield Removable(kind="temporary", path=other, size=_size(other))
    if not any(folder.held for folder in contents.folders):
        for path in _entries(contents.runs / CORPORA):
            match = _CORPUS.fullmatch(path.name)
            if match and not _is_running(int(match[1])):
                yield Removable(kind="temporary", path=path, size=_size(path))


def _checkpoints(contents: _Contents) -> Iterator[Removable]:
    """Checkpoints of finished runs."""
    for folder in contents.folders:
        path = folder.path / "checkpoints"
        if folder.done and not folder.held and not path.is_symlink() and _entries(path):
            yield folder.item("checkpoints", path)


def _merged(contents: _Contents) -> Iterator[Removable]:
    """Merged policies of finished runs that no planned run starts from."""
    done = {folder.address for folder in contents.folders if folder.done}
    to_be_made = {*contents.planned, *(folder.address for folder in contents.folders)} - done
    unfinished = {address.partition("/")[0] for address in to_be_made}
    needed = {
        need
        for plan in contents.plans.values()
        if plan
        for task in plan.tasks
        if task.address in to_be_made
        for need in task.needs
    }
    for folder in contents.folders:
        path = folder.path / _MERGED
        if not folder.done or folder.held or folder.address in needed:
            continue
        # Without a plan nobody knows which runs of the study start from it.
        perhaps_needed = folder.study in unfinished and contents.plans.get(folder.study) is None
        if path.is_dir() and not path.is_symlink() and not perhaps_needed:
            yield folder.item("merged", path)


def _entries(place: Path) -> list[Path]:
    """Everything in a folder but links, by name; nothing if it is gone or cannot be read."""
    try:
        return sorted(path for path in place.iterdir() if not path.is_symlink())
    except OSError:
        return []


def _folders_in(place: Path) -> list[Path]:
    """The folders in a folder that are neither hidden nor links and can be read, by name."""
    return [
        path
        for path in _entries(place)
        if not path.name.startswith(".") and path.is_dir() and os.access(path, os.X_OK)
    ]


def _below(place: Path) -> Iterator[Path]:
    """Everything below a folder but links and what is behind them."""
    for path in _entries(place):
        yield path
        if path.is_dir():
            yield from _below(path)


def _size(path: Path) -> int:
    """Bytes of a file, or of the files below a folder."""
    total = 0
    for file in (path, *_below(path)):
        with suppress(OSError):  # gone meanwhile
            total += 0 if file.is_dir() else file.lstat().st_size
    return total


def _settled(path: Path) -> bool:
    """Whether nothing in it has changed of late; a time in the future says nothing."""
    try:
        return all(time.time() - p.lstat().st_mtime > SETTLED for p in (path, *_below(path)))
    except OSError:
        return False


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
