from pathlib import Path

import pytest

from formatlab.launch.disk import disk_full


def test_a_full_disk_is_told_by_the_error_or_what_it_came_of(tmp_path: Path):
    try:
        try:
            raise OSError(28, "No space left on device")
        except OSError as cause:
            raise RuntimeError("unexpected write") from cause
    except RuntimeError as error:
        said = disk_full(error, tmp_path)
    assert said is not None
    assert str(tmp_path) in said
    assert "--runs-dir" in said


@pytest.mark.parametrize("text", ["unexpected pos 640 vs 534", "I/O error: File too large"])
def test_the_libraries_words_are_known(text: str, tmp_path: Path):
    assert disk_full(RuntimeError(text), tmp_path) is not None


def test_other_errors_are_not_taken_for_one(tmp_path: Path):
    assert disk_full(ValueError("shapes differ"), tmp_path) is None
