"""A mirror: the small files that `formatlab status` reads, copied from an address."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from formatlab.errors import InputError
from formatlab.store.remote.address import exists, explained, listing, open_address
from formatlab.store.runs_folder import BASES, PLAN_FILE

_METRICS = "metrics.jsonl"
_OF_RUNS = {
    "config.json",
    "env.json",
    "DONE",
    "FAILED",
    "resumes.jsonl",
    "winners.parquet",
    _METRICS,
}

_END = 1 << 18
"""Bytes of a metrics log that are copied, from its end."""
_DAY = 86_400.0


class Mirror:
    """A copy of the small files of a runs folder, or of one study and all bases."""

    def __init__(self, address: str, folder: Path) -> None:
        """Look at what is at an address.

        Args:
            address: of a runs folder, or of a study in one.
            folder: an empty one of this machine.

        Raises:
            InputError: no such kind of address, nothing is there, or only one run.
            RunError: it cannot be reached.
        """
        self.address, self.runs = address, folder
        self.names: list[str] | None = None
        """Names of the studies asked for; None for all."""
        self._fs, self._root = open_address(address)
        self._seen: dict[str, Mapping[str, Any]] = {}
        with explained(address):
            found = listing(self._fs, self._root)
            if not found and not exists(self._fs, self._root):
                raise InputError(
                    f"there is nothing at {address}; give the address of a runs folder, or of a "
                    "study in it"
                )
        if "config.json" in found:
            raise InputError(f"{address} is one run; give the folder of its study, which holds it")
        depths = {name.count("/") for name in found if name.endswith("/config.json")}
        if PLAN_FILE in found or 1 in depths:
            self._root, _, study = self._root.rpartition("/")
            self.names = [study]

    def refresh(self) -> None:
        """Fetch the files that have changed, and remove those that are gone.

        Raises:
            RunError: the address cannot be reached; the mirror is as it was before.
        """
        with explained(self.address):
            infos = self._found()
            # Lock records all have one length, and some storage does not tell times.
            changed = [n for n, info in infos.items() if _is_lock(n) or self._seen.get(n) != info]
            contents = self._fetched(changed, infos)
            beats = {name: self._last_beat(name) for name in changed if _is_lock(name)}
        for name, content in zip(changed, contents, strict=True):
            if content is None:
                del infos[name]
                continue
            path = self.runs / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            if name in beats:
                os.utime(path, (beats[name], beats[name]))
        for name in self._seen.keys() - infos.keys():
            (self.runs / name).unlink(missing_ok=True)
        self._seen = infos

    def at_address(self, text: str) -> str:
        """A text with addresses in place of the mirror's paths."""
        return text.replace(str(self.runs), self._fs.unstrip_protocol(self._root))

    def _found(self) -> dict[str, Mapping[str, Any]]:
        """The files that are mirrored, by their path in the runs folder."""
        if self.names is None:
            found = listing(self._fs, self._root)
        else:
            found = {
                f"{folder}/{name}": info
                for folder in (*self.names, BASES)
                for name, info in listing(self._fs, f"{self._root}/{folder}").items()
            }
        return {name: info for name, info in found.items() if _is_mirrored(name)}

    def _fetched(
        self, names: Sequence[str], infos: Mapping[str, Mapping[str, Any]]
    ) -> list[bytes | None]:
        """The content of files; None where one is gone meanwhile."""
        if not names:
            return []
        starts = [_start(name, infos[name].get("size")) for name in names]
        paths = [f"{self._root}/{name}" for name in names]
        contents: list[bytes | None] = []
        for content in self._fs.cat_ranges(paths, starts, [None] * len(names)):
            if isinstance(content, Exception) and not isinstance(content, FileNotFoundError):
                raise content
            contents.append(None if isinstance(content, Exception) else content)
        return contents

    def _last_beat(self, name: str) -> float:
        """When a lock's record was written, as the storage says.

        If it does not say, a time in the future: that of the copy would look like a sign of life.
        """
        try:
            return self._fs.modified(f"{self._root}/{name}").timestamp()
        except (NotImplementedError, FileNotFoundError):
            return time.time() + _DAY


def _is_mirrored(name: str) -> bool:
    *folders, last = name.split("/")
    if any(folder.startswith(".") for folder in folders):
        return False
    return (len(folders) == 1 and (last == PLAN_FILE or _is_lock(name))) or (
        len(folders) == 2 and last in _OF_RUNS
    )


def _is_lock(name: str) -> bool:
    last = name.rpartition("/")[2]
    return last.startswith(".") and last.endswith(".lock")


def _start(name: str, size: int | None) -> int | None:
    """The byte from which a file is fetched; None for all of it."""
    return size - _END if name.endswith(_METRICS) and size is not None and size > _END else None
