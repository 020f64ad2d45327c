"""`formatlab export` as people use it, with right input and wrong."""

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from synthetic_runs import small_run

from formatlab.cli.export import main as export
from formatlab.errors import InputError, RunError
from formatlab.store import RunFolder

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    study = tmp_path / "runs" / "words"
    small_run(study)
    return study


def refusal(*words: object) -> str:
    with pytest.raises(InputError) as caught:
        export([*map(str, words)])
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_study_becomes_a_folder_and_what_to_do_next_is_said(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert export([str(study), "--output", str(out)]) == 0
    said = capsys.readouterr().out
    assert "1 run: 64 train rollouts, 128 probe rollouts" in said
    assert "none chosen" in said
    assert f"hf upload OWNER/NAME {out} --repo-type dataset\n" in said
    assert "--exclude" not in said
    assert not (out / "models").exists()


def test_several_studies_and_single_runs_become_one_folder(study: Path, tmp_path: Path) -> None:
    other = small_run(study.with_name("other"), seed=3)
    small_run(study.with_name("other"), seed=4)
    out = tmp_path / "out"
    assert export([str(study), str(other.path), "--output", str(out)]) == 0
    runs = pq.read_table(out / "runs.parquet").to_pylist()
    assert [(run["study"], run["seed"]) for run in runs] == [("words", 0), ("other", 3)]


def test_a_runs_folder_stands_for_its_studies(study: Path, tmp_path: Path) -> None:
    small_run(study.with_name("other"), seed=3)
    RunFolder.create(tmp_path / "runs/bases/b", config={"kind": "base"}, env={})
    assert export([str(study.parent), "--output", str(tmp_path / "out")]) == 0
    runs = pq.read_table(tmp_path / "out" / "runs.parquet").to_pylist()
    assert [(run["study"], run["seed"]) for run in runs] == [("other", 3), ("words", 0)]


def test_unfinished_runs_are_left_out_with_the_reason_unless_asked_for(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_run(study, seed=1, done=False)
    failed = small_run(study, seed=2, done=False)
    failed.mark_failed("no space left")
    out = tmp_path / "out"
    export([str(study), "--output", str(out)])
    said = capsys.readouterr().out
    assert "left out 0.15M-grpo-s1: not finished (4 steps so far)" in said
    assert "left out 0.15M-grpo-s2: failed (no space left)" in said
    assert "failed (no space left)" in (out / "README.md").read_text()
    export([str(study), "--output", str(out), "--unfinished", "--overwrite"])
    assert "left out" not in capsys.readouterr().out
    runs = pq.read_table(out / "runs.parquet").to_pylist()
    assert [run["done"] for run in runs] == [True, False, False]
    assert "Unfinished (last probe: epoch 2)" in (out / "README.md").read_text()


def test_the_command_of_the_plan_is_told(study: Path, tmp_path: Path) -> None:
    from formatlab.launch.plan import Plan, write_plan

    words = ("formatlab", "run", "experiments/words.py", "--jobs", "2")
    now = "2026-01-01T00:00:00+00:00"
    write_plan(study, Plan(study="words", command=words, written=now, jobs=2, tasks=()))
    export([str(study), "--output", str(tmp_path / "out")])
    assert " ".join(words) in (tmp_path / "out" / "README.md").read_text()


def test_an_earlier_export_is_replaced_on_demand(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export([str(study), "--output", str(out)])
    assert "replace it with --overwrite" in refusal(study, "--output", out, "--licence", "mit")
    assert 'license: "mit"' not in (out / "README.md").read_text()
    export([str(study), "--output", str(out), "--licence", "mit", "--overwrite"])
    assert 'license: "mit"' in (out / "README.md").read_text()


def test_models_that_are_not_there_are_named(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export([str(study), "--output", str(tmp_path / "out"), "--models"])
    assert "left out policy of 0.15M-grpo-s0: its folder has no weights" in capsys.readouterr().out


def test_wrong_runs_are_named(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "empty").mkdir()
    base = RunFolder.create(tmp_path / "runs/bases/b", config={"kind": "base"}, env={})
    assert "there is no folder" in refusal(tmp_path / "nowhere", "--output", out)
    for folder in (tmp_path / "empty", base.path, base.path.parent):
        assert "holds no run folders" in refusal(folder, "--output", out)
    small_run(tmp_path / "runs" / "new", done=False)
    said = refusal(tmp_path / "runs" / "new", "--output", out)
    assert said.startswith("no run is finished (0.15M-grpo-s0: not finished")
    assert "have the same name" in refusal(study, study, "--output", out)
    assert not out.exists()


def test_wrong_outputs_are_named_and_left_as_they_are(study: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "is a file" in refusal(study, "--output", tmp_path / "file")
    assert "a part of this path is a file" in refusal(study, "--output", tmp_path / "file" / "x")
    assert "no export wrote" in refusal(study, "--output", study)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_licence_is_needed_for_what_is_not_of_our_world(study: Path, tmp_path: Path) -> None:
    small_run(study, seed=1, world={}, mixture={}, model="owner/name", problems="gsm8k")
    out = tmp_path / "out"
    assert "give one that they allow with --licence" in refusal(study, "--output", out)
    assert "small letters" in refusal(study, "--output", out, "--licence", "Apache 2")
    assert export([str(study), "--output", str(out), "--licence", "other"]) == 0
    assert "The licences of the model" in (out / "README.md").read_text()


def test_nothing_heavy_is_imported(study: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from formatlab.cli.export import main; main(sys.argv[1:]);"
        "print({'torch', 'transformers', 'datasets', 'matplotlib', 'peft'} & set(sys.modules))"
    )
    words = [sys.executable, "-c", program, str(study), "--output", str(tmp_path / "out")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "set()"


def test_damaged_runs_are_left_out_and_named(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = small_run(study, seed=1)
    path = next(damaged.path.glob("rollouts/split=train/*.parquet"))
    path.write_bytes(path.read_bytes()[:-20])
    out = tmp_path / "out"
    assert export([str(study), "--output", str(out)]) == 1
    said = "rollouts/split=train/epoch=000.parquet is not whole"
    assert (
        f"formatlab export: {damaged.name} is left out: {said}; the same `formatlab run` makes it "
        "again\n"
    ) in capsys.readouterr().err
    assert f"damaged ({said})" in (out / "README.md").read_text()
    assert [run["seed"] for run in pq.read_table(out / "runs.parquet").to_pylist()] == [0]


def test_where_all_are_damaged_nothing_is_written(study: Path, tmp_path: Path) -> None:
    done = next(study.glob("*/DONE"))
    done.write_text("{")
    with pytest.raises(RunError, match=r"0.15M-grpo-s0: damaged \(DONE is not JSON\)"):
        export([str(study), "--output", str(tmp_path / "out")])
    assert [found.name for found in tmp_path.iterdir()] == ["runs"]
