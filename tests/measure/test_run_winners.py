"""Winners of a run folder."""

from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_runs import SyntheticRun, write_run

from formatlab.measure.winners import record_winners, run_winners, winners
from formatlab.store import RunFolder, rollout_file

SPEC = SyntheticRun(
    start={"program": 0.5, "prose": 0.5},
    end={"program": 0.1, "prose": 1.9},
    accuracy={"program": 0.6, "prose": 0.9},
    rollouts_per_step=64,
    probe_prompts=32,
)


def test_a_whole_run(tmp_path: Path) -> None:
    run = write_run(tmp_path, SPEC)
    table = record_winners(run, threshold=0.8, resamples=100)
    again = run.winners()
    assert again is not None and again.equals(table)
    assert table["epoch"].to_pylist() == [0.0, 0.125, 0.25, 0.5, 1.0, 2.0]
    assert table["winner"][-1].as_py() == "prose"
    assert 0 < table["collapse_step"][0].as_py() < 32


def test_rollouts_are_never_all_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path, SPEC)
    columns = ["epoch", "step", "prompt_id", "tag", "correct"]
    whole = winners(run.rollouts("probe", columns=columns), resamples=100)
    monkeypatch.setattr(rollout_file, "_BATCH_ROWS", 100)
    monkeypatch.delattr(RunFolder, "rollouts")
    found = run_winners(run, threshold=0.8, resamples=100)
    assert found.drop_columns(["collapse_step"]) == whole.drop_columns(["collapse_step"])
    assert 0 < found["collapse_step"][0].as_py() < 32


def test_a_run_without_training_has_no_collapse(tmp_path: Path) -> None:
    run = write_run(tmp_path, SPEC, train=False)
    assert run_winners(run, resamples=10)["collapse_step"].to_pylist() == [None] * 6
    assert run.winners() is None


def test_a_run_that_has_only_begun_has_no_winners(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", config={}, env={})
    assert record_winners(run).num_rows == 0


def test_a_stage_that_learns_from_examples_cannot_collapse(tmp_path: Path) -> None:
    run = write_run(tmp_path, replace(SPEC, algorithm="dpo", end={"program": 1.0}))
    assert set(run_winners(run, resamples=10)["collapse_step"].to_pylist()) == {None}
