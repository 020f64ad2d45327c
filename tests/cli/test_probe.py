"""`formatlab probe` on a model of random weights: every number that it promises is printed."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny_llama import tiny_model, tiny_tokenizer

from formatlab.cli.main import main

PROBLEMS = "".join(f'{{"question": "{n}+1?", "answer": {n + 1}}}\n' for n in range(3))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probe") / "model"
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def probe(model: Path, problems: Path, *words: object) -> int:
    limits = ["--prompts", "3", "--samples", "2", "--completion-length", "8"]
    places = ["--model", str(model), "--problems", str(problems)]
    return main(["probe", *places, *limits, *map(str, words)])


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    path = tmp_path / "problems.jsonl"
    path.write_text(PROBLEMS)
    return path


def test_a_model_is_observed(model: Path, problems: Path, capsys: pytest.CaptureFixture[str]):
    output = problems.with_name("rollouts.parquet")
    assert probe(model, problems, "--output", output) == 0
    said = capsys.readouterr().out
    rollouts = pq.read_table(output)
    assert rollouts.num_rows == 6
    for tag in set(rollouts["tag"].to_pylist()):
        assert tag in said
        assert ("the grader's errors by format" in said) or tag == "none"
    for words in ("accuracy 0.", "H(F|X)", "distinct answers", "truncated"):
        assert words in said


def test_the_suffix_says_what_is_written_and_an_existing_file_is_kept(
    model: Path, problems: Path, capsys: pytest.CaptureFixture[str]
):
    output = problems.with_name("rollouts.jsonl")
    assert probe(model, problems, "--output", output) == 0
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["gold"] for row in rows] == ["1", "1", "2", "2", "3", "3"]
    output.write_text("mine")
    assert probe(model, problems, "--output", output) == 2
    assert f"{output} exists" in capsys.readouterr().err
    assert output.read_text() == "mine"
    assert probe(model, problems, "--output", output, "--overwrite") == 0
    assert len(output.read_text().splitlines()) == 6


def test_its_own_problems_are_never_replaced(
    model: Path, problems: Path, capsys: pytest.CaptureFixture[str]
):
    assert probe(model, problems, "--output", problems, "--overwrite") == 2
    assert "also one of the files that are read" in capsys.readouterr().err
    assert problems.read_text() == PROBLEMS
    assert probe(model, problems, "--output", problems.with_suffix(".json")) == 2
    assert "should be a .parquet or .jsonl file" in capsys.readouterr().err
