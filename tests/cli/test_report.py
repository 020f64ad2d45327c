"""`formatlab report` on folders that are whole, damaged, or none of a study."""

import csv
import json
from pathlib import Path

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
