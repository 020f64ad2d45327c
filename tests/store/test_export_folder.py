from pathlib import Path

import pytest

from formatlab.errors import InputError
from formatlab.store.export_folder import CARD, MANIFEST, export_folder


def write(path: Path, *, overwrite: bool = False, **files: str) -> None:
    with export_folder(path, overwrite=overwrite) as folder:
        for name, text in files.items():
            (folder / name.replace("_", "/")).parent.mkdir(exist_ok=True)
            (folder / name.replace("_", "/")).write_text(text)


def names(path: Path) -> list[str]:
    return sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())


@pytest.mark.parametrize("there", [False, True], ids=["new", "empty"])
def test_a_new_or_empty_folder_is_filled(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "far" / "out"
    if there:
        path.mkdir(parents=True)
    write(path, one_a="1")
    assert names(path) == [MANIFEST, "one/a"]
    assert [p.name for p in path.parent.iterdir()] == ["out"]


def test_an_earlier_export_is_replaced_whole(tmp_path: Path) -> None:
    write(tmp_path / "out", one_a="1", b="2")
    write(tmp_path / "out", overwrite=True, c="3")
    assert names(tmp_path / "out") == ["c", MANIFEST]


def test_an_earlier_export_is_not_replaced_unasked(tmp_path: Path) -> None:
    write(tmp_path / "out", a="1")
    with pytest.raises(InputError, match="holds an earlier export"):
        write(tmp_path / "out", a="2")
    assert (tmp_path / "out" / "a").read_text() == "1"


def test_foreign_files_are_named_and_kept(tmp_path: Path) -> None:
    write(tmp_path / "out", a="1")
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"files that no export wrote \(mine.txt\)"):
        write(tmp_path / "out", overwrite=True, a="2")
    assert (tmp_path / "out" / "a").read_text() == "1"
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_a_card_that_was_edited_is_kept(tmp_path: Path) -> None:
    with export_folder(tmp_path / "out") as folder:
        (folder / CARD).write_text("card")
    (tmp_path / "out" / CARD).write_text("card, and words of my own")
    with pytest.raises(InputError, match=r"README.md was changed since"):
        write(tmp_path / "out", overwrite=True, a="2")
    assert (tmp_path / "out" / CARD).read_text() == "card, and words of my own"


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        write(tmp_path / "out", a="1")
    assert (tmp_path / "out").read_text() == "mine"


def test_what_fails_midway_leaves_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / "out", a="1")
    there = export_folder(tmp_path / "out", overwrite=True)
    with pytest.raises(RuntimeError), there as folder:
        (folder / "a").write_text("half")
        raise RuntimeError
    assert (tmp_path / "out" / "a").read_text() == "1"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_what_came_meanwhile_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "out", a="1")
    there = export_folder(tmp_path / "out", overwrite=True)
    with pytest.raises(InputError, match=r"mine.txt"), there:
        (tmp_path / "out" / "mine.txt").write_text("mine")
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Cannot write"):
        write(tmp_path / "file" / "out", a="1")
