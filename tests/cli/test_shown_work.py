"""What a verb that takes a while says: what it does, what is done and what is left."""

import time
from pathlib import Path

import pytest
from synthetic_runs import small_run

from formatlab.cli import shown_work as module
from formatlab.cli.main import main
from formatlab.cli.shown_work import shown_work


def test_long_work_is_told_in_lines(capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setattr(module, "FIRST", 0.05)
    monkeypatch.setattr(module, "NEXT", 0.05)
    told = ""
    with shown_work("report") as track:
        for item in track(["a", "b", "c"], "measuring runs"):
            while f"measuring runs, {'abc'.index(item)} of 3 done" not in told:
                time.sleep(0.01)
                told += capsys.readouterr().err
    assert set(told.splitlines()) == {
        f"formatlab report: measuring runs, {done} of 3 done" for done in range(3)
    }
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_quick_work_and_its_end_say_nothing(capsys: pytest.CaptureFixture[str]):
    with shown_work("report") as track:
        assert list(track([1, 2], "measuring runs")) == [1, 2]
    assert capsys.readouterr() == ("", "")


def test_a_failure_ends_the_lines(monkeypatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(module, "FIRST", 0.05)
    with pytest.raises(ZeroDivisionError), shown_work("clean") as track:
        for _ in track([0], "removing"):
            raise ZeroDivisionError
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_a_terminal_has_a_line_that_goes_away(monkeypatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with shown_work("report") as track:
        list(track([1, 2], "measuring runs"))
    told = capsys.readouterr()
    assert told.out == ""
    assert "measuring runs" in told.err


@pytest.mark.parametrize("verb", ["report", "export", "status", "clean"])
def test_verbs_go_through_what_they_do(
    verb: str, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
):
    for seed in (0, 1):
        small_run(tmp_path / "runs" / "words", seed=seed)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    words = {
        "report": ["report", str(tmp_path / "runs" / "words")],
        "export": ["export", str(tmp_path / "runs"), "--output", str(tmp_path / "out")],
        "status": ["status", str(tmp_path / "runs")],
        "clean": ["clean", str(tmp_path / "runs")],
    }
    assert main(words[verb]) == 0
    said = {
        "report": ("checking runs", "measuring runs", "drawing figures", "examples of arms"),
        "export": ("checking runs", "measuring runs", "writing rollouts of runs"),
        "status": ("reading studies",),
        "clean": ("looking through the runs folder",),
    }
    told = capsys.readouterr().err
    assert [words for words in said[verb] if words not in told] == []
