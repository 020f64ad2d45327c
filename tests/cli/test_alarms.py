"""`formatlab alarms` from outside: what a person types, and what becomes of it."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_runs import run_factory

from formatlab.cli.main import main
from formatlab.measure.alarms import SIGNALS
from formatlab.store import RunFolder
from formatlab.store.alarm import FALLING

COLLAPSES = {"program": 1.0, "prose": 0.0}
STAYS = {"program": 0.4, "prose": 0.6}
DRIFTS = {"program": 0.5, "prose": 0.5}


def write_study(parent: Path) -> Path:
    """Ten bases; of each a run that collapses, one that does not and a null arm."""
    make = run_factory(parent)
    study = parent / "study"
    study.mkdir()
    for scale, seed in [(1 + base // 3, base % 3) for base in range(10)]:
        for name, end, reward in (
            ("collapses", COLLAPSES, "correctness"),
            ("stays", STAYS, "correctness"),
            ("null", DRIFTS, "random"),
        ):
            run = make(
                scale=f"0.{scale}M",
                parameters=scale * 100_000,
                seed=seed,
                end=end,
                steps_per_epoch=16,
                rollouts_per_step=64,
                probe_prompts=2,
                probe_epochs=(0.0, 2.0),
                config={"kind": "run", "reward": reward, "made": name},
            )
            run.path.rename(study / f"0.{scale}M-{seed}-{name}")
    return study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("alarms"))


def alarms(*words: object) -> int:
    return main(["alarms", *map(str, words)])


def test_runs_are_told_in_a_table_files_and_a_figure(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"output": "alarms.csv", "curves": "curves.json", "figure": "alarms.png"}
    paths = {name: tmp_path / of for name, of in names.items()}
    assert alarms(study, *(word for name, of in paths.items() for word in (f"--{name}", of))) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0].split()[:2] == ["signal", "AUC"]
    assert "10 of 30 runs collapse" in lines
    assert lines[-3:] == [f"{name} {of}" for name, of in paths.items()]
    with paths["output"].open(newline="") as file:
        *rows, chosen = list(csv.DictReader(file))
    assert chosen["signal"] == "chosen by the other seeds"
    assert {row["signal"] for row in rows} == set(SIGNALS) - {
        "kl",
        "token_entropy",
    }  # none, all the same
    by_signal = {row["signal"]: row for row in rows}
    for name in ("share_slope", "leader_share", "format_entropy"):
        row = by_signal[name]
        assert float(row["auc"]) > 0.9 > float(by_signal["reward_spread"]["auc"])
        assert float(row["auc_low"]) < float(row["auc"])
        counts = [row[of] for of in ("n_collapsed", "n_others", "n_null")]
        assert counts == ["10", "20", "10"]
        assert row["warns_at"] == ("or below" if name in FALLING else "or above")
        assert float(row["lead"]) >= 1
    curves = json.loads(paths["curves"].read_text())
    assert {row["signal"] for row in curves} == set(by_signal)
    assert {row["steps"] for row in curves} == {16}
    assert paths["figure"].read_bytes().startswith(b"\x89PNG")


def test_what_says_nothing_of_warnings_is_left_out_and_told(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = tmp_path / "more"
    make = run_factory(tmp_path)

    def put(name: str, **options: Any) -> RunFolder:
        run = make(**options)
        return RunFolder.open(run.path.rename(more / name))

    more.mkdir()
    kind = {"kind": "run"}
    put("begun", done=False, config=kind)
    put("sft", config=kind | {"algorithm": "sft"})
    always = {"program": 0.98, "prose": 0.02}
    put("always", start=always, end=always, config=kind)
    shutil.copytree(study / "0.1M-0-stays", more / "again")
    assert alarms(study, more) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "10 of 30 runs collapse; left out: 1 with the rollouts of another, 1 collapsed from the "
        "first step on, 1 not finished, 1 trained on documents"
    )


def test_runs_may_be_named_one_by_one(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [
        study / f"0.{n}M-{seed}-{of}"
        for n, seed, of in ((1, 0, "collapses"), (1, 1, "stays"), (1, 0, "null"))
    ]
    assert alarms(*runs, runs[0]) == 0
    out = capsys.readouterr().out
    assert "1 of 3 runs collapse" in out
    row = next(line for line in out.splitlines() if line.startswith("H(F) "))
    # Two bases: no interval. The seed that collapses is fitted on nothing that does.
    assert "[" not in row and row.split()[-1] == "-"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name what to measure: formatlab alarms RUNS"),
        (["{study}", "--steps", "0"], "--steps is 0; an alarm needs a step to go off at"),
        (["gone"], "gone is no study or run folder; alarms are measured on runs"),
        (["{run}"], "1 of 1 runs collapse; alarms are measured on finished runs of which some"),
        (["{run}", "{run}"], "1 of 1 runs collapse"),
        (["{study}", "--output", "a.txt"], "--output: a.txt should be a .csv or .json or .parquet"),
        (["{study}", "--curves", "a.png"], "--curves: a.png should be a .csv or .json or .parquet"),
        (["{study}", "--figure", "a.csv"], "--figure: a.csv should be a .png or .svg or .pdf file"),
        (["{study}", "--figure", "no/a.png"], "no is no folder"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_mistakes_are_told_in_a_line(
    words: list[str], said: str, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"study": study, "run": study / "0.1M-0-collapses"}
    assert alarms(*(word.format(**places) for word in words)) == 2
    told = capsys.readouterr()
    assert told.out == "" and len(told.err.splitlines()) == 1
    assert said in told.err and told.err.startswith("formatlab alarms: ")


def test_a_damaged_run_is_told(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(study / "0.1M-0-stays", broken)
    (broken / "DONE").write_text("{")
    assert alarms(study, broken) == 1
    assert "DONE is not JSON" in capsys.readouterr().err


def test_needs_no_torch(study: Path) -> None:
    program = (
        "import sys\nfrom formatlab.cli.main import main\n"
        f"assert main(['alarms', {str(study)!r}]) == 0\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
