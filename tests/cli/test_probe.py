"""`formatlab probe` on a model of random weights: every number that it promises is printed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tiny_llama import tiny_model

from formatlab.cli.main import main
from formatlab.cli.probe import short_names
from formatlab.errors import InputError

PROBLEMS = "".join(f'{{"question": "{n}+1?", "answer": {n + 1}}}\n' for n in range(3))


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
    for words in ("accuracy 0.", "H(F|X)", "distinct answers", "truncated", "pass@1 0.", "pass@2"):
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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--completion-length", "0"], "--completion-length is 0; it must be at least 1"),
        (["--completion-length", "-3"], "--completion-length is -3"),
        (["--temperature", "nan"], "temperature is nan; it must be a number from 0 on"),
        (["--temperature", "inf"], "temperature is inf"),
        (["--temperature", "-1"], "temperature is -1"),
        (["--samples", "0"], "samples is 0"),
        (["--prompts", "0"], "prompts is 0; it must be at least 1"),
        (["--batch", "0"], "batch is 0"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(
    words: list[str], said: str, problems: Path, capsys: pytest.CaptureFixture[str]
):
    output = problems.with_name("out.parquet")
    places = ["--model", "nowhere", "--problems", str(problems), "--output", str(output)]
    assert main(["probe", *places, *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("formatlab probe: ") and error.count("probe:") == 1
    assert len(error.strip().splitlines()) == 1
    assert [path.name for path in problems.parent.iterdir()] == ["problems.jsonl"]


def test_a_model_without_a_tokenizer_is_told_whole(
    problems: Path, capsys: pytest.CaptureFixture[str]
):
    model = problems.with_name("model")
    tiny_model().save_pretrained(model)
    assert probe(model, problems) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"model '{model}' cannot be read: it has no tokenizer, as {model} holds no" in said
    assert said.endswith("copy its files from the model that this one was trained from")
    (model / "tokenizer_config.json").write_text("{}")
    assert probe(model, problems) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "cannot be read: " in said
    assert not said.endswith((":", ": "))


CHAT = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]


@pytest.mark.parametrize(
    "row",
    [
        {"run_id": "r", "prompt_id": "p", "prompt": "1+1?", "completion": "2", "gold": "2"},
        {"step": 1, "prompt": "1+1?", "completion": "2", "answer": "2"},
        {"input": "1+1?", "output": "2", "gts": "2", "score": 1.0, "step": 1},
        {"messages": CHAT},
        {"question": "1+1?", "answer": "3", "response": "It is 3.", "gold": "2"},
        {"problem": "1+1?", "answer": "2", "response": "It is 3.", "correct": False},
        {"question": "1+1?", "responses": ["It is 3.", "It is 2."], "ground_truth": "2"},
    ],
)
def test_rollouts_are_no_problems(
    row: dict[str, Any], model: Path, problems: Path, capsys: pytest.CaptureFixture[str]
):
    problems.write_text(f"{json.dumps(row)}\n" * 3)
    assert probe(model, problems) == 2
    said = capsys.readouterr().err
    assert f"formatlab probe: --problems: {problems} holds rollouts (" in said
    assert "give the set of problems that was asked" in said


def test_problems_may_have_solutions_beside_them(model: Path, problems: Path):
    rows = [
        {"problem": f"{n}+1?", "answer": str(n + 1), "solution": "s", "messages": CHAT}
        for n in range(3)
    ]
    problems.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert probe(model, problems) == 0


@pytest.mark.parametrize("what", ["model", "problems"])
def test_a_missing_file_is_told_before_anything_heavy_is_imported(
    what: str, model: Path, problems: Path
):
    gone = problems.with_name("gone.gguf" if what == "model" else "gone.jsonl")
    places = (gone, problems) if what == "model" else (model, gone)
    program = (
        "import sys\nfrom formatlab.cli.main import main\n"
        f"main(['probe', '--model', {str(places[0])!r}, '--problems', {str(places[1])!r}])\n"
        "print({'torch', 'transformers', 'datasets'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert str(gone) in done.stderr
    assert done.stdout == "set()\n"


def test_what_goes_on_is_told(model: Path, problems: Path, capsys: pytest.CaptureFixture[str]):
    assert probe(model, problems) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[0] == f"reading {model}"
    assert told[1].startswith("sampling: step 0/3")


@pytest.fixture
def models(model: Path, tmp_path: Path) -> list[Path]:
    """Two models whose folders have the same name, as those of bases have."""
    return [shutil.copytree(model, tmp_path / name / "model") for name in ("small", "large")]


def test_several_models_have_a_row_and_a_file_each(
    models: list[Path], problems: Path, capsys: pytest.CaptureFixture[str]
):
    output = problems.with_name("out.parquet")
    words = ["--problems", problems, "--prompts", 3, "--samples", 2, "--completion-length", 8]
    assert main(["probe", *map(str, models), *map(str, words), "--output", str(output)]) == 0
    told = capsys.readouterr()
    *_, head, first, second = told.out.splitlines()
    titles = ["model", "accuracy", "pass@2", "flexible accuracy", "winner", "leader's share"]
    assert [head.index(title) for title in titles] == sorted(head.index(title) for title in titles)
    assert [first.split()[0], second.split()[0]] == ["small-model", "large-model"]
    assert [line for line in told.err.splitlines() if line.startswith("reading")] == [
        f"reading {model} ({number} of 2 models)" for number, model in enumerate(models, start=1)
    ]
    files = [problems.with_name(f"out-{name}-model.parquet") for name in ("small", "large")]
    tables = [pq.read_table(file) for file in files]
    assert [set(of["run_id"].to_pylist()) for of in tables] == [{str(of)} for of in models]
    assert tables[0].drop_columns("run_id").equals(tables[1].drop_columns("run_id"))
    assert not output.exists()
    assert main(["probe", *map(str, models), *map(str, words), "--output", str(output)]) == 2
    assert f"{files[0]} exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("models", "names"),
    [
        (["runs/a/model/"], ["model"]),
        (["owner/one", "owner/two"], ["one", "two"]),
        (["owner/one", "other/one", "./two.gguf"], ["owner-one", "other-one", "two.gguf"]),
        (["model", "runs/model"], ["model", "runs-model"]),
    ],
)
def test_a_model_is_called_by_what_tells_it_from_the_others(models: list[str], names: list[str]):
    assert list(short_names(models).values()) == names


@pytest.mark.parametrize("models", [["a", "a"], ["a", "./a"], ["b/a", "b/a/"]])
def test_the_same_model_twice_is_refused(models: list[str]):
    with pytest.raises(InputError, match="name each once"):
        short_names(models)


def test_a_model_is_needed(problems: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["probe", "--problems", str(problems)]) == 2
    assert "name a model" in capsys.readouterr().err


def test_batches_change_nothing(model: Path, problems: Path):
    files = [problems.with_name(f"{batch}.parquet") for batch in (2, 4, 64)]
    for batch, file in zip((2, 4, 64), files, strict=True):
        assert probe(model, problems, "--batch", batch, "--output", file) == 0
    texts = [pq.read_table(file)["completion"].to_pylist() for file in files]
    assert texts[0] == texts[1] == texts[2]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), ValueError("a defect")])
def test_what_was_sampled_is_kept_when_it_fails(
    error: BaseException,
    model: Path,
    problems: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    from formatlab.train import policy

    whole, calls = policy.observe_policy, []

    def fails_at_the_third(*words: Any, **options: Any) -> Any:
        calls.append(words)
        if len(calls) == 3:
            raise error
        return whole(*words, **options)

    monkeypatch.setattr(policy, "observe_policy", fails_at_the_third)
    output = problems.with_name("out.parquet")
    words = (model, problems, "--batch", "2", "--output", output)
    if isinstance(error, ValueError):
        with pytest.raises(ValueError, match="a defect"):
            probe(*words)
    else:
        assert probe(*words) == (130 if isinstance(error, KeyboardInterrupt) else 1)
    told = capsys.readouterr()
    kept = problems.with_name("out.partial.jsonl")
    assert "it ended after 2 of 3 problems, and this is about them" in told.err
    assert f"their rollouts are in {kept}" in told.err
    assert "accuracy" in told.out
    if isinstance(error, MemoryError):
        assert "out of memory; lower --batch, which is 2" in told.err
    assert len(kept.read_text().splitlines()) == 4
    assert not output.exists()
    monkeypatch.undo()
    assert probe(*words) == 2  # what is kept is not lost by trying again
    assert f"{kept} exists" in capsys.readouterr().err
    assert probe(*words, "--overwrite") == 0
    assert pq.read_table(output).num_rows == 6
    assert not kept.exists()
