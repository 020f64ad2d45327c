"""What is taken for damage to a Parquet file, and what for a machine at its limits."""

import errno
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatlab.store.rollout_file import is_damage


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
