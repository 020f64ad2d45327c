"""`formatlab forecast` and `formatlab score-forecasts` from outside."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from forecast_cases import RUN_SETTINGS, lawful_cases
from small_runs import Factory, study_factory

from formatlab.cli.main import main
from formatlab.forecast import METHODS
from formatlab.forecast.benchmark import write_benchmark
from formatlab.store import RunFolder


@pytest.fixture
def make_run(tmp_path: Path) -> Factory:
    return study_factory(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Rollouts of twelve prompts with four each: half in prose, a third of those right."""
    path = tmp_path / "a.jsonl"
    texts = ("The answer is 5.", "The answer is 6.", "The answer is 7.", "\\boxed{5}")
    rows = [
        {"prompt": f"q{n // 4}", "completion": texts[(n + n // 12) % 4], "gold": "5"}
        for n in range(48)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    cases = lawful_cases(16, temperature=0.05)
    write_benchmark(tmp_path / "benchmark", cases)
    return tmp_path / "benchmark"


def with_settings(make_run: Factory, **options: Any) -> Path:
    base = {"sha256": str(options.get("seed", 0)) * 64, "undertrained": False, "floor": 0.1}
    config = {
        "settings": RUN_SETTINGS,
        "reward": "correctness",
        "mixture_name": "four-executed",
        "base": base,
    }
    run = make_run(**options)
    stored = run.path / "config.json"
    stored.write_text(json.dumps(json.loads(stored.read_text()) | config))
    return run.path


def test_files_are_forecast(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, figure = file.with_name("out.csv"), file.with_name("out.png")
    words = ["forecast", str(file), "--epochs", "3"]
    assert main([*words, "--output", str(output), "--figure", str(figure)]) == 0
    told = capsys.readouterr().out
    assert "after 3 epochs: " in told
    assert "share x accuracy" in told
    rows = list(csv.DictReader(output.open()))
    of_probe = {name for name, method in METHODS.items() if not method.of_model}
    assert {row["method"] for row in rows} == of_probe
    assert {row["epoch"] for row in rows} == {"1.0", "2.0", "3.0"}
    for method in of_probe:
        last = [row for row in rows if row["method"] == method and row["epoch"] == "3.0"]
        assert sum(float(row["chance"]) for row in last) == pytest.approx(1, abs=0.02)
    assert figure.stat().st_size > 10_000


def test_a_run_is_forecast_from_its_base_or_its_end(
    make_run: Factory, capsys: pytest.CaptureFixture[str]
) -> None:
    run = with_settings(make_run)
    assert main(["forecast", str(run)]) == 0
    base = capsys.readouterr().out
    assert "after 2 epochs" in base and "after 3 epochs" not in base
    (run / "policy").mkdir()
    assert main(["forecast", str(run / "policy"), "--epochs", "1"]) == 0
    end = capsys.readouterr().out
    assert main(["forecast", f"{run}@2", "--epochs", "1"]) == 0
    assert capsys.readouterr().out == end
    assert end.splitlines()[1].startswith("  after 1 epoch: program")  # 95% of its end


def test_the_response_counts_for_the_settings_of_its_run_alone(
    make_run: Factory, capsys: pytest.CaptureFixture[str]
) -> None:
    run = with_settings(make_run)
    response = {tag: {"adamw": 0.1, "adamw_error": 0.01} for tag in ("program", "prose")}
    RunFolder.open(run).write_response(response)
    for words in ([], ["--epochs", "3"]):
        assert main(["forecast", str(run), *words]) == 0
        found = capsys.readouterr()
        assert "response to an update" in found.out
        assert found.err == ""
    assert main(["forecast", str(run), "--group-size", "16"]) == 0
    found = capsys.readouterr()
    assert "response to an update" not in found.out
    assert "holds for its own settings alone" in found.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name what to forecast from"),
        (["--parameters", "1e9"], "says nothing without --learning-rate"),
        (["--learning-rate", "1e-6"], "--learning-rate needs --parameters"),
        (["--samples", "4"], "--samples says how a model is sampled"),
        (["--epochs", "0"], "epochs must be at least 1"),
        (["--parameters", "nan", "--learning-rate", "1"], "--parameters is nan"),
        (["--parameters", "1e6", "--learning-rate", "nan"], "learning_rate must be a number"),
        (["--kl-coefficient", "-3"], "kl_coefficient must be a number"),
        (["--algorithm", "banana"], "--algorithm banana: it is one of"),
        (["--output", "out.txt"], "should be a .csv or .json or .parquet file"),
    ],
)
def test_wrong_input_is_told(
    file: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = [str(file)] if words else []
    assert main(["forecast", *source, *words]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told


def test_a_study_is_no_run(make_run: Factory, capsys: pytest.CaptureFixture[str]) -> None:
    run = with_settings(make_run)
    assert main(["forecast", str(run.parent)]) == 2
    assert "is a study; name one of its runs" in capsys.readouterr().err


def test_rollouts_without_right_answers_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "q", "completion": "The answer is 5."}\n' * 20)
    assert main(["forecast", str(path)]) == 2
    assert "no rollout has a known right answer" in capsys.readouterr().err


def test_a_benchmark_is_scored(benchmark: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, figure = benchmark.with_name("s.csv"), benchmark.with_name("s.png")
    own = benchmark.with_name("mine.py")
    own.write_text(
        "def forecast(probe, settings, epoch):\n    return dict(zip(probe.formats, probe.shares))\n"
    )
    words = ["score-forecasts", str(benchmark), "--method", str(own)]
    assert main([*words, "--output", str(output), "--figure", str(figure)]) == 0
    told = capsys.readouterr().out
    assert "share x accuracy" in told and "mine" in told
    rows = list(csv.DictReader(output.open()))
    assert {row["left_out"] for row in rows} == {"base", "scale"}  # one mixture and algorithm
    assert {row["epoch"] for row in rows} == {"last", "0.5", "1.0", "2.0"}
    mine = [row for row in rows if row["method"] == "mine" and row["measure"] == "log_score"]
    assert {row["group"] for row in mine} == {"all", "0.04M", "0.13M"}
    assert all(float(row["value"]) < 0 for row in mine)
    assert {row["n_runs"] for row in mine if row["group"] == "all"} == {"16"}
    assert figure.stat().st_size > 10_000


def test_runs_are_set_aside_and_scored_alone(
    benchmark: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = benchmark.with_name("again")
    words = ["score-forecasts", str(benchmark), "--set-aside", "scale=0.13M"]
    assert main([*words, "--benchmark", str(again)]) == 0
    assert "log score, scale" not in capsys.readouterr().out  # what is left is of one
    output = benchmark.with_name("h.json")
    assert main(["score-forecasts", str(again), "--held-out", "--output", str(output)]) == 0
    rows = json.loads(output.read_text())
    assert {(row["left_out"], row["n_runs"]) for row in rows if row["method"] == "product"} >= {
        ("held out", 8)
    }


def test_what_a_fit_finds_is_written(benchmark: Path) -> None:
    path = benchmark.with_name("fitted.json")
    assert main(["score-forecasts", str(benchmark), "--fitted", str(path)]) == 0
    content = json.loads(path.read_text())
    assert content["methods"].keys() == METHODS.keys()
    assert content["log_scores"].keys() == content["methods"].keys()
    assert content["on"].startswith("16 runs from 16 bases")


def test_runs_of_a_study_are_scored(make_run: Factory, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [with_settings(make_run, seed=seed) for seed in range(3)]
    assert main(["score-forecasts", str(runs[0].parent)]) == 0
    assert "replicator flow" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1", "has no function forecast"),
        ("def forecast(p, s, e): return {'a': 2.0}", "no probabilities"),
        ("def forecast(p, s, e): return {}[0]", "KeyError"),
        ("def forecast(", "SyntaxError"),
    ],
)
def test_a_method_that_fails_is_told(
    benchmark: Path, code: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own = benchmark.with_name("mine.py")
    own.write_text(code)
    assert main(["score-forecasts", str(benchmark), "--method", str(own)]) == 2
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name what to score"),
        (["nowhere"], "nowhere"),
        (["{}", "--recorded", "--held-out"], "--recorded scores forecasts as they were written"),
        (["{}", "--held-out"], "set aside"),
        (["{}", "--set-aside", "colour=red"], "'colour' is no fact; write one of study, scale"),
        (["{}", "--set-aside", "seed=99"], "no run is that"),
        (["{}", "--set-aside", "study=other,seed=0"], "no run is that"),
        (["{}", "--held-out", "--fitted", "f.json"], "--fitted writes a fit on runs"),
        (["{}", "--method", "share.py"], "has the name of another method"),
    ],
)
def test_what_cannot_be_scored_is_told(
    benchmark: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score-forecasts", *(word.format(benchmark) for word in words)]) == 2
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told
