"""Storage at an fsspec address: opened, listed, and written to so that a file is seen whole."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs

from formatlab.errors import FormatlabError, InputError, RunError
from formatlab.store.atomic_file import TEMPORARY_PREFIX

_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory"}
"""Where a file is seen when it has been sent whole, and where there are no folders. Elsewhere files
are moved into their place, and folders made and removed."""


def open_address(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it.

    Raises:
        InputError: no such kind of address, or what reads it is not installed.
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


def is_store(fs: Any) -> bool:
    """Whether files are sent to their place at once, and folders are but part of their names."""
    protocols = [fs.protocol] if isinstance(fs.protocol, str) else fs.protocol
    return not _STORES.isdisjoint(protocols)


def exists(fs: Any, path: str) -> bool:
    """Whether something is there; whatever the storage raises, if that cannot be told."""
    fs.invalidate_cache()
    try:
        fs.info(path)  # `exists` of fsspec takes a lost network for a no
    except FileNotFoundError:
        return False
    return True


def listing(fs: Any, path: str) -> dict[str, Mapping[str, Any]]:
    """What the storage says of every file below a path, by its path in there.

    Folders are walked through here: `find` of fsspec takes those that a lost network keeps it from
    reading for empty ones.
    """
    fs.invalidate_cache()
    found = _found(fs, path) if is_store(fs) else _walked(fs, path)
    return {name.removeprefix(f"{path}/"): info for name, info in found}


def _found(fs: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with suppress(FileNotFoundError):
        for name, info in fs.find(path, detail=True).items():
            if info["type"] != "directory":  # a mark that some tools leave
                yield str(name), info


def _walked(fs: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        inside = fs.ls(path, detail=True)
    except FileNotFoundError:
        return
    for info in inside:
        name = str(info["name"]).rstrip("/")
        if info["type"] != "directory":
            yield name, info
        elif name != path:
            yield from _walked(fs, name)


def put_whole(fs: Any, local: Path, path: str) -> None:
    """Send a file, which is seen there when it is whole.

    Raises:
        RunError: the storage keeps what was there before.
    """
    if is_store(fs):
        fs.put_file(str(local), path)
        return
    parent, _, last = path.rpartition("/")
    unfinished = f"{parent}/{TEMPORARY_PREFIX}{last}"
    before = local.stat().st_size
    fs.makedirs(parent, exist_ok=True)
    fs.put_file(str(local), unfinished)
    if not _moved(fs, unfinished, path):
        with suppress(FileNotFoundError):
            fs.rm_file(path)
        fs.mv(unfinished, path)
    if not exists(fs, unfinished):
        size = fs.info(path)["size"]
        # It may be written to meanwhile, at its end.
        if size is None or before <= size <= local.stat().st_size:
            return
    raise RunError(
        f"{path} could not be replaced: the storage neither moves a file over another one nor to "
        "where one was removed; use another kind of storage"
    )


def _moved(fs: Any, unfinished: str, path: str) -> bool:
    """Move a file; False where one is in the way, as webhdfs does not say and smb raises."""
    try:
        fs.mv(unfinished, path)
    except Exception:  # storage libraries have errors of their own
        if exists(fs, unfinished) and exists(fs, path):
            return False
        raise
    return not exists(fs, unfinished)


@contextmanager
def explained(address: str) -> Iterator[None]:
    """Turn whatever the library of some storage raises into an error for people."""
    try:
        yield
    except FormatlabError:
        raise
    except Exception as error:
        raise RunError(unreachable(address, error)) from error


def unreachable(address: str, error: Exception) -> str:
    """What people are told when storage cannot be worked with."""
    return f"cannot work at {address}: {words_of(error)}"


def words_of(error: Exception) -> str:
    """What a library raised, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


@contextmanager
def as_os_errors() -> Iterator[None]:
    """Turn whatever the library of some storage raises into what files raise."""
    try:
        yield
    except (OSError, FormatlabError):
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
