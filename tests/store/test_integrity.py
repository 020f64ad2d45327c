"""Which run folders can be resumed and reported, and what is said of the others."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rollout_row import ROW
from safetensors.torch import save_file

from formatlab.errors import InputError
from formatlab.measure import run_winners
from formatlab.store.integrity import integrity_error, reportable_runs
from formatlab.store.run_folder import RunFolder
from formatlab.store.runs_folder import studies_in
from formatlab.store.weights import weights_digest

AGAIN = "the same `formatlab run` makes it again"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = RunFolder.create(tmp_path / "study" / "run", config={"kind": "run"}, env={})
    run.write_rollouts("train", 0.0, [ROW])
    run.write_rollouts("probe", 0.0, [replace(ROW, split="probe")])
    run.append_metrics({"step": 0}, {"step": 1})
    run.write_winners(run_winners(run))
    save_weights(run.path / "policy")
    digest = weights_digest(run.path / "policy")
    run.mark_done({"steps": 2, "rollouts": 1, "policy_sha256": digest})
    return run.path


def save_weights(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    save_file({"weight": torch.zeros(8, 8)}, folder / "model.safetensors")
    (folder / "config.json").write_text('{"hidden_size": 8}')


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garble_first_line(path: Path) -> None:
    path.write_bytes(b"{" + path.read_bytes())


def test_a_whole_folder_has_none_and_neither_has_one_that_is_not_there(folder: Path):
    assert integrity_error(folder) is None
    assert integrity_error(folder.with_name("other")) is None


@pytest.mark.parametrize(
    ("name", "harm", "said"),
    [
        ("config.json", cut, "config.json is not JSON"),
        ("config.json", empty, "config.json is not JSON"),
        ("env.json", cut, "env.json is not JSON"),
        ("env.json", Path.unlink, "env.json is missing"),
        ("DONE", cut, "DONE is not JSON"),
        ("DONE", lambda path: path.write_text("[]"), "DONE is not a JSON object"),
        ("metrics.jsonl", garble_first_line, "line 1 is not JSON"),
        ("rollouts/split=train/epoch=000.parquet", cut, "epoch=000.parquet is not whole"),
        ("rollouts/split=probe/epoch=000.parquet", empty, "epoch=000.parquet is not whole"),
        ("winners.parquet", cut, "winners.parquet is not whole"),
        ("policy/model.safetensors", cut, "weights in policy/ are gone or not those"),
        ("policy/model.safetensors", Path.unlink, "weights in policy/ are gone or not those"),
        ("policy/config.json", cut, "policy/config.json is not JSON"),
        ("metrics.jsonl", empty, "there are 0 lines of metrics.jsonl, and 2 were made"),
        ("metrics.jsonl", cut, "there are 1 lines of metrics.jsonl, and 2 were made"),
        ("rollouts/split=train/epoch=000.parquet", Path.unlink, "there are 0 training rollouts"),
    ],
)
def test_files_that_were_cut_short_are_named(
    folder: Path, name: str, harm: Callable[[Path], None], said: str
):
    harm(folder / name)
    assert said in (integrity_error(folder) or "")


@pytest.mark.parametrize("place", ["model", "model-0.2", "policy-merged", "checkpoints/round-001"])
@pytest.mark.parametrize("harm", [cut, empty])
@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_models_that_others_start_from_are_looked_at_before_the_end(
    folder: Path, place: str, harm: Callable[[Path], None], name: str
):
    (folder / "DONE").unlink()
    save_weights(folder / place)
    assert integrity_error(folder) is None
    harm(folder / place / name)
    assert f"{place}/{name} is not" in (integrity_error(folder) or "")


@pytest.mark.parametrize("harm", [cut, Path.unlink, lambda path: shutil.rmtree(path.parent)])
def test_models_that_a_pretraining_kept_are_looked_at_after_the_end(
    folder: Path, harm: Callable[[Path], None]
):
    save_weights(folder / "model-0.2")
    kept = {"model-0.2": weights_digest(folder / "model-0.2")}
    RunFolder.open(folder).mark_done({"kept": kept})
    assert integrity_error(folder) is None
    harm(folder / "model-0.2" / "model.safetensors")
    assert "weights in model-0.2/ are gone or not those" in (integrity_error(folder) or "")


def test_a_line_that_waits_for_its_round_is_looked_at(folder: Path):
    (folder / "DONE").unlink()
    (folder / "checkpoints" / "step-002.json").write_text('{"step": 3, "epo')
    assert integrity_error(folder) == "checkpoints/step-002.json is not JSON"


def test_a_checkpoint_that_is_not_whole_is_no_damage(folder: Path):
    (folder / "DONE").unlink()
    save_weights(folder / "checkpoints" / "checkpoint-2")
    cut(folder / "checkpoints" / "checkpoint-2" / "model.safetensors")
    assert integrity_error(folder) is None


def test_what_a_kill_leaves_is_no_damage(folder: Path):
    (folder / "DONE").unlink()
    with (folder / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 2, "lo')
    (folder / ".unfinished-x").write_bytes(b"half")
    assert integrity_error(folder) is None


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


def add_junk(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"junk\n")


def make_newer(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))


def test_reportable_runs_are_all_there(study: Path):
    found = reportable_runs(study)
    assert [run.name for run in found.runs] == ["a", "b"]
    assert found.left_out == []
    assert [run.name for run in reportable_runs(study / "b").runs] == ["b"]


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
            "it is a run folder of schema version 99, and this formatlab reads versions 1, 2, 3. "
            "Read it with the formatlab that wrote it.",
        ),
    ],
)
def test_others_are_named_with_the_reason(
    study: Path, name: str, harm: Callable[[Path], None], said: str
):
    harm(study / "a" / name)
    found = reportable_runs(study)
    assert [run.name for run in found.runs] == ["b"]
    assert [left.words for left in found.left_out] == [f"a is left out: {said}"]


def test_results_are_shown_without_their_models(study: Path):
    (study / "a" / "policy" / "config.json").write_text("{")
    shutil.rmtree(study / "b" / "policy")
    RunFolder(study / "b").mark_done({"steps": 2, "rollouts": 1, "policy_sha256": "of weights"})
    assert [run.name for run in reportable_runs(study).runs] == ["a", "b"]
    assert [left.words for left in reportable_runs(study, models=True).left_out] == [
        f"a is left out: policy/config.json is not JSON; {AGAIN}",
        f"b is left out: the weights in policy/ are gone or not those that were made; {AGAIN}",
    ]


def test_a_recorded_run_has_fewer_lines_than_steps_and_nobody_makes_it_again(tmp_path: Path):
    run = RunFolder(made(tmp_path / "mine" / "first", trainer={"max_steps": 8}))
    run.mark_done({"steps": 8, "rollouts": 1})
    assert [run.name for run in reportable_runs(tmp_path / "mine").runs] == ["first"]
    add_junk(run.path / "metrics.jsonl")
    (left,) = reportable_runs(tmp_path / "mine").left_out
    assert left.words == "first is left out: metrics.jsonl, line 3 is not JSON"


def test_other_folders_are_refused_with_the_studies_in_them(study: Path):
    runs = study.parent
    made(runs / "more" / "c")
    RunFolder.create(runs / "bases" / "x", config={"kind": "base"}, env={})
    with pytest.raises(InputError) as caught:
        reportable_runs(runs)
    assert str(caught.value) == (
        f"{runs} holds the studies more, words; give one of them, such as {runs / 'more'}"
    )
    assert [folder.name for folder in studies_in(runs)] == ["more", "words"]
    assert studies_in(study) == studies_in(study / "a") == []
    for folder in (runs / "bases", study / "figures"):
        with pytest.raises(InputError, match="holds no run folders"):
            reportable_runs(folder)
    with pytest.raises(InputError, match="there is no folder"):
        reportable_runs(runs / "nowhere")


def test_a_run_that_lost_everything_but_its_policy_makes_no_study_of_itself(study: Path):
    for name in ("config.json", "env.json", "DONE"):
        (study / "a" / name).unlink()
    assert studies_in(study) == []
    assert [run.name for run in reportable_runs(study).runs] == ["b"]
