"""`formatlab competence` from outside: what a person types, and what becomes of it."""

import csv
from pathlib import Path

import pytest
from small_runs import Factory, study_factory

from formatlab.cli.main import main
from formatlab.store import RunFolder


@pytest.fixture
def make_run(tmp_path: Path) -> Factory:
    return study_factory(tmp_path)


@pytest.fixture
def study(make_run: Factory) -> Path:
    """Two scales with six seeds each: the smaller ends in program, the larger in prose."""
    large = {"end": {"program": 0.05, "prose": 0.95}, "scale": "0.8M", "parameters": 812_345}
    large |= {"accuracy": {"program": 0.3, "prose": 0.7}}
    probe = {"probe_prompts": 24, "probe_samples": 8}
    runs = [make_run(seed=seed, **probe, **of) for of in (large, {}) for seed in range(6)]
    return runs[0].path.parent


def test_tables_and_figure_are_written_beside_the_runs(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["competence", str(study)]) == 0
    told = capsys.readouterr().out
    tables = {
        path.name: list(csv.DictReader(path.open()))
        for path in (study / "tables").glob("competence*.csv")
    }
    assert len(tables["competence_runs.csv"]) == 12
    assert {row["model"] for row in tables["competence.csv"]} >= {"scale", "competence", "both"}
    assert len(tables["competence_pairs.csv"]) == 4
    for kind in ("png", "svg"):
        assert (study / "figures" / f"competence.{kind}").stat().st_size > 1000
    lines = [line.split() for line in told.splitlines()]
    assert lines[0][-4:] == ["worked", "share", "runs", "pretrainings"]
    (pairs,) = [words for words in lines if words[:2] == ["different", "different"]]
    assert pairs[2:5] == ["36", "12", ".00"]
    assert told.endswith(f"figure {study / 'figures'}/competence.png\n")


def test_the_output_may_lie_elsewhere_and_what_does_not_count_is_said(
    study: Path, make_run: Factory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(seed=9, undertrained=True)
    before = sorted(study.rglob("*"))
    assert main(["competence", str(study), "--output", str(tmp_path / "there")]) == 0
    assert "not counted: 1 of an undertrained base" in capsys.readouterr().out
    assert sorted(study.rglob("*")) == before
    assert (tmp_path / "there" / "figures" / "competence.png").exists()


def test_a_study_in_which_nothing_counts_is_refused(
    tmp_path: Path, make_run: Factory, capsys: pytest.CaptureFixture[str]
) -> None:
    run: RunFolder = make_run(undertrained=True)
    assert main(["competence", str(run.path.parent)]) == 2
    assert "no run of synthetic counts" in capsys.readouterr().err
    assert main(["competence", str(tmp_path / "nowhere")]) == 2
    assert "there is no folder" in capsys.readouterr().err
