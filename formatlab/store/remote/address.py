"""An fsspec address: opened, listed, written to so that files appear whole, and locked."""

import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_fixed

from formatlab.errors import FormatlabError, InputError, RunError
from formatlab.store.atomic_file import TEMPORARY_PREFIX
from formatlab.store.lock import Record, RecordFile

RETRY_EVERY = 5.0
"""Seconds between two tries of what failed because the network is away."""
RETRY_FOR = 600.0
"""Seconds for which it is tried again."""

_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory"}
"""Storage without folders, in which a file appears only when it has been sent whole. On other
storage files are moved into their place, and folders made and removed."""
_LASTING = (
    FormatlabError,
    PermissionError,
    NotImplementedError,
    ImportError,
    TypeError,
    ValueError,
)
"""Errors that waiting does not mend: access denied, unsupported operations, errors for people."""

_ONCE = Retrying(stop=stop_after_attempt(1), reraise=True)
"""Calls a function, and never again."""


def open_address(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it.

    Raises:
        InputError: no such kind of address, or the package that reads it is not installed.
    """
    try:
        fs, path = url_to_fs(address)
    except ImportError as error:
        raise InputError(f"{address}: {error}") from error
    except ValueError as error:
        raise InputError(
            f"{address}: {error}; give a path, or an address that fsspec knows: "
            "s3://bucket/runs, gs://bucket/runs, file:///folder/runs"
        ) from error
    return fs, str(path).rstrip("/")


def is_object_store(fs: Any) -> bool:
    """Whether files appear whole at once, and folders are only a part of their names."""
    protocols = [fs.protocol] if isinstance(fs.protocol, str) else fs.protocol
    return not _OBJECT_STORES.isdisjoint(protocols)


def exists(fs: Any, path: str) -> bool:
    """Whether a path exists; raises the storage's own error if it cannot be asked."""
    fs.invalidate_cache()
    try:
        fs.info(path)  # fsspec's own `exists` takes a lost network for a no
    except FileNotFoundError:
        return False
    return True


def listing(fs: Any, path: str) -> dict[str, Mapping[str, Any]]:
    """The storage's record of every file below a path, by the file's path relative to it."""
    fs.invalidate_cache()
    whole = is_object_store(fs)
    found: dict[str, Mapping[str, Any]] = {}
    folders = [path]
    for folder in folders:
        try:
            # Not `find` where there are folders: it takes one that it cannot read for an empty one.
            inside = fs.find(path, detail=True).values() if whole else fs.ls(folder, detail=True)
        except FileNotFoundError:
            continue
        for info in inside:
            name = str(info["name"]).rstrip("/")
            if info["type"] != "directory":
                found[name.removeprefix(f"{path}/")] = info
            elif name != folder and not whole:
                folders.append(name)
    return found


def put_whole(fs: Any, local: Path, path: str) -> None:
    """Send a file, which appears there when it is whole.

    Raises:
        RunError: the storage keeps what was there before.
    """
    if is_object_store(fs):
        fs.put_file(str(local), path)
        return
    make_parent(fs, path)
    parent, _, last = path.rpartition("/")
    unfinished = f"{parent}/{TEMPORARY_PREFIX}{last}"
    fs.put_file(str(local), unfinished)
    fs.mv(unfinished, path)
    if exists(fs, unfinished):  # some storage says nothing
        raise RunError(f"{path} could not be replaced: the storage keeps the old file")


def check_replaces(fs: Any, root: str) -> None:
    """Check that storage with folders moves a file over another one, as every send needs.

    Raises:
        InputError: it does not.
    """
    if is_object_store(fs):
        return
    path = f"{root}/{TEMPORARY_PREFIX}{secrets.token_hex(4)}"
    with tempfile.NamedTemporaryFile() as empty:
        put_whole(fs, Path(empty.name), path)
        try:
            put_whole(fs, Path(empty.name), path)
        except Exception as error:  # storage libraries have errors of their own
            raise InputError(
                f"{fs.unstrip_protocol(root)}: the storage does not move a file over another one "
                f"({words_of(error)}); mount it and give the path, or use another kind of storage"
            ) from error
        finally:
            fs.rm_file(path)


def make_parent(fs: Any, path: str) -> None:
    """Make the folder of a path, where the storage has folders."""
    if not is_object_store(fs):
        fs.makedirs(path.rpartition("/")[0], exist_ok=True)


@contextmanager
def explained(address: str) -> Iterator[None]:
    """Turn any error of a storage library into an error for people."""
    try:
        yield
    except FormatlabError:
        raise
    except Exception as error:
        raise RunError(f"cannot work at {address}: {words_of(error)}") from error


def words_of(error: BaseException | None) -> str:
    """A library's error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


@contextmanager
def as_os_errors() -> Iterator[None]:
    """Turn any error of a storage library into an `OSError`, as files raise it."""
    try:
        yield
    except (OSError, FormatlabError):
        raise
    except Exception as error:
        raise OSError(words_of(error)) from error


def patiently(waiting: Callable[[BaseException | None], None]) -> Retrying:
    """Calls a function again while it fails for want of a network.

    It waits for `RETRY_FOR` seconds in all; the calls themselves may take hours.

    Args:
        waiting: called with the error before each wait.
    """

    def before_sleep(state: RetryCallState) -> None:
        waiting(state.outcome.exception() if state.outcome else None)

    return Retrying(
        retry=retry_if_exception(_may_pass),
        wait=wait_fixed(RETRY_EVERY),
        stop=lambda state: state.idle_for >= RETRY_FOR,
        before_sleep=before_sleep,
        reraise=True,
    )


def _may_pass(error: BaseException) -> bool:
    """Whether waiting may mend it; never an interrupt or the end of the process."""
    return isinstance(error, Exception) and not isinstance(error, _LASTING)


def lock_record(fs: Any, path: str, retry: Retrying | None = None) -> Record:
    """The record of the lock on a folder at an address; see `lock.Record`.

    Args:
        fs: the file system.
        path: of the folder.
        retry: with which the lock is taken and released; None for one try each.
    """
    if isinstance(fs, LocalFileSystem):
        return RecordFile(Path(path))
    folder, _, name = path.rpartition("/")
    return RemoteRecord(fs, f"{folder}/.{name}.lock", retry or _ONCE)


class RemoteRecord:
    """The record of a lock at an address; see `lock.Record`.

    S3, GCS, Azure and memory make a file for only one of several that try. Removing one is not as
    safe: should two processes take over from a dead one in the same instant, the one that loses
    ends itself at its next heartbeat.
    """

    def __init__(self, fs: Any, path: str, retry: Retrying) -> None:
        self._fs, self._path, self._retry = fs, path, retry

    def make(self, content: bytes) -> bool:
        """Make the file, unless there is one; an owner whose answer was lost knows its token."""
        for attempt in self._retry:
            with attempt:
                make_parent(self._fs, self._path)
                try:
                    self._fs.pipe_file(self._path, content, mode="create")
                except FileExistsError:
                    return False
        return True

    def read(self) -> bytes | None:
        """Read the file."""
        return self._retry(self._read)

    def replace(self, old: bytes, new: bytes) -> bytes | None:
        """Overwrite the file, unless it is another process's by now.

        Without retries: the next heartbeat comes anyway.
        """
        there = self._read()
        if there != old:
            return there
        with as_os_errors():
            self._fs.pipe_file(self._path, new)
        return old

    def remove(self, content: bytes) -> None:
        """Remove the file if this is its content."""
        for attempt in self._retry:
            with attempt, suppress(FileNotFoundError):
                if self._read() == content:
                    self._fs.rm_file(self._path)

    def _read(self) -> bytes | None:
        with as_os_errors():
            self._fs.invalidate_cache()
            try:
                return self._fs.cat_file(self._path)
            except FileNotFoundError:
                return None
