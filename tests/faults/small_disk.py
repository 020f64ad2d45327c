"""A small disk (tmpfs) that can be filled, made larger, and made read-only."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A mounted one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resize(self, kilobytes: int) -> None:
        """Make it larger or smaller; what is there stays."""
        self._mount("-o", f"remount,rw,size={kilobytes}k", str(self.folder))

    def make_read_only(self) -> None:
        """From now on nothing can be written; as soon as no file is open for writing."""
        for _ in range(2000):
            if self._mounted("-o", "remount,ro", str(self.folder)):
                return
            time.sleep(0.005)
        raise TimeoutError(f"{self.folder} is always busy")

    def mount(self, kilobytes: int) -> None:
        """Mount it.

        Raises:
            PermissionError: mounting is not allowed here.
        """
        self.folder.mkdir()
        if not self._mounted("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(self.folder)):
            raise PermissionError

    def unmount(self) -> None:
        """Unmount it, whoever is still at it."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def _mount(self, *words: str) -> None:
        subprocess.run(["mount", *words], check=True)

    def _mounted(self, *words: str) -> bool:
        try:
            return subprocess.run(["mount", *words], capture_output=True).returncode == 0
        except FileNotFoundError:  # no such program
            return False


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[SmallDisk]:
    """A small disk; the test is skipped where none can be mounted."""
    disk = SmallDisk(folder)
    try:
        disk.mount(kilobytes)
    except PermissionError:
        pytest.skip("no small disk can be mounted here; tests/cli/test_run.py limits file sizes")
    try:
        yield disk
    finally:
        disk.unmount()
