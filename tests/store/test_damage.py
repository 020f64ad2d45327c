"""What counts as damage, on a run folder that is whole but for one file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rollout_row import ROW
from safetensors.torch import save_file

from formatlab.measure import record_winners
from formatlab.store.integrity import damage, put_aside
from formatlab.store.run_folder import RunFolder
from formatlab.store.weights import weights_digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = RunFolder.create(tmp_path / "study" / "run", config={"kind": "run"}, env={})
    run.write_rollouts("train", 0.0, [ROW])
    run.write_rollouts("probe", 0.0, [replace(ROW, split="probe")])
    run.append_metrics({"step": 0}, {"step": 1})
    record_winners(run)
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
    assert damage(folder) is None
    assert damage(folder.with_name("other")) is None


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
    assert said in (damage(folder) or "")


@pytest.mark.parametrize("place", ["model", "policy-merged", "checkpoints/round-001"])
@pytest.mark.parametrize("harm", [cut, empty])
@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_models_that_others_start_from_are_looked_at_before_the_end(
    folder: Path, place: str, harm: Callable[[Path], None], name: str
):
    (folder / "DONE").unlink()
    save_weights(folder / place)
    assert damage(folder) is None
    harm(folder / place / name)
    assert f"{place}/{name} is not" in (damage(folder) or "")


def test_a_line_that_waits_for_its_round_is_looked_at(folder: Path):
    (folder / "DONE").unlink()
    (folder / "checkpoints" / "step-002.json").write_text('{"step": 3, "epo')
    assert damage(folder) == "checkpoints/step-002.json is not JSON"


def test_a_checkpoint_that_is_not_whole_is_no_damage(folder: Path):
    (folder / "DONE").unlink()
    save_weights(folder / "checkpoints" / "checkpoint-2")
    cut(folder / "checkpoints" / "checkpoint-2" / "model.safetensors")
    assert damage(folder) is None


def test_what_a_kill_leaves_is_no_damage(folder: Path):
    (folder / "DONE").unlink()
    with (folder / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 2, "lo')
    (folder / ".unfinished-x").write_bytes(b"half")
    assert damage(folder) is None


def test_folders_put_aside_do_not_push_one_another_out(folder: Path, tmp_path: Path):
    there = []
    for _ in range(2):
        there.append(put_aside(folder, tmp_path))
        assert not folder.exists()
        RunFolder.create(folder, config={"kind": "run"}, env={})
    assert [path.name for path in there] == ["run-1", "run-2"]
    assert (there[0] / "policy" / "model.safetensors").exists()
    assert {path.parent for path in there} == {tmp_path / ".aside" / "study"}
