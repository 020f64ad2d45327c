"""`formatlab response` from outside, on runs whose responses are made up."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from forecast_cases import RUN_SETTINGS
from small_runs import Factory, study_factory

from formatlab.analysis.responses import responses
from formatlab.cli.main import main
from formatlab.store import RunFolder
from formatlab.store.weights import weights_digest

EPOCHS = (0.0, 0.25, 1.0)


@pytest.fixture
def make_run(tmp_path: Path) -> Factory:
    return study_factory(tmp_path)


def with_response(
    make_run: Factory, *, gain: float = 0.1, optimiser: str | None = None, **options: Any
) -> RunFolder:
    """A run in which program rises, with a response by which it gains."""
    run = make_run(probe_epochs=EPOCHS, steps_per_epoch=4, **options)
    settings = {**RUN_SETTINGS, **({"optimiser": optimiser} if optimiser else {})}
    config = {"settings": settings, "reward": "correctness", "mixture_name": "two"}
    base = {"base": {"sha256": str(run.config["seed"]) * 64}}
    stored = run.path / "config.json"
    stored.write_text(json.dumps(json.loads(stored.read_text()) | config | base))
    run.write_response(
        {
            tag: {"adamw": of, "adamw_error": 0.01, "sgd": -of, "sgd_error": 0.01}
            for tag, of in (("program", gain), ("prose", -gain))
        }
    )
    return RunFolder.open(run.path)


def test_responses_stand_beside_what_came(
    make_run: Factory, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [with_response(make_run, seed=seed, probe_samples=40) for seed in range(2)]
    study = runs[0].path.parent
    output, figure = study.with_name("out.csv"), study.with_name("out.png")
    words = ["response", str(study), "--output", str(output), "--figure", str(figure)]
    assert main(words) == 0
    assert figure.stat().st_size > 10_000
    told = capsys.readouterr().out
    assert "2 runs by AdamW: correlation of what came with the response by AdamW 1.00" in told
    assert "with the response by gradient descent -1.00" in told
    rows = list(csv.DictReader(output.open()))
    assert len(rows) == 4
    for row in rows:
        rose = float(row["end_share"]) > float(row["share"])
        assert rose == (row["tag"] == "program") == (float(row["change"]) > 0)


def test_each_optimiser_has_its_own_agreement(make_run: Factory) -> None:
    plain = with_response(make_run, probe_samples=40)
    other = with_response(make_run, seed=1, gain=-0.1, optimiser="sgd", probe_samples=40)
    found = responses([plain, other]).agreement
    assert {key: round(of.value) for key, (of, _) in found.items()} == {
        ("adamw", "adamw"): 1,
        ("adamw", "sgd"): -1,
        ("sgd", "adamw"): -1,
        ("sgd", "sgd"): 1,
    }
    assert {count for _, count in found.values()} == {1}


def test_rare_formats_do_not_count(make_run: Factory) -> None:
    found = responses([with_response(make_run)])  # 48 rollouts, 19 and 29 of either format
    assert len(found.rows) == 2
    assert found.agreement == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name the runs"),
        (["nowhere"], "nowhere"),
        (["{}", "--output", "out.txt"], "should be a .csv or .json or .parquet file"),
        (["{}"], "no run has a response"),
    ],
)
def test_wrong_input_is_told(
    make_run: Factory, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_run().path.parent  # of no algorithm that learns from groups
    assert main(["response", *(word.format(study) for word in words)]) == 2
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told


def with_start(run: RunFolder, weights: bytes, digest: str | None = None) -> Path:
    """Say that a run without a response started from a base, which is made beside its study."""
    base = RunFolder.create(run.path.parent.parent / "bases" / "b", config={}, env={})
    model = base.path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(weights)
    sha256 = digest or weights_digest(model)
    base.mark_done({"sha256": sha256})
    stored = run.path / "config.json"
    stored.write_text(json.dumps(json.loads(stored.read_text()) | {"start_sha256": sha256}))
    (run.path / "response.json").unlink()
    return model


def test_a_missing_response_is_measured_on_what_the_run_started_from(
    make_run: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Path] = []
    monkeypatch.setattr(
        "formatlab.train.response.write_response", lambda run, model: measured.append(model)
    )
    run = with_response(make_run)
    model = with_start(run, b"weights")
    monkeypatch.chdir(run.path.parent)
    assert main(["response", run.name]) == 2  # what stands in for the measurement writes nothing
    assert measured == [model]


def test_other_weights_are_refused_and_missing_ones_passed_over(
    make_run: Factory, capsys: pytest.CaptureFixture[str]
) -> None:
    run = with_response(make_run)
    model = with_start(run, b"weights", digest="0" * 64)
    assert main(["response", str(run.path)]) == 1
    assert "holds other weights than those that" in capsys.readouterr().err
    shutil.rmtree(model)
    assert main(["response", str(run.path)]) == 2
    told = capsys.readouterr().err
    assert "no run has a response" in told and "Traceback" not in told
