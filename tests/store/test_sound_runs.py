"""Which run folders of a study are shown, and what is said of the others."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rollout_row import ROW

from formatlab.errors import InputError
from formatlab.store.integrity import sound_runs, studies_in
from formatlab.store.run_folder import RunFolder

AGAIN = "the same `formatlab run` makes it again"


def made(path: Path, **config: object) -> Path:
    run = RunFolder.create(path, config={"kind": "run"} | config, env={})
    run.write_rollouts("train", 0.0, [ROW])
    run.write_rollouts("probe", 0.0, [replace(ROW, split="probe")])
    run.append_metrics({"step": 0}, {"step": 1})
    run.mark_done({"steps": 2, "rollouts": 1})
    (run.path / "policy").mkdir()
    (run.path / "policy" / "config.json").write_text("{}")
    return run.path


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        made(tmp_path / "runs" / "words" / name)
    (tmp_path / "runs" / "words" / "figures").mkdir()
    return tmp_path / "runs" / "words"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def add_junk(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"junk\n")


def make_newer(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))


def test_sound_runs_are_all_there(study: Path):
    found = sound_runs(study)
    assert [run.name for run in found.runs] == ["a", "b"]
    assert found.left_out == []
    assert [run.name for run in sound_runs(study / "b").runs] == ["b"]


@pytest.mark.parametrize(
    ("name", "harm", "said"),
    [
        ("DONE", cut, f"DONE is not JSON; {AGAIN}"),
        ("config.json", cut, f"config.json is not JSON; {AGAIN}"),
        ("config.json", Path.unlink, f"config.json is missing; {AGAIN}"),
        ("env.json", cut, f"env.json is not JSON; {AGAIN}"),
        ("metrics.jsonl", add_junk, f"metrics.jsonl, line 3 is not JSON; {AGAIN}"),
        (
            "rollouts/split=train/epoch=000.parquet",
            cut,
            f"rollouts/split=train/epoch=000.parquet is not whole; {AGAIN}",
        ),
        (
            "env.json",
            make_newer,
            "it is a run folder of schema version 99, and this formatlab reads versions 1, 2. "
            "Read it with the formatlab that wrote it.",
        ),
    ],
)
def test_others_are_named_with_the_reason(
    study: Path, name: str, harm: Callable[[Path], None], said: str
):
    harm(study / "a" / name)
    found = sound_runs(study)
    assert [run.name for run in found.runs] == ["b"]
    assert [left.words for left in found.left_out] == [f"a is left out: {said}"]


def test_results_are_shown_without_their_models(study: Path):
    (study / "a" / "policy" / "config.json").write_text("{")
    shutil.rmtree(study / "b" / "policy")
    RunFolder(study / "b").mark_done({"steps": 2, "rollouts": 1, "policy_sha256": "of weights"})
    assert [run.name for run in sound_runs(study).runs] == ["a", "b"]
    assert [left.words for left in sound_runs(study, models=True).left_out] == [
        f"a is left out: policy/config.json is not JSON; {AGAIN}",
        f"b is left out: the weights in policy/ are gone or not those that were made; {AGAIN}",
    ]


def test_a_recorded_run_has_fewer_lines_than_steps_and_nobody_makes_it_again(tmp_path: Path):
    run = RunFolder(made(tmp_path / "mine" / "first", trainer={"max_steps": 8}))
    run.mark_done({"steps": 8, "rollouts": 1})
    assert [run.name for run in sound_runs(tmp_path / "mine").runs] == ["first"]
    add_junk(run.path / "metrics.jsonl")
    (left,) = sound_runs(tmp_path / "mine").left_out
    assert left.words == "first is left out: metrics.jsonl, line 3 is not JSON"


def test_other_folders_are_refused_with_the_studies_in_them(study: Path):
    runs = study.parent
    made(runs / "more" / "c")
    RunFolder.create(runs / "bases" / "x", config={"kind": "base"}, env={})
    with pytest.raises(InputError) as caught:
        sound_runs(runs)
    assert str(caught.value) == (
        f"{runs} holds the studies more, words; give one of them, such as {runs / 'more'}"
    )
    assert [folder.name for folder in studies_in(runs)] == ["more", "words"]
    assert studies_in(study) == studies_in(study / "a") == []
    for folder in (runs / "bases", study / "figures"):
        with pytest.raises(InputError, match="holds no run folders"):
            sound_runs(folder)
    with pytest.raises(InputError, match="there is no folder"):
        sound_runs(runs / "nowhere")


def test_a_run_that_lost_everything_but_its_policy_makes_no_study_of_itself(study: Path):
    for name in ("config.json", "env.json", "DONE"):
        (study / "a" / name).unlink()
    assert studies_in(study) == []
    assert [run.name for run in sound_runs(study).runs] == ["b"]
