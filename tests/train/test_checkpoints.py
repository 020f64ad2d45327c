"""Where an interrupted run resumes, and what of its folder is dropped."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from rollout_row import ROW

from formatlab.store.run_folder import RunFolder
from formatlab.train.checkpoints import checkpoint_folder, is_complete, mark_whole, resume

PROBES = {0: 0.0, 2: 1.0, 4: 2.0}
PER_STEP = 3


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run killed in its fourth step: the checkpoint after two steps is its newest."""
    run = RunFolder.create(tmp_path / "run", config={}, env={})
    for epoch in (0, 1):
        steps = (2 * epoch, 2 * epoch + 1)[: 2 - epoch]
        rows = [replace(ROW, step=step, epoch=float(epoch)) for step in steps] * PER_STEP
        run.write_rollouts("train", float(epoch), rows)
    for step in (0, 2):
        row = replace(ROW, split="probe", step=step, epoch=PROBES[step])
        run.write_rollouts("probe", PROBES[step], [row])
    run.append_metrics(*({"step": step} for step in range(3)))
    write_checkpoint(run, 2)
    return run


def write_checkpoint(run: RunFolder, updates: int) -> Path:
    checkpoint = checkpoint_folder(run.checkpoints, updates)
    checkpoint.mkdir()
    (checkpoint / "weights").write_text("weights")
    mark_whole(checkpoint)
    return checkpoint


def resumed(run: RunFolder, **options: int) -> tuple[str | None, int]:
    """Name of the checkpoint, and the step."""
    complete = partial(is_complete, run, probes=PROBES, rollouts_per_step=PER_STEP)
    checkpoint, step = resume(run, complete, **options)
    return checkpoint and checkpoint.name, step


def steps(run: RunFolder) -> tuple[list[int], list[int], list[int]]:
    """The steps that have training rollouts, probes and lines."""
    train, probe = (
        sorted(set(run.rollouts(split)["step"].to_pylist())) for split in ("train", "probe")
    )
    return train, probe, [line["step"] for line in run.metrics()]


def test_what_is_later_than_the_checkpoint_is_dropped_and_counted_as_lost(folder: RunFolder):
    assert resumed(folder) == ("checkpoint-2", 2)
    assert steps(folder) == ([0, 1], [0, 2], [0, 1])
    assert folder.resumes() == [{"step": 2, "lost": 1}]


def test_a_step_may_take_several_updates(folder: RunFolder):
    write_checkpoint(folder, 4)
    assert not checkpoint_folder(folder.checkpoints, 2).exists()
    assert resumed(folder, updates_per_step=2) == ("checkpoint-4", 2)


def test_a_checkpoint_that_is_not_whole_is_removed(folder: RunFolder):
    unfinished = checkpoint_folder(folder.checkpoints, 3)
    unfinished.mkdir()
    (unfinished / "weights").write_text("wei")
    assert resumed(folder) == ("checkpoint-2", 2)
    assert not unfinished.exists()


@pytest.mark.parametrize(
    "lost",
    [
        "checkpoints/checkpoint-2/weights",
        "rollouts/split=train/epoch=000.parquet",
        "rollouts/split=probe/epoch=001.parquet",
        "metrics.jsonl",
    ],
)
def test_a_run_that_lost_a_file_begins_anew(folder: RunFolder, lost: str):
    (folder.path / lost).unlink()
    assert resumed(folder) == (None, 0)
    assert steps(folder) == ([], [0], [])


def test_a_run_that_has_made_no_step_is_not_resumed(tmp_path: Path):
    run = RunFolder.create(tmp_path / "run", config={}, env={})
    assert resumed(run) == (None, 0)
    assert run.resumes() == []


def test_rollouts_of_step_0_stay_where_examples_come_from_them(folder: RunFolder):
    complete = partial(is_complete, folder, probes=PROBES, rollouts_per_step=None)
    assert resume(folder, complete, first_rollouts=1)[1] == 2
    checkpoint_folder(folder.checkpoints, 2).joinpath("weights").write_text("")
    assert resume(folder, complete, first_rollouts=1) == (None, 0)
    assert steps(folder) == ([0], [0], [])
