"""Atomic files and what they say when the disk refuses."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from formatlab.errors import InputError, RunError
from formatlab.store.atomic_file import (
    write_atomically,
    write_text_atomically,
)


def test_the_old_file_stays_when_the_writer_breaks_off(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text_atomically(path, "old")

    def break_off(temporary: Path) -> None:
        temporary.write_text("ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, break_off)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_as_soon_as_the_temporary_file_exists_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch = Path.touch

    def interrupted(path: Path, *args: Any, **options: Any) -> None:
        touch(path, *args, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "touch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_text_atomically(tmp_path / "file", "new")
    assert list(tmp_path.iterdir()) == []


def test_the_file_has_the_permissions_of_an_ordinary_one(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "atomic", "")
    (tmp_path / "ordinary").write_text("")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, RunError, "No space left"),
        (errno.EDQUOT, RunError, "No space left"),
        (errno.EACCES, InputError, "No permission"),
        (errno.EROFS, InputError, "No permission"),
        (errno.EIO, RunError, os.strerror(errno.EIO)),
    ],
)
def test_the_message_says_what_is_wrong_and_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type, words: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(kind, match=words) as caught:
        write_text_atomically(tmp_path / "file", "text")
    assert str(tmp_path / "file") in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(InputError, match="is a file, not a folder"):
        write_text_atomically(tmp_path / "runs" / "file", "text")
