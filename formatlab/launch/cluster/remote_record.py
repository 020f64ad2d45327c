"""The record of a lock at an fsspec address."""

from contextlib import suppress
from typing import Any

from formatlab.launch.cluster.storage import as_os_errors


class RemoteRecord:
    """The record of a lock at an address; see `lock.Record`.

    S3, GCS, Azure and memory make a file for one only of several that try. Removing one is not
    so safe: should two take over from a dead owner in the same instant, the one that loses ends
    itself at its next heartbeat.
    """

    def __init__(self, fs: Any, path: str) -> None:
        self._fs, self._path = fs, path

    def make(self, content: bytes) -> bool:
        """Make the file, unless there is one."""
        try:
            self._fs.pipe_file(self._path, content, mode="create")
        except FileExistsError:
            return False
        return True

    def read(self) -> bytes | None:
        """Read the file."""
        with as_os_errors():
            self._fs.invalidate_cache()
            try:
                return self._fs.cat_file(self._path)
            except FileNotFoundError:
                return None

    def replace(self, old: bytes, new: bytes) -> bytes | None:
        """Overwrite the file, and look whether it was another's meanwhile."""
        there = self.read()
        if there != old:
            return there
        with as_os_errors():
            self._fs.pipe_file(self._path, new)
        return old

    def remove(self, content: bytes) -> None:
        """Remove the file if this is what is in it."""
        if self.read() == content:
            with suppress(FileNotFoundError):
                self._fs.rm_file(self._path)
