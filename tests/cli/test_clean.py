"""`formatlab clean` as people see it."""

import errno
import os
import re
from pathlib import Path

import pytest
from made_up_study import begin, finish, plan, planned

from formatlab.cli import clean
from formatlab.errors import InputError
from formatlab.launch import clean as cleaning
from formatlab.store.lock import Held

RUNS = [planned("grpo 0.04M s0"), planned("ppo 0.04M s0"), planned("rloo 0.04M s0")]


def put(path: Path, size: int) -> None:
    """Write a file that was last changed long ago."""
    path.write_bytes(b"x" * size)
    os.utime(path, (1, 1))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A study with a checkpoint, a temporary file, a failed and an unplanned run."""
    plan(tmp_path, RUNS[:2])
    run = finish(tmp_path, RUNS[0])
    (run.checkpoints / "model.pt").write_bytes(b"x" * 2_500_000)
    put(run.path / ".unfinished-abc", 1200)
    begin(tmp_path, RUNS[1]).mark_failed("nan")
    finish(tmp_path, RUNS[2])
    return tmp_path


def output(capsys: pytest.CaptureFixture[str], *words: object) -> list[str]:
    assert clean.main([str(word) for word in words]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.splitlines()


def test_it_shows_what_would_go_and_removes_nothing(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(runs.rglob("*"))
    lines = output(capsys, runs)
    assert sorted(runs.rglob("*")) == before
    assert "temporary files of writers that were killed: 1, 1.2 kB" in lines
    assert f"     1.2 kB  {RUNS[0].address}/.unfinished-abc" in lines
    assert "checkpoints of finished runs: 1, 2.5 MB" in lines
    assert f"     2.5 MB  {RUNS[0].address}/checkpoints" in lines
    assert lines[-2] == "in all 2.5 MB; nothing was removed, --yes removes it"
    options = r"more by option: --failed 1 \(.*\), --unplanned 1 \(.*, 1 finished\)"
    assert re.fullmatch(options, lines[-1])
    lines = output(capsys, runs, "--unplanned")
    assert any(line.endswith(f"  {RUNS[2].address}, finished") for line in lines)


def test_with_yes_it_removes_and_says_what_was_freed(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = output(capsys, runs, "--yes")
    assert "removed checkpoints of finished runs: 1, 2.5 MB" in lines
    assert "freed 2.5 MB" in lines
    assert list((runs / RUNS[0].address / "checkpoints").iterdir()) == []
    assert (runs / RUNS[0].address / "DONE").exists()
    assert (runs / RUNS[1].address).exists()
    assert output(capsys, runs)[0] == f"nothing to clean in {runs}"


def test_results_go_only_by_their_option(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys, runs, "--failed", "--yes")
    assert any(line.startswith("removed runs and bases that failed: 1,") for line in lines)
    assert not (runs / RUNS[1].address).exists()
    assert (runs / RUNS[2].address).exists()
    output(capsys, runs, "--unplanned", "--yes")
    assert not (runs / RUNS[2].address).exists()
    assert (runs / RUNS[0].address).exists()


def test_long_lists_of_what_is_always_safe_are_cut(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(20):
        put(runs / RUNS[0].address / f".unfinished-{number:03}", 1)
    lines = output(capsys, runs)
    assert "             and 13 more" in lines
    assert sum(".unfinished-" in line for line in lines) == 8


def test_what_was_taken_meanwhile_is_left_and_said(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(item: cleaning.Removable) -> bool:
        raise Held("another process is writing to it")

    monkeypatch.setattr(cleaning, "remove", taken)
    assert clean.main([str(runs), "--yes"]) == 0
    captured = capsys.readouterr()
    assert f"{RUNS[0].address}/checkpoints is left: another process is writing" in captured.err
    assert "freed 0 bytes" in captured.out


def test_what_may_not_be_removed_is_said(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(cleaning.shutil, "rmtree", refused)
    assert clean.main([str(runs), "--yes"]) == 1
    captured = capsys.readouterr()
    assert f"{RUNS[0].address}/checkpoints is left: No permission" in captured.err
    assert "freed 1." in captured.out  # the rest went


@pytest.mark.parametrize("place", ["nowhere", "."])
def test_a_folder_that_is_no_runs_folder_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(InputError):
        clean.main([str(tmp_path / place), "--yes"])
