"""A run folder at an fsspec address: how it is fetched, and sent so that it can be gone on with.

At every moment the folder at the address is one that a run can go on from: a list of what belongs
together, `.sent.json`, is replaced only when everything on it has been sent, and DONE comes after
it. What was sent since may be newer than the list, as metrics and rollouts are: a resumed run drops
what is later than its checkpoint. So the sizes on the list hold from DONE on.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from formatlab.errors import RunError
from formatlab.launch.cluster.storage import exists, is_store, listing, put_whole

LIST = ".sent.json"
"""The list of what belongs together in a folder at an address, with the size of each file; lists of
schema version 1 have no sizes."""

_WHOLE = ("checkpoints/", "model/", "policy/")
"""Folders whose files are of use together only; they come last."""

_IDENTITY = ("config.json", "env.json")
"""Files that a run folder keeps for as long as it is the same one."""

State = tuple[int, int, int]
"""What tells that a file of this machine has changed: size, time, inode."""


class RemoteFolder:
    """One folder at an address, as one process sees and changes it."""

    def __init__(self, fs: Any, path: str) -> None:
        """Take its file system and its path there."""
        self.path = path
        self._fs = fs
        self._there: set[str] = set()
        self._list: dict[str, int | None] | None = None
        self._sent: dict[str, State] = {}
        self._identity: tuple[bytes, ...] | None = None

    def has(self, name: str) -> bool:
        """Whether a file is there; whatever the storage raises, if that cannot be told."""
        return exists(self._fs, f"{self.path}/{name}")

    def fetch(self, into: Path, wanted: Callable[[str], bool] = lambda _: True) -> None:
        """Copy what belongs together into a folder of this machine.

        Args:
            into: the folder; what an attempt that was cut short left in it goes.
            wanted: which files, by their path in the folder; all without it.

        Raises:
            RunError: a file that was sent is gone.
        """
        shutil.rmtree(into, ignore_errors=True)
        self._look()
        listed = self._list
        if listed is None:  # copied there by other means
            listed = [name for name in self._there if not _hidden(name) and name != "DONE"]
        names = [name for name in (*listed, *({"DONE"} & self._there)) if wanted(name)]
        for name in names:
            (into / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            if names:
                there = [f"{self.path}/{name}" for name in names]
                self._fs.get(there, [str(into / name) for name in names])
        except FileNotFoundError as error:
            raise RunError(
                f"{self.path} lacks a file that was sent there ({error}); remove the folder, and "
                "the same command makes it again"
            ) from error
        self._sent = {name: _state(into / name) for name in names}
        self._identity = _identity(into)

    def damage(self) -> str | None:
        """What keeps what is there from being used, in words; None if nothing can be seen.

        Something is gone that was sent, or is of another length in a finished folder.
        """
        try:
            sizes = self._look()
        except RunError:
            return f"{LIST} cannot be read"
        listed = self._list or {}
        for name in (*_IDENTITY, *listed) if sizes else ():
            if name not in sizes:
                return f"{name} is missing"
            size, sent = sizes[name], listed.get(name)
            if "DONE" in sizes and None not in (size, sent) and size != sent:
                return f"{name} has {size} bytes, and {sent} were sent"
        return None

    def send(self, folder: Path, staging: Path, aside: Callable[[], str]) -> None:
        """Send what has changed since it was fetched or sent, and remove there what is gone here.

        Args:
            folder: the run folder on this machine, which may be written to meanwhile.
            staging: a path on the same disk for a snapshot of it.
            aside: names a free path for what is there, where the folder was made anew.
        """
        done = (folder / "DONE").exists()
        states = _snapshot(folder, staging, self._sent)
        identity = _identity(staging)
        if identity is None:
            return
        if self._identity not in (None, identity):
            self.put_aside(aside())
            states = _snapshot(folder, staging, self._sent)
        self._identity = identity
        if not done:
            states.pop("DONE", None)
        files = {name: states[name][0] for name in sorted(states.keys() - {"DONE"})}
        for name in sorted(files, key=lambda name: name.startswith(_WHOLE)):
            self._send(staging, name, states)
        if (
            self._list is None
            or files.keys() != self._list.keys()
            or (done and files != self._list)
        ):
            (staging / LIST).write_text(json.dumps({"schema_version": 2, "files": files}))
            self.put(staging / LIST, LIST)
            self._list = dict(files)
        if done:
            self._send(staging, "DONE", states)
        for name in self._there - states.keys() - {LIST}:
            self._remove(name)

    def put(self, local: Path, name: str) -> None:
        """Send one file, which is seen there when it is whole."""
        put_whole(self._fs, local, f"{self.path}/{name}")

    def _send(self, staging: Path, name: str, states: Mapping[str, State]) -> None:
        if self._sent.get(name) != states[name]:
            self.put(staging / name, name)
            self._sent[name] = states[name]
            self._there.add(name)

    def _remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.rm_file(f"{self.path}/{name}")
        for parent in PurePosixPath(name).parents[:-1] if not is_store(self._fs) else ():
            with suppress(OSError):  # something else is in it
                self._fs.rmdir(f"{self.path}/{parent}")
        self._there.discard(name)
        self._sent.pop(name, None)

    def put_aside(self, aside: str) -> None:
        """Move what is there to a free path. Without its configuration, what is left is damaged."""
        names = sorted(self._there, key=lambda name: (name != "config.json", name))
        store = is_store(self._fs)
        for name in names if store else ():
            self._fs.cp_file(f"{self.path}/{name}", f"{aside}/{name}")
        for name in names:
            if not store:
                self._fs.makedirs(f"{aside}/{name}".rpartition("/")[0], exist_ok=True)
                with suppress(FileNotFoundError):  # moved already, which was not told
                    self._fs.mv(f"{self.path}/{name}", f"{aside}/{name}")
            self._remove(name)
        self._list, self._identity = None, None

    def _look(self) -> dict[str, int | None]:
        """See what is there, and the size of each file."""
        found = listing(self._fs, self.path)
        self._there, self._list = set(found), None
        if LIST in found:
            content = self._fs.cat_file(f"{self.path}/{LIST}")
            try:
                files = json.loads(content)["files"]
            except (ValueError, KeyError, TypeError) as error:
                raise RunError(
                    f"{self.path}/{LIST} cannot be read; remove the folder, and the same command "
                    "makes it again"
                ) from error
            self._list = files if isinstance(files, dict) else dict.fromkeys(files)
        return {name: info.get("size") for name, info in found.items()}


def _snapshot(folder: Path, staging: Path, known: Mapping[str, State]) -> dict[str, State]:
    """Link the files of a folder that is written to into another one; the state of each.

    Checkpoints come first, so that the rest is at least as new; and only whole ones. Files whose
    state is known are not linked: a disk without links has to make copies.
    """
    while True:
        shutil.rmtree(staging, ignore_errors=True)
        names = _files(folder / "checkpoints", folder)
        states: dict[str, State] = {}
        with suppress(FileNotFoundError):
            for name in names:
                states[name] = _link(folder / name, staging / name, known.get(name))
            if names == _files(folder / "checkpoints", folder):
                break
        # A new one has just come, or an old one, of which there may be half, is going.
    for name in _files(folder, folder) - names:
        if not name.startswith("checkpoints/"):
            with suppress(FileNotFoundError):
                seen = None if name in _IDENTITY else known.get(name)
                states[name] = _link(folder / name, staging / name, seen)
    return {
        name: state
        for name, state in states.items()
        if all(f"{part}/WHOLE" in states for part in _marked(name))
    }


def _marked(name: str) -> list[str]:
    """The folders on the way to a file that are checkpoints with a mark."""
    parents = PurePosixPath(name).parents
    return [str(parent) for parent in parents if parent.name.startswith("checkpoint-")]


def _files(folder: Path, root: Path) -> set[str]:
    """The files in a folder, as paths in `root`, without those that are being written."""
    found = set()
    for parent, _, names in os.walk(folder):
        found |= {(Path(parent) / name).relative_to(root).as_posix() for name in names}
    return {name for name in found if not _hidden(name)}


def _hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _link(source: Path, target: Path, known: State | None) -> State:
    """Link a file unless its state is known; gives the state before, which misses no change."""
    state = _state(source)
    if state != known:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without links
            shutil.copy2(source, target)
    return state


def _state(path: Path) -> State:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def _identity(folder: Path) -> tuple[bytes, ...] | None:
    """What tells a run folder from one that was made anew in its place; None if it is none."""
    try:
        return tuple((folder / name).read_bytes() for name in _IDENTITY)
    except FileNotFoundError:
        return None
