"""`formatlab measure` from outside: what a person types, and what becomes of it."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_runs import Factory, study_factory

import formatlab
from formatlab.analysis.study import RUN_COLUMNS
from formatlab.cli.main import main
from formatlab.measure.comparison import MEASURE_SCHEMA
from formatlab.measure.measures import MEASURES_IN_WORDS

COLUMNS = [*RUN_COLUMNS, "epoch", *MEASURE_SCHEMA.names]


@pytest.fixture
def make_run(tmp_path: Path) -> Factory:
    return study_factory(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Rollouts of twelve prompts with three each, a third of them right."""
    path = tmp_path / "a.jsonl"
    rows = [
        {"prompt": f"q{n // 3}", "completion": f"The answer is {5 + n % 3}.", "gold": "5"}
        for n in range(36)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def measure(*words: object) -> int:
    return main(["measure", *map(str, words)])


def test_a_study_is_one_tidy_table(
    make_run: Factory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [
        make_run(seed=0).path,
        make_run(seed=0, scale="0.8M", parameters=812_345).path,
    ]
    output = tmp_path / "out.parquet"
    assert measure(runs[0].parent, "--output", output) == 0
    told = capsys.readouterr()
    assert told.err == "" and told.out.endswith(f"\nmeasures {output}\n")
    head, *lines = told.out.splitlines()
    assert head.split()[:3] == ["rollouts", "epoch", "accuracy"]
    assert [line.split()[:2] for line in lines[:4]] == [
        [run.name, epoch] for run in runs for epoch in ("base", "2")
    ]
    table = pq.read_table(output)
    assert table.column_names == COLUMNS
    assert set(table["measure"].to_pylist()) - set(MEASURES_IN_WORDS) == {"js_divergence"}
    frame = formatlab.study(runs[0].parent).measures
    assert table.to_pandas()["value"].equals(frame["value"])
    assert set(table["parameters"].to_pylist()) == {150_000, 812_345}


def test_every_probe_is_measured_on_demand(make_run: Factory, tmp_path: Path) -> None:
    run = make_run().path
    output = tmp_path / "out.json"
    assert measure(run, "--every-probe", "--no-texts", "--output", output) == 0
    rows = json.loads(output.read_text())
    assert {row["epoch"] for row in rows} == {0.0, 0.5, 2.0}
    assert not any(row["measure"].startswith("chrf") for row in rows)
    assert measure(run, "--no-texts", "--output", output, "--overwrite") == 0
    assert {row["epoch"] for row in json.loads(output.read_text())} == {0.0, 2.0}


def test_a_file_is_measured(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = file.with_name("out.csv")
    assert measure(file, "--output", output) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].split()[1] == ".33"
    with output.open(newline="") as read:
        rows = list(csv.DictReader(read))
    assert list(rows[0]) == COLUMNS
    for row in rows:
        assert row["run"] == str(file)
        assert [row[name] for name in (*RUN_COLUMNS, "epoch") if name != "run"] == [""] * 7
    (accuracy,) = [r for r in rows if (r["measure"], r["subset"]) == ("accuracy", "all")]
    assert float(accuracy["value"]) == pytest.approx(1 / 3)
    assert accuracy["n_prompts"] == "12"


def test_runs_epochs_and_files_can_be_measured_together(
    make_run: Factory, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, output = make_run(seed=3).path, file.with_name("out.json")
    assert measure(f"{run}@0.5", file, run, "--no-texts", "--output", output) == 0
    rows = json.loads(output.read_text())
    assert list(dict.fromkeys((row["run"], row["epoch"]) for row in rows)) == [
        *((run.name, 0.5), (str(file), None), (run.name, 0.0), (run.name, 2.0))
    ]
    facts = {tuple(row[name] for name in RUN_COLUMNS) for row in rows if row["run"] == run.name}
    assert facts == {(run.name, "0.15M", "0.15M", 150_000, "grpo", "correctness", 3)}


def test_columns_of_files_can_be_named_and_k(tmp_path: Path) -> None:
    file, output = tmp_path / "a.jsonl", tmp_path / "out.json"
    row = {"prompt": "q", "completion": "no idea", "mine": "The answer is 5.", "want": 5}
    file.write_text((json.dumps(row) + "\n") * 4)
    words = ("--text", "mine", "--gold", "want", "--k", 3)
    assert measure(file, *words, "--output", output) == 0
    rows = json.loads(output.read_text())
    assert {row["value"] for row in rows if row["measure"] == "accuracy"} == {1}
    assert {row["k"] for row in rows if row["measure"] == "self_bleu"} >= {3}
    assert max(row["k"] for row in rows if row["measure"] == "format_distinct@k") == 3


def test_a_run_has_no_divergence_at_an_epoch_of_its_own(make_run: Factory, tmp_path: Path) -> None:
    run, output = make_run().path, tmp_path / "out.json"
    assert measure(f"{run}@2", "--no-texts", "--output", output) == 0
    rows = json.loads(output.read_text())
    assert not any(row["measure"] == "js_divergence" for row in rows)


def test_without_an_output_the_short_table_is_all(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measure(file, "--no-texts") == 0
    assert capsys.readouterr().out.endswith("--output FILE.csv writes all measures\n")
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_whose_verdicts_count_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"prompt": "q", "completion": "5", "correct": true}\n' * 2)
    assert measure(file) == 0
    told = capsys.readouterr()
    assert told.err.startswith(f"formatlab measure: {file}: no right answers are there to grade by")
    assert len(told.err.splitlines()) == 1 and told.out.splitlines()[1].split()[1] == "1.00"


def test_meanings_are_measured_on_demand(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from formatlab.models import embeddings

    class ByLength:
        def __init__(self, model: str):
            assert model == "owner/name"

        def embed(self, texts: Sequence[str]) -> np.ndarray:
            return np.array([[len(text), ord(text[-2])] for text in texts], dtype=np.float32)

    monkeypatch.setattr(embeddings, "TextEmbedder", ByLength)
    output = file.with_name("out.json")
    assert measure(file, "--embed", "owner/name", "--output", output) == 0
    found = {row["measure"] for row in json.loads(output.read_text()) if row["value"] is not None}
    assert {"semantic_distance", "semantic_vendi", "semantic_distance_of_prompts"} <= found


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 2, "name what to measure: formatlab measure RUNS"),
        (["gone.jsonl"], 2, "there is no file gone.jsonl"),
        (["{file}", "gone"], 2, "there is no file gone"),
        (["{run}@7"], 2, "has no epoch '7'; it has base, 0.5, 2"),
        (["{damaged}"], 1, "is left out: DONE is not JSON"),
        (["{begun}"], 2, "there are no rollouts yet"),
        (["{file}", "--k", "4"], 2, "k is 4; nine in ten prompts have 3 or more rollouts, so"),
        (["{file}", "--output", "out.txt"], 2, "out.txt should be a .csv or .json or .parquet"),
        (["{file}", "--output", "{file}"], 2, "a.jsonl should be a .csv or .json or .parquet"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_mistakes_are_told_in_a_line(
    words: list[str],
    status: int,
    said: str,
    make_run: Factory,
    file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places: dict[str, Any] = {"file": file}
    if "{run}@7" in words:
        places["run"] = make_run().path
    if "{damaged}" in words:
        places["damaged"] = make_run().path
        (places["damaged"] / "DONE").write_text("{")
    if "{begun}" in words:
        places["begun"] = make_run(probe_epochs=(), train=False, done=False).path
    assert measure(*(word.format(**places) for word in words)) == status
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err and told.err.startswith("formatlab measure: ")
    assert len(told.err.splitlines()) == 1


def test_the_folder_of_a_model_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    assert measure(tmp_path) == 2
    assert "is a model, and no run; `formatlab compare` samples" in capsys.readouterr().err


def test_what_is_there_is_replaced_on_demand_alone(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = file.with_name("out.csv")
    output.write_text("mine")
    assert measure(file, "--no-texts", "--output", output) == 2
    assert f"--output: {output} exists" in capsys.readouterr().err
    assert output.read_text() == "mine"
    assert measure(file, "--no-texts", "--output", output, "--overwrite") == 0
    assert output.read_text().startswith("run,arm,")


@pytest.mark.parametrize("pattern", ["a@1.json", "*.json"])
def test_what_is_read_is_never_replaced(
    pattern: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a@1.json"
    file.write_text('[{"prompt": "q", "completion": "5"}]')
    assert measure(tmp_path / pattern, "--output", file, "--overwrite") == 2
    assert "is also one of the files that are read" in capsys.readouterr().err
