"""The recorder: rows are what was observed, and none is lost or doubled over flush and resume."""

from dataclasses import replace
from pathlib import Path

import pytest

from formatlab.observe.grader import grade
from formatlab.observe.recorder import Observation, TrainRecorder, rollout, sample_numbers
from formatlab.store.rollout import Rollout, rollouts_from_table
from formatlab.store.run_folder import RunFolder
from formatlab.world.prompt import Prompt


def observation(number: int, *, text: str = "The answer is 5.", sample: int = 0) -> Observation:
    return Observation(
        prompt=Prompt(id=f"p{number}", text=f"Question {number}?\n", gold="5", family="chain"),
        sample=sample,
        completion=text,
        grade=grade(text, "5"),
        tokens=7,
        truncated=False,
        logprob=-1.5,
        entropy=0.25,
        reward=1.0,
        advantage=0.5,
    )


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", config={"seed": 0}, env={})


def rows(folder: RunFolder, epoch: int) -> list[Rollout]:
    return rollouts_from_table(folder.rollouts("train", epoch=epoch))


def test_a_row_holds_what_was_observed() -> None:
    seen = observation(3, sample=2)
    assert rollout(seen, run_id="r", split="train", step=4, epoch=1.0) == Rollout(
        run_id="r",
        split="train",
        step=4,
        epoch=1.0,
        prompt_id="p3",
        family="chain",
        sample=2,
        prompt="Question 3?\n",
        completion="The answer is 5.",
        tokens=7,
        tag="prose",
        well_formed=True,
        mixed=False,
        mixed_formats=(),
        truncated=False,
        gold="5",
        answer="5",
        correct=True,
        reason="",
        reward=1.0,
        advantage=0.5,
        logprob=-1.5,
        entropy=0.25,
    )


@pytest.mark.parametrize(
    ("text", "tag", "well_formed", "mixed", "answer", "reason"),
    [
        ("", "none", False, False, None, "no answer"),
        ("<tool>1 / 0</tool>", "tool_tags", True, False, None, "error"),
        (r"\boxed{6}. The answer is 6.", "latex", True, True, "6", "wrong"),
        ("{", "json", False, False, None, "malformed"),
    ],
)
def test_failures_are_rows_too(
    text: str, tag: str, well_formed: bool, mixed: bool, answer: str | None, reason: str
) -> None:
    seen = replace(observation(0, text=text), reward=None, advantage=None, truncated=True)
    row = rollout(seen, run_id="r", split="probe", step=0, epoch=0.125)
    assert (row.tag, row.well_formed, row.mixed) == (tag, well_formed, mixed)
    assert (row.answer, row.correct, row.reason) == (answer, False, reason)
    assert (row.reward, row.advantage, row.truncated) == (None, None, True)


@pytest.mark.parametrize(
    ("prompt_ids", "numbers"),
    [
        ([], []),
        (["a", "a", "a"], [0, 1, 2]),
        (["a", "a", "b", "b"], [0, 1, 0, 1]),
        (["a", "b", "a", "c", "a"], [0, 0, 1, 0, 2]),
    ],
)
def test_samples_of_a_prompt_are_counted(prompt_ids: list[str], numbers: list[int]) -> None:
    assert sample_numbers(prompt_ids) == numbers


def test_nothing_is_written_before_a_flush(folder: RunFolder) -> None:
    recorder = TrainRecorder(folder, epoch=0)
    recorder.add([observation(0)], step=0, epoch=0)
    assert rows(folder, 0) == []
    recorder.flush()
    assert [row.prompt_id for row in rows(folder, 0)] == ["p0"]


def test_a_flush_with_nothing_new_writes_nothing(folder: RunFolder) -> None:
    recorder = TrainRecorder(folder, epoch=0)
    recorder.flush()
    assert folder.epochs("train") == []
    recorder.add([observation(0)], step=0, epoch=0)
    recorder.flush()
    (file,) = (folder.path / "rollouts").rglob("*.parquet")
    written = file.stat().st_mtime_ns
    recorder.flush()
    assert file.stat().st_mtime_ns == written


def test_rows_keep_their_order_over_flushes(folder: RunFolder) -> None:
    recorder = TrainRecorder(folder, epoch=0)
    for step in range(4):
        recorder.add([observation(step, sample=s) for s in range(3)], step=step, epoch=0)
        recorder.flush()
    assert [(row.step, row.prompt_id, row.sample) for row in rows(folder, 0)] == [
        (step, f"p{step}", sample) for step in range(4) for sample in range(3)
    ]
    assert {row.run_id for row in rows(folder, 0)} == {folder.name}


def test_a_new_epoch_writes_the_one_before(folder: RunFolder) -> None:
    recorder = TrainRecorder(folder, epoch=0)
    recorder.add([observation(0)], step=0, epoch=0)
    recorder.add([observation(1)], step=1, epoch=1)
    assert [row.prompt_id for row in rows(folder, 0)] == ["p0"]
    recorder.flush()
    assert [(row.prompt_id, row.epoch) for row in rows(folder, 1)] == [("p1", 1.0)]
    assert folder.epochs("train") == [0.0, 1.0]


@pytest.mark.parametrize("resumed_at", [1, 2, 3, 4, 5])
def test_a_resumed_recorder_goes_on_where_the_rows_end(tmp_path: Path, resumed_at: int) -> None:
    steps_per_epoch = 3

    def record(recorder: TrainRecorder, steps: range) -> None:
        for step in steps:
            batch = [observation(step, sample=sample) for sample in range(2)]
            recorder.add(batch, step=step, epoch=step // steps_per_epoch)
        recorder.flush()

    whole = RunFolder.create(tmp_path / "whole" / "run", config={}, env={})
    record(TrainRecorder(whole, epoch=0), range(6))
    broken = RunFolder.create(tmp_path / "broken" / "run", config={}, env={})
    record(TrainRecorder(broken, epoch=0), range(5))
    # killed after step 4, with the last checkpoint at `resumed_at`
    broken.drop_rollouts_from(resumed_at)
    record(TrainRecorder(broken, epoch=resumed_at // steps_per_epoch), range(resumed_at, 6))
    for epoch in (0, 1):
        assert rows(broken, epoch) == rows(whole, epoch)
        assert len(rows(whole, epoch)) == 6
