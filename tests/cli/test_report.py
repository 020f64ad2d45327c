"""`formatlab report` on folders that are whole, damaged, or none of a study."""

import csv
import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from synthetic_runs import small_run

from formatlab.cli.main import main


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for seed in (0, 1, 2, 3):
        small_run(tmp_path / "runs" / "words", seed=seed)
    return tmp_path / "runs" / "words"


def test_damaged_runs_are_named_and_the_others_shown(
    study: Path, capsys: pytest.CaptureFixture[str]
):
    one, other, newer, _ = sorted(path.parent for path in study.glob("*/config.json"))
    (one / "DONE").write_text("{")
    with (other / "metrics.jsonl").open("a") as file:
        file.write("junk\n")
    env = newer / "env.json"
    env.write_text(json.dumps(json.loads(env.read_text()) | {"schema_version": 99}))
    assert main(["report", str(study)]) == 1
    told = capsys.readouterr()
    assert f"report  {study / 'report.html'}" in told.out
    again = "the same `formatlab run` makes it again"
    first, second, third = (line for line in told.err.splitlines() if "left out" in line)
    assert first == f"formatlab report: {one.name} is left out: DONE is not JSON; {again}"
    assert second.startswith(f"formatlab report: {other.name} is left out: metrics.jsonl, line ")
    assert second.endswith(f" is not JSON; {again}")
    assert "is left out: it is a run folder of schema version 99" in third
    with (study / "tables" / "results.csv").open() as file:
        assert {row["seed"] for row in csv.DictReader(file)} == {"3"}


def test_a_study_without_a_sound_run_has_no_report(study: Path, capsys: pytest.CaptureFixture[str]):
    for path in study.glob("*/config.json"):
        path.write_text("")
    assert main(["report", str(study)]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"formatlab report: {study}: 0.15M-grpo-s0 is left out: config.json is ")
    assert not (study / "report.html").exists()


def test_a_runs_folder_is_refused_with_the_studies_in_it(
    study: Path, capsys: pytest.CaptureFixture[str]
):
    small_run(study.with_name("more"))
    assert main(["report", str(study.parent)]) == 2
    told = capsys.readouterr().err
    assert "holds the studies more, words; give one of them, such as " in told


def test_a_gallery_is_replaced_on_demand_alone(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    theirs = tmp_path / "plots" / "figures" / "mine.svg"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    words = ["report", str(study), "--gallery", str(tmp_path / "plots")]
    assert main(words) == 2
    assert "has figures already" in capsys.readouterr().err
    assert not (study / "report.html").exists()  # told before the work
    assert main([*words, "--overwrite"]) == 0
    assert (tmp_path / "plots" / "tables" / "results.csv").exists()
    assert theirs.read_text() == "mine"
    assert main(["report", str(study), "--gallery", str(study), "--overwrite"]) == 2
    assert "is the study's own folder" in capsys.readouterr().err


def forbid(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every look into a folder fail, as for a user who may not search it."""
    look = os.stat

    def refuse(path: "str | Path | int", *args: Any, **kwargs: Any) -> os.stat_result:
        if str(path).startswith(f"{folder}{os.sep}"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return look(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", refuse)


@pytest.mark.parametrize("verb", ["report", "export"])
@pytest.mark.parametrize("how", ["not searched", "not listed"])
def test_a_folder_that_may_not_be_read_is_named_with_the_reason(
    verb: str,
    how: str,
    study: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    def refuse(path: object) -> list[str]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    if how == "not listed":
        monkeypatch.setattr(os, "listdir", refuse)
    else:
        forbid(study, monkeypatch)
    further = ["--output", str(study.with_name("out"))] if verb == "export" else []
    assert main([verb, str(study), *further]) == 2
    said = capsys.readouterr().err
    assert f"formatlab {verb}: cannot read the folder {study}: Permission denied; change" in said
    assert "config.json" not in said


def test_a_run_that_may_not_be_read_is_left_out(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    one = min(path.parent for path in study.glob("*/config.json"))
    forbid(one, monkeypatch)
    assert main(["report", str(study)]) == 1
    said = capsys.readouterr().err
    assert f"{one.name} is left out: it cannot be read (Permission denied)" in said
