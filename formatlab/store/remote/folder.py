"""A run folder at an address: fetched, and sent so that a run can resume from it at any moment.

A manifest, `.sent.json`, lists the files that belong together with their sizes. It is replaced only
when everything on it has been sent, and DONE is sent after it. Metrics and rollouts that were sent
after the manifest may be newer than it: a resumed run drops all rows later than its checkpoint.
File sizes are therefore checked only once DONE is there.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

from formatlab.errors import RunError
from formatlab.store.remote.address import (
    exists,
    is_object_store,
    listing,
    make_parent,
    put_whole,
)
from formatlab.store.runs_folder import ASIDE

MANIFEST = ".sent.json"
"""Name of the manifest; those of schema version 1 have no sizes."""

_IDENTITY = ("config.json", "env.json")
"""Files that every run folder has."""

State = tuple[int, int]
"""Size, and time of the last change in nanoseconds: a local file has changed if they differ."""


class RemoteFolder:
    """One run folder at an address, as the process that holds its lock sees and changes it."""

    def __init__(self, fs: Any, root: str, name: str) -> None:
        """Take the file system, the path of the runs folder, and the folder's path in that."""
        self.path = f"{root}/{name}"
        self._fs = fs
        self._aside = f"{root}/{ASIDE}/{name}"
        self._there: set[str] = set()
        self._manifest: dict[str, int | None] | None = None
        self._sent: dict[str, State] = {}

    @property
    def done(self) -> bool:
        """Whether DONE was there at the latest look."""
        return "DONE" in self._there

    def fetch(self, into: Path, wanted: Callable[[str], bool] = lambda _: True) -> None:
        """Copy what belongs together into a folder of this machine.

        Args:
            into: the folder; what is in it goes.
            wanted: which files, by their path in the folder; all by default.

        Raises:
            RunError: a file of the manifest is gone.
        """
        shutil.rmtree(into, ignore_errors=True)
        self._look()
        listed = self._manifest
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

    def damage(self) -> str | None:
        """Why what is there cannot be used, in words; None if nothing is seen.

        A file of the manifest is gone, or has another size in a finished folder.
        """
        try:
            sizes = self._look()
        except RunError:
            return f"{MANIFEST} cannot be read"
        listed = self._manifest or {}
        for name in (*_IDENTITY, *listed) if sizes else ():
            if name not in sizes:
                return f"{name} is missing"
            size, sent = sizes[name], listed.get(name)
            if "DONE" in sizes and None not in (size, sent) and size != sent:
                return f"{name} has {size} bytes, and {sent} were sent"
        return None

    def send(self, folder: Path) -> None:
        """Send what has changed since it was fetched or sent, and remove there what is gone here.

        Args:
            folder: the run folder on this machine, which nobody writes to meanwhile.
        """
        states = {name: _state(folder / name) for name in files_to_send(folder)}
        sizes: dict[str, int | None] = {name: states[name][0] for name in states.keys() - {"DONE"}}
        # The mark of a whole checkpoint comes last: the first time there is no manifest yet.
        for name in sorted(sizes, key=lambda name: (name.endswith("/WHOLE"), name)):
            self._send(folder, name, states)
        if sizes != self._manifest:
            self._put_manifest(sizes)
        if "DONE" in states:
            self._send(folder, "DONE", states)
        for name in self._there - states.keys() - {MANIFEST}:
            self._remove(name)

    def put(self, local: Path, name: str) -> None:
        """Send one file, which appears there when it is whole."""
        put_whole(self._fs, local, f"{self.path}/{name}")

    def place_aside(self) -> str:
        """A free path in `.aside/` of the runs folder."""
        places = (f"{self._aside}-{number}" for number in count(1))
        return next(place for place in places if not exists(self._fs, place))

    def put_aside(self, aside: str) -> str:
        """Move what is there to a path that was free, and return its address.

        config.json goes first, so that what is left when a machine is lost is damaged.
        """
        for name in sorted(self._there, key=lambda name: (name != "config.json", name)):
            make_parent(self._fs, f"{aside}/{name}")
            with suppress(FileNotFoundError):  # it was moved, and the answer was lost
                self._fs.mv(f"{self.path}/{name}", f"{aside}/{name}")
            self._remove(name)
        self._manifest, self._sent = None, {}
        return self._fs.unstrip_protocol(aside)

    def _put_manifest(self, sizes: Mapping[str, int | None]) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"schema_version": 2, "files": dict(sorted(sizes.items()))}, file)
            file.flush()
            self.put(Path(file.name), MANIFEST)
        self._manifest = dict(sizes)

    def _send(self, folder: Path, name: str, states: Mapping[str, State]) -> None:
        if self._sent.get(name) != states[name]:
            self.put(folder / name, name)
            self._sent[name] = states[name]
            self._there.add(name)

    def _remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.rm_file(f"{self.path}/{name}")
        for parent in PurePosixPath(name).parents[:-1] if not is_object_store(self._fs) else ():
            with suppress(OSError):  # something else is in it
                self._fs.rmdir(f"{self.path}/{parent}")
        self._there.discard(name)
        self._sent.pop(name, None)

    def _look(self) -> dict[str, int | None]:
        """See what is there, and the size of each file."""
        found = listing(self._fs, self.path)
        self._there, self._manifest = set(found), None
        if MANIFEST in found:
            content = self._fs.cat_file(f"{self.path}/{MANIFEST}")
            try:
                files = json.loads(content)["files"]
            except (ValueError, KeyError, TypeError) as error:
                raise RunError(
                    f"{self.path}/{MANIFEST} cannot be read; remove the folder, and the same "
                    "command makes it again"
                ) from error
            self._manifest = files if isinstance(files, dict) else dict.fromkeys(files)
        return {name: info.get("size") for name, info in found.items()}


def is_document(name: str) -> bool:
    """Whether a file of a run folder says what was made there, and of what."""
    return name in (*_IDENTITY, "DONE")


def starts_others(name: str) -> bool:
    """Whether a file of a run folder is needed by what starts from it."""
    return name.split("/")[0] not in ("checkpoints", "rollouts")


def is_reported(name: str) -> bool:
    """Whether a file of a run folder may be needed by a report, which needs no weights."""
    first = name.split("/")[0]
    return first not in ("checkpoints", "policy", "policy-merged") and not first.startswith("model")


def files_to_send(folder: Path) -> set[str]:
    """The files of a run folder, without those being written and checkpoints that are not whole."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix() for path in paths}
    return {name for name in names if not _hidden(name) and _in_whole(name, names)}


def _in_whole(name: str, names: set[str]) -> bool:
    """Whether a file is of a whole checkpoint, or of none."""
    parents = PurePosixPath(name).parents
    return all(f"{of}/WHOLE" in names for of in parents if of.name.startswith("checkpoint-"))


def _hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _state(path: Path) -> State:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
