"""Where a file may be written, and where not."""

import os
from pathlib import Path

import pytest

from formatlab.errors import InputError
from formatlab.store.output_file import check_output

KINDS = (".parquet", ".jsonl")


def refusal(path: Path, *inputs: Path, overwrite: bool = False) -> str:
    with pytest.raises(InputError) as caught:
        check_output("--output", path, kinds=KINDS, inputs=inputs, overwrite=overwrite)
    return str(caught.value)


def test_a_new_file_may_be_written_and_nothing_is_left_by_trying(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("mine")
    there = set(tmp_path.iterdir())
    for name in ("out.parquet", "out.JSONL"):
        check_output("--output", tmp_path / name, kinds=KINDS, inputs=[tmp_path / "in.jsonl"])
    assert set(tmp_path.iterdir()) == there


def test_an_existing_file_is_replaced_on_demand_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("mine")
    assert refusal(path) == (
        f"--output: {path} exists; choose another name, or replace it with --overwrite"
    )
    check_output("--output", path, kinds=KINDS, overwrite=True)
    assert path.read_text() == "mine"


def test_a_link_to_nothing_exists(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").symlink_to(tmp_path / "gone")
    assert "exists" in refusal(tmp_path / "out.jsonl")


def test_an_input_is_never_replaced_whatever_its_name(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "train.jsonl").write_text("mine")
    (tmp_path / "link.jsonl").symlink_to(data / "train.jsonl")
    os.link(data / "train.jsonl", tmp_path / "hard.jsonl")
    given = data / ".." / "data" / "train.jsonl"
    for path in (data / "train.jsonl", tmp_path / "link.jsonl", tmp_path / "hard.jsonl"):
        assert "also one of the files that are read" in refusal(path, given, overwrite=True)
    assert "also one" in refusal(data / "train.jsonl", data, overwrite=True)
    check_output("--output", data / "new.jsonl", kinds=KINDS, inputs=[data, tmp_path / "gone"])


def test_the_suffix_says_what_is_written(tmp_path: Path) -> None:
    for name in ("out.json", "out", "out.parquet.gz"):
        assert "should be a .parquet or .jsonl file" in refusal(tmp_path / name)


def test_a_place_that_takes_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "out.parquet").mkdir()
    assert "is a folder" in refusal(tmp_path / "out.parquet")
    assert "is no folder; make it" in refusal(tmp_path / "gone" / "out.parquet")
    (tmp_path / "file").write_text("")
    assert "is no folder" in refusal(tmp_path / "file" / "out.parquet")


def test_a_folder_that_is_not_ours_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", denied)
    assert "No permission to write" in refusal(tmp_path / "out.parquet")
