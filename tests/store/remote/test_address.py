"""Storage of every kind is opened, listed and written to alike."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from formatlab.errors import InputError, RunError
from formatlab.store.remote import address
from formatlab.store.remote.address import (
    check_replaces,
    exists,
    listing,
    lock_record,
    open_address,
    patiently,
    put_whole,
)


class MadeUp(MemoryFileSystem):
    """A file system with folders, whose `mv` is a rename that the tests choose."""

    protocol = "made-up"
    cachable = False
    moved: Callable[[str, str], None]

    def mv(
        self, path1: str, path2: str, recursive: object = None, maxdepth: object = None, **_: Any
    ) -> None:
        self.moved(path1, path2)

    def replace(self, old: str, new: str) -> None:
        self.cp_file(old, new)
        self.rm_file(old)

    def silently(self, old: str, new: str) -> None:
        """As webhdfs does."""
        if not self.isfile(new):
            self.replace(old, new)

    def aloud(self, old: str, new: str) -> None:
        """As smb does."""
        if self.isfile(new):
            raise OSError("cannot create a file when that file already exists")
        self.replace(old, new)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Two files to be sent, of equal length."""
    for name in ("old", "new"):
        (tmp_path / name).write_text(name)
    return tmp_path / "old", tmp_path / "new"


def test_what_is_sent_again_replaces_what_was_there(files: tuple[Path, Path]):
    fs, folder = MadeUp(), f"/{uuid4()}"
    fs.moved = fs.replace
    for file in files:
        put_whole(fs, file, f"{folder}/name")
        assert fs.cat_file(f"{folder}/name") == file.read_bytes()
    assert list(listing(fs, folder)) == ["name"]


@pytest.mark.parametrize(
    ("moved", "told"),
    [("silently", "could not be replaced"), ("aloud", "cannot create a file")],
)
def test_storage_that_keeps_what_was_there_is_told(files: tuple[Path, Path], moved: str, told: str):
    fs, folder = MadeUp(), f"/{uuid4()}"
    fs.moved = getattr(fs, moved)
    put_whole(fs, files[0], f"{folder}/name")
    with pytest.raises((RunError, OSError), match=told):
        put_whole(fs, files[1], f"{folder}/name")
    assert fs.cat_file(f"{folder}/name") == b"old"
    with pytest.raises(InputError, match=f"{told}.*mount it and give the path"):
        check_replaces(fs, folder)


def test_a_look_at_what_storage_replaces_leaves_nothing():
    fs, folder = MadeUp(), f"/{uuid4()}"
    fs.moved = fs.replace
    check_replaces(fs, folder)
    assert listing(fs, folder) == {}


def test_a_move_that_fails_for_another_reason_removes_nothing(files: tuple[Path, Path]):
    fs, folder = MadeUp(), f"/{uuid4()}"
    fs.moved = fs.replace
    put_whole(fs, files[0], f"{folder}/name")

    def lost(old: str, new: str) -> None:
        fs.rm_file(old)
        raise ConnectionError("the network is away")

    fs.moved = lost
    with pytest.raises(ConnectionError):
        put_whole(fs, files[1], f"{folder}/name")
    assert fs.cat_file(f"{folder}/name") == b"old"


@pytest.mark.parametrize("kind", [MemoryFileSystem, LocalFileSystem])
def test_every_file_below_a_path_is_listed_with_its_size(kind: Any, tmp_path: Path):
    fs, folder = kind(), f"{tmp_path}/{uuid4()}"
    assert listing(fs, folder) == {}
    for name, size in {"a": 1, ".b": 2, "c/d/e": 3}.items():
        fs.makedirs(f"{folder}/{name}".rpartition("/")[0], exist_ok=True)
        fs.pipe_file(f"{folder}/{name}", b"x" * size)
    sizes = {name: info["size"] for name, info in listing(fs, folder).items()}
    assert sizes == {"a": 1, ".b": 2, "c/d/e": 3}
    assert exists(fs, f"{folder}/c/d/e")
    assert not exists(fs, f"{folder}/c/d/f")


def test_a_network_that_is_lost_while_folders_are_listed_is_no_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "a" / "b").mkdir(parents=True)
    look = LocalFileSystem.ls

    def lost(self: Any, path: str, **options: Any) -> Any:
        if path.endswith("/b"):
            raise ConnectionError("the network is away")
        return look(self, path, **options)

    monkeypatch.setattr(LocalFileSystem, "ls", lost)
    with pytest.raises(ConnectionError):
        listing(LocalFileSystem(), str(tmp_path))


@pytest.mark.parametrize(
    ("place", "said"),
    [("nothing://there/runs", "Protocol not known: nothing"), ("s3://bucket/runs", "s3fs")],
)
def test_an_address_that_cannot_be_used_is_told(
    place: str, said: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with pytest.raises(InputError, match=said):
        open_address(place)


def test_one_only_makes_a_record():
    fs, path = MemoryFileSystem(), f"/{uuid4()}/run"
    ours, theirs = lock_record(fs, path), lock_record(fs, path)
    assert ours.read() is None
    assert ours.make(b"ours")
    assert not theirs.make(b"theirs")
    assert theirs.read() == b"ours"
    theirs.remove(b"what was there before")
    assert theirs.read() == b"ours"
    assert ours.replace(b"ours", b"ours, later") == b"ours"
    assert theirs.replace(b"theirs", b"theirs, later") == b"ours, later"
    theirs.remove(b"ours, later")
    assert theirs.make(b"theirs")


def test_errors_for_people_are_not_tried_again():
    def refused() -> None:
        raise InputError("no such kind of address")

    def waiting(error: BaseException | None) -> None:
        raise AssertionError(f"waits because of {error}")

    with pytest.raises(InputError, match="no such kind"):
        patiently(waiting)(refused)


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
def test_the_end_of_the_process_is_not_waited_for(end: type[BaseException]):
    waits: list[BaseException | None] = []

    def ended() -> None:
        raise end

    with pytest.raises(end):
        patiently(waits.append)(ended)
    assert not waits


def test_the_time_of_the_calls_is_not_counted_as_waiting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(address, "RETRY_EVERY", 0.01)
    monkeypatch.setattr(address, "RETRY_FOR", 0.02)
    calls = 0

    def sent() -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            time.sleep(0.05)
            raise ConnectionError("the network is away")
        return "sent"

    assert patiently(lambda _: None)(sent) == "sent"
