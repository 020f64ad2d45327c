"""The run folder of a recorded run: parts, epochs and resuming, without a trainer."""

from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator
from synthetic_runs import rollout

from formatlab.errors import InputError
from formatlab.store import Rollout, RunFolder
from formatlab.train.recorder import recorded_run as module
from formatlab.train.recorder.recorded_run import RecordedRun


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PART_ROWS", 10)


def opened(path: Path, *, step: int = 0, epoch: int = 0) -> RecordedRun:
    run = RecordedRun(path, Accelerator(cpu=True))
    run.open({"seed": 0}, {})
    run.begin(step=step, epoch=epoch)
    return run


def batch(step: int) -> list[Rollout]:
    """Four rollouts; an epoch has eight steps."""
    epoch = float(step // 8)
    return [rollout(split="train", step=step, epoch=epoch, sample=n) for n in range(4)]


def places(path: Path) -> list[tuple[int, int]]:
    found = RunFolder.open(path).rollouts("train", columns=["step", "sample"]).to_pylist()
    return [(row["step"], row["sample"]) for row in found]


def expected(steps: range) -> list[tuple[int, int]]:
    return [(step, sample) for step in steps for sample in range(4)]


def files(path: Path) -> list[str]:
    return sorted(file.name for file in path.rglob("*.parquet"))


def record(run: RecordedRun, steps: range, *, every: int) -> None:
    for first in range(steps.start, steps.stop, every):
        at_once = range(first, min(first + every, steps.stop))
        rows = [row for step in at_once for row in batch(step)]
        run.write_train(rows, [{"step": step} for step in at_once])


@pytest.mark.parametrize("every", [1, 2, 3, 5, 20])
def test_epochs_of_many_rollouts_go_on_in_parts(tmp_path: Path, every: int) -> None:
    run = opened(tmp_path / "run")
    record(run, range(20), every=every)
    assert places(run.path) == expected(range(20))
    assert "epoch=000.parquet" in files(run.path)
    if every < 8:
        assert "epoch=000-part=001.parquet" in files(run.path)
    assert [line["step"] for line in RunFolder.open(run.path).metrics()] == list(range(20))


@pytest.mark.parametrize("resumed_at", range(1, 20, 2))
def test_a_resumed_run_goes_on_where_its_checkpoint_was(tmp_path: Path, resumed_at: int) -> None:
    record(opened(tmp_path / "run"), range(18), every=3)
    again = opened(tmp_path / "run", step=resumed_at, epoch=resumed_at // 8)
    record(again, range(resumed_at, 20), every=2)
    kept = min(resumed_at, 18)
    assert places(again.path) == expected(range(kept)) + expected(range(resumed_at, 20))


def test_a_small_run_has_one_file_an_epoch_however_often_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PART_ROWS", 1000)
    record(opened(tmp_path / "run"), range(3), every=1)
    for step in range(3, 10):
        record(opened(tmp_path / "run", step=step, epoch=step // 8), range(step, step + 1), every=1)
    assert files(tmp_path / "run") == ["epoch=000.parquet", "epoch=001.parquet"]
    assert places(tmp_path / "run") == expected(range(10))


def test_a_done_run_that_goes_on_is_not_done(tmp_path: Path) -> None:
    run = opened(tmp_path / "run")
    record(run, range(4), every=4)
    run.finish(4)
    assert RunFolder.open(run.path).summary == {"steps": 4, "rollouts": 16}
    with pytest.raises(InputError, match="holds the rollouts of a run already"):
        opened(tmp_path / "run")
    assert RunFolder.open(run.path).done
    opened(tmp_path / "run", step=4)
    assert not RunFolder.open(run.path).done


def test_prompts_evaluated_again_at_an_epoch_are_replaced(tmp_path: Path) -> None:
    def probe(prompt: str, **changes: Any) -> Rollout:
        return rollout(prompt_id=prompt, epoch=0.5, step=4, **changes)

    run = opened(tmp_path / "run")
    run.write_probe([probe("a", tag="json"), probe("b")])
    run.write_probe([probe("a", tag="direct"), probe("c")])
    run.write_probe([])
    found = RunFolder.open(run.path).rollouts("probe").to_pylist()
    assert sorted((row["prompt_id"], row["tag"]) for row in found) == [
        ("a", "direct"),
        ("b", "prose"),
        ("c", "prose"),
    ]


def test_a_folder_from_before_data_were_noted_is_resumed(tmp_path: Path) -> None:
    record(opened(tmp_path / "run"), range(3), every=1)
    run = RecordedRun(tmp_path / "run", Accelerator(cpu=True))
    run.open({"seed": 0, "data": {"train": None}}, {})
    assert RunFolder.open(run.path).config == {"seed": 0}
    noted = RecordedRun(tmp_path / "noted", Accelerator(cpu=True))
    noted.open({"seed": 0, "data": {"train": 1}}, {})
    with pytest.raises(InputError, match=r"data\.train is 1 there and 2 here"):
        noted.open({"seed": 0, "data": {"train": 2}}, {})
