"""A user's mistake gives one clear message and status 2, never a traceback."""

import errno
from pathlib import Path

import pytest

from formatlab.cli.main import main
from formatlab.store.run_folder import RunFolder

REPOSITORY = Path(__file__).parents[2]
LADDER = str(REPOSITORY / "experiments" / "scale_attractors.py")
REAL = str(REPOSITORY / "experiments" / "gsm8k.py")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["walk"], "unknown verb 'walk'"),
        (["run", "nowhere.py"], "there is no experiment file nowhere.py"),
        (["run", "--jobs", "2"], "name the experiment file first"),
        (["run", LADDER, "--preset", "huge"], "has no preset 'huge'; it has demo"),
        (["run", LADDER, "--scales", "7M"], "unknown scale '7M'; known scales: 0.04M"),
        (["run", LADDER, "--scales", "0.04M", "0.04M"], "twice"),
        (["run", LADDER, "--world.families", "riddle"], "unknown family 'riddle'"),
        (["run", LADDER, "--world.mixture.shares.prose", "0.9"], "sum to 1.55"),
        (["run", LADDER, "--grpo.group-size", "1"], "group_size is 1"),
        (["run", LADDER, "--grpo.prompts", "100"], "not a multiple of prompts_per_step"),
        (["run", LADDER, "--jobs", "-1"], "--jobs is -1"),
        (["probe", "--model", "nowhere/at/all", "--problems", "gsm8k.jsonl"], "nowhere/at/all"),
        (["run", LADDER, "--seeds", "-1"], "seeds are 0 or more"),
        (["run", LADDER, "--name", "a/b"], "study name 'a/b'"),
        (["report", "runs-that-are-not-there"], "there is no folder"),
    ],
    ids=lambda value: " ".join(Path(w).name for w in value) if isinstance(value, list) else "",
)
def test_mistakes_are_named(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    extra = ["--runs-dir", str(tmp_path)] if words[0] == "run" and len(words) > 2 else []
    assert main([*words, *extra]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert "Traceback" not in captured.err


def run_in_workers(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = main(["run", *words])
    return status, capsys.readouterr().err


def test_a_missing_model_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    status, said = run_in_workers(
        capsys, REAL, "--model", str(tmp_path / "none"), "--runs-dir", str(tmp_path / "runs")
    )
    assert status == 2
    assert str(tmp_path / "none") in said
    assert "Traceback" not in said


def test_a_hub_id_without_a_network_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    status, said = run_in_workers(
        capsys, REAL, "--model", "nobody/nothing", "--runs-dir", str(tmp_path / "runs")
    )
    assert status == 2
    assert "nobody/nothing" in said
    assert "hub cannot be reached" in said
    assert "Traceback" not in said


def tiny_model(folder: Path) -> str:
    """A folder that is taken for a model until its weights are asked for."""
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text("{}")
    return str(folder / "model")


@pytest.mark.parametrize(
    ("line", "said"),
    [('{"question": "1+1?", "answer": 2}\n{oops', "line 2"), ('{"text": "1+1?"}', "question")],
)
def test_bad_problem_files_are_named_with_their_line(
    line: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    problems = tmp_path / "problems.jsonl"
    problems.write_text(line)
    status = main(["probe", "--model", tiny_model(tmp_path), "--problems", str(problems)])
    error = capsys.readouterr().err
    assert status == 2
    assert str(problems) in error
    assert said in error


def test_real_models_and_problems_are_looked_at_before_anything_is_started(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    problems, model, runs = tmp_path / "problems.jsonl", tiny_model(tmp_path), tmp_path / "runs"
    problems.write_text('{"question": "1+1?", "answer": 2}\n{oops')
    words = ("--model", model, "--problems", str(problems), "--runs-dir", str(runs))
    assert run_in_workers(capsys, REAL, *words) == (
        2,
        f"formatlab run: model '{model}' cannot be read: it has no tokenizer, as {model} holds no "
        "tokenizer.json, tokenizer.model or vocabulary; save the tokenizer there with its "
        "save_pretrained, or copy its files from the model that this one was trained from\n",
    )
    (Path(model) / "tokenizer.json").write_text("{}")
    status, said = run_in_workers(capsys, REAL, *words)
    assert status == 2
    assert said.startswith(f"formatlab run: {problems}, line 2: not JSON")
    assert list(runs.iterdir()) == []


LONG = "x" * 300


@pytest.mark.parametrize(
    "words",
    [
        ["tag", LONG, "--output", "tagged.parquet"],
        ["tag", __file__, "--output", f"{LONG}.parquet"],
        ["probe", "--model", LONG, "--problems", "problems.jsonl"],
        ["run", f"{LONG}.py"],
        ["run", REAL, "--model", LONG],
        ["report", LONG],
        ["export", LONG, "--output", "published"],
        ["status", LONG],
        ["clean", LONG],
    ],
    ids=lambda words: " ".join(Path(word).name[:12] for word in words),
)
def test_a_name_that_no_file_can_have(words: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert LONG in said
    assert len(said.splitlines()) == 1


def test_a_folder_that_may_not_be_searched(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def look(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", look)
    assert main(["run", "dark/experiment.py"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("formatlab run: dark/experiment.py: no permission for it, or for its f")


def test_an_error_of_the_machine_that_names_no_file_is_no_mistake(
    monkeypatch: pytest.MonkeyPatch,
):
    def fail(path: Path) -> bool:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "is_file", fail)
    with pytest.raises(PermissionError):
        main(["run", "experiment.py"])


def test_more_prompts_than_problems(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    problems = tmp_path / "problems.jsonl"
    problems.write_text(
        '{"question": "1+1?", "answer": "2"}\n{"question": "2+2?", "answer": "4"}\n'
    )
    model = tiny_model(tmp_path)
    status = main(["probe", "--model", model, "--problems", str(problems), "--prompts", "3"])
    said = capsys.readouterr().err
    assert status == 2
    assert str(problems) in said
    assert "3" in said


def test_a_runs_folder_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    blocked = tmp_path / "a file"
    blocked.write_text("")
    assert main(["run", LADDER, "--runs-dir", str(blocked / "runs")]) == 2
    said = capsys.readouterr().err
    assert "cannot write to the runs folder" in said
    assert "--runs-dir" in said


def test_an_experiment_with_a_syntax_error(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    broken = tmp_path / "broken.py"
    broken.write_text("PRESETS = {\n")
    assert main(["run", str(broken)]) == 2
    assert f"{broken}, line 1" in capsys.readouterr().err


def test_an_unknown_format_in_an_experiment(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    experiment = tmp_path / "haiku.py"
    experiment.write_text(
        "from formatlab.world.mixture import Mixture\n"
        'MIXTURE = Mixture(name="new", shares={"haiku": 0.25, "prose": 0.75})\n'
    )
    assert main(["run", str(experiment)]) == 2
    assert "unknown format 'haiku'; known formats: program" in capsys.readouterr().err


def test_an_experiment_of_bytes_that_are_no_text(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    broken = tmp_path / "broken.py"
    broken.write_bytes(b"\0\1")
    assert main(["run", str(broken)]) == 2
    assert f"{broken}: no Python: " in capsys.readouterr().err


def test_an_experiment_that_fails_names_the_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    broken = tmp_path / "broken.py"
    broken.write_text("import json\nimport no_such_module\n")
    assert main(["run", str(broken)]) == 2
    assert f"{broken}, line 2: ModuleNotFoundError" in capsys.readouterr().err


def test_a_folder_without_runs_has_no_report(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    base = tmp_path / "bases" / "one"
    RunFolder.create(base, config={"kind": "base"}, env={})
    assert main(["report", str(base.parent)]) == 2
    assert "holds no run folders" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("ANSWER = 42", "has no PRESETS"),
        ("PRESETS = {'a': 3}", "PRESETS['a'] is of type int, and no study"),
        ("import sys\nsys.exit(3)", "line 2: SystemExit: 3"),
    ],
)
def test_a_file_that_is_no_experiment(
    content: str, words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    other = tmp_path / "other.py"
    other.write_text(f"{content}\n")
    assert main(["run", str(other)]) == 2
    assert words in capsys.readouterr().err
