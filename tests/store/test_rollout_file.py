"""Rollout files: names, reading, and what counts as damage."""

import errno
import os
import resource
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_runs import rollout

from formatlab.errors import RunError
from formatlab.store import rollout_file
from formatlab.store.rollout import (
    READABLE_VERSIONS,
    ROLLOUT_SCHEMA,
    SCHEMA_VERSION,
    rollouts_from_table,
    rollouts_to_table,
)
from formatlab.store.rollout_file import (
    is_damage,
    read_rollout_file,
    rollout_file_batches,
    rollout_file_name,
    rollout_files,
    write_rollout_file,
)


@pytest.mark.parametrize(
    ("epoch", "name"),
    [
        (0.0, "epoch=000.parquet"),
        (1, "epoch=001.parquet"),
        (0.125, "epoch=000.125.parquet"),
        (0.5, "epoch=000.5.parquet"),
        (12.25, "epoch=012.25.parquet"),
        (1000.0, "epoch=1000.parquet"),
    ],
)
def test_the_name_holds_the_epoch(epoch: float, name: str) -> None:
    assert rollout_file_name(epoch) == name


@settings(max_examples=50)
@given(st.floats(1e-6, 1e6) | st.just(0.0), st.integers(0, 2000))
def test_the_name_gives_epoch_and_part_back(
    tmp_path_factory: pytest.TempPathFactory, epoch: float, part: int
) -> None:
    folder = tmp_path_factory.mktemp("files")
    (folder / rollout_file_name(epoch, part)).touch()
    (file,) = rollout_files(folder)
    assert (file.epoch, file.part) == (epoch, part)


def test_parts_follow_one_another(tmp_path: Path) -> None:
    places = [(0.0, 0), (0.0, 2), (0.0, 11), (1.0, 0), (1.0, 1)]
    for epoch, part in reversed(places):
        (tmp_path / rollout_file_name(epoch, part)).touch()
    assert [(file.epoch, file.part) for file in rollout_files(tmp_path)] == places


def test_files_are_ordered_by_epoch_and_other_files_passed_over(tmp_path: Path) -> None:
    for epoch in (1.0, 0.5, 0.125, 0.0, 10.0, 2.0):
        (tmp_path / rollout_file_name(epoch)).touch()
    for other in (".unfinished-epoch=003.parquet", "epoch=3.parquet", "notes.txt"):
        (tmp_path / other).touch()
    assert [file.epoch for file in rollout_files(tmp_path)] == [0.0, 0.125, 0.5, 1.0, 2.0, 10.0]


def test_columns_come_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_rollout_file(path, rollouts_to_table([rollout(tag="prose", step=3)]))
    table = read_rollout_file(path, ["tag", "step"])
    assert table.to_pydict() == {"tag": ["prose"], "step": [3]}
    with pytest.raises(KeyError):
        read_rollout_file(path, ["colour"])


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "epoch=000.parquet"
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(RunError, match="epoch=000"):
        read_rollout_file(path)


@pytest.mark.parametrize("metadata", [{"formatlab_schema_version": "99"}, {}])
def test_another_schema_version_is_refused(tmp_path: Path, metadata: dict[str, str]) -> None:
    path = tmp_path / "file"
    pq.write_table(pa.table({"tag": ["prose"]}).replace_schema_metadata(metadata), path)
    with pytest.raises(RunError, match="schema version"):
        read_rollout_file(path)


def test_version_1_is_read_as_this_version(tmp_path: Path) -> None:
    path = tmp_path / "file"
    rows = [rollout(mixed=True), rollout(sample=1)]
    older = rollouts_to_table(rows).drop_columns(["mixed_formats"])
    older = older.set_column(0, "schema_version", pa.array([1, 1], pa.int32()))
    pq.write_table(older.replace_schema_metadata({"formatlab_schema_version": "1"}), path)
    table = read_rollout_file(path)
    assert table.schema.equals(ROLLOUT_SCHEMA, check_metadata=True)
    assert table["schema_version"].to_pylist() == [SCHEMA_VERSION] * 2
    assert rollouts_from_table(table) == rows
    assert read_rollout_file(path, ["mixed_formats"]).to_pydict() == {"mixed_formats": [[], []]}
    assert read_rollout_file(path, ["tag"]).column_names == ["tag"]


@pytest.mark.parametrize("columns", [None, ["tag", "split"], ["mixed_formats"]])
@pytest.mark.parametrize("version", READABLE_VERSIONS)
def test_batches_are_the_file_a_few_rows_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int, columns: list[str] | None
) -> None:
    monkeypatch.setattr(rollout_file, "_BATCH_ROWS", 2)
    path = tmp_path / "file"
    table = rollouts_to_table([rollout(sample=sample, tag=f"t{sample % 2}") for sample in range(5)])
    if version == 1:
        table = table.drop_columns(["mixed_formats"])
        table = table.set_column(0, "schema_version", pa.array([1] * 5, pa.int32()))
    metadata = {"formatlab_schema_version": str(version)}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    batches = list(rollout_file_batches(path, columns))
    assert [batch.num_rows for batch in batches] == [2, 2, 1]
    whole = read_rollout_file(path, columns)
    assert all(batch.schema.equals(whole.schema, check_metadata=True) for batch in batches)
    assert pa.concat_tables(batches).to_pylist() == whole.to_pylist()


def test_batches_of_a_file_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "epoch=000.parquet"
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(RunError, match="epoch=000"):
        list(rollout_file_batches(path))
    pq.write_table(pa.table({"tag": ["prose"]}), path)
    with pytest.raises(RunError, match="schema version"):
        list(rollout_file_batches(path))
    write_rollout_file(path, rollouts_to_table([rollout()]))
    content = bytearray(path.read_bytes())
    content[20:-2000] = bytes(len(content) - 2020)
    path.write_bytes(content)
    with pytest.raises(RunError, match="epoch=000"):
        list(rollout_file_batches(path))


def test_a_full_disk_is_explained_and_costs_nothing_written_before(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk."""
    path = tmp_path / "epoch=000.parquet"
    write_rollout_file(path, rollouts_to_table([rollout()]))
    many = rollouts_to_table([rollout(completion=str(i) * 9) for i in range(20_000)])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(RunError, match=r"No space left to write .*epoch=000"):
            write_rollout_file(path, many)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == [path]
    assert read_rollout_file(path).num_rows == 1


def written(path: Path) -> bytes:
    pq.write_table(pa.table({"step": list(range(2000)), "text": ["prose"] * 2000}), path)
    return path.read_bytes()


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_damaged(share: float, tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("cut") / "cut.parquet"
    whole = written(path)
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises((pa.ArrowException, OSError)) as error:
        pq.ParquetFile(path).read()
    assert is_damage(error.value)


def test_pages_that_were_overwritten_are_damaged(tmp_path: Path):
    content = bytearray(written(tmp_path / "f.parquet"))
    content[4:200] = bytes(196)
    (tmp_path / "f.parquet").write_bytes(content)
    with pytest.raises((pa.ArrowException, OSError)) as error:
        pq.ParquetFile(tmp_path / "f.parquet").read()
    assert is_damage(error.value)


@pytest.mark.parametrize(
    "error",
    [
        pa.ArrowMemoryError("malloc of size 64 failed"),
        pa.ArrowException("Unknown error: Failed to launch worker thread"),
        OSError(errno.EIO, os.strerror(errno.EIO)),
        PermissionError(errno.EACCES, os.strerror(errno.EACCES)),
        MemoryError(),
    ],
)
def test_what_the_machine_lacks_is_no_damage(error: Exception):
    assert not is_damage(error)


def test_a_file_that_is_gone_is_no_damage(tmp_path: Path):
    with pytest.raises(OSError, match="No such file") as error:
        pq.read_metadata(tmp_path / "gone.parquet")
    assert not is_damage(error.value)
