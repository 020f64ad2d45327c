"""The recorder: rows hold what was graded, and none is lost or doubled over flush and resume."""

from pathlib import Path
from typing import Any

import pytest

from formatlab.observe.grader import grade
from formatlab.observe.recorder import (
    TrainRecorder,
    graded_rollout,
    number_samples,
    sample_numbers,
)
from formatlab.observe.tagger import tag
from formatlab.store.rollout import Rollout, rollouts_from_table
from formatlab.store.run_folder import RunFolder
from formatlab.world.prompt import Prompt


def row(number: int, **changes: Any) -> Rollout:
    fields: dict[str, Any] = {
        "prompt": Prompt(id=f"p{number}", text=f"Question {number}?\n", gold="5", family="chain"),
        "completion": "The answer is 5.",
        "run_id": "run",
        "split": "train",
        "step": number,
        "epoch": 0.0,
        "tokens": 7,
        "truncated": False,
    }
    fields |= changes
    fields.setdefault("seen", grade(fields["completion"], "5"))
    return graded_rollout(**fields)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", config={"seed": 0}, env={})


def stored(folder: RunFolder, epoch: int) -> list[Rollout]:
    return rollouts_from_table(folder.rollouts("train", epoch=epoch))


def test_a_row_holds_what_was_graded() -> None:
    measured = {"reward": 1.0, "advantage": 0.5, "logprob": -1.5, "entropy": 0.25}
    assert row(3, run_id="r", step=4, epoch=1.0, sample=2, **measured) == Rollout(
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
        flexible_answer="5",
        flexible_correct=True,
        reward=1.0,
        advantage=0.5,
        logprob=-1.5,
        entropy=0.25,
    )


@pytest.mark.parametrize(
    ("text", "label", "well_formed", "mixed", "answer", "reason"),
    [
        ("", "none", False, False, None, "no answer"),
        ("<tool>1 / 0</tool>", "tool_tags", True, False, None, "error"),
        (r"\boxed{6}. The answer is 6.", "latex", True, True, "6", "wrong"),
        ("{", "json", False, False, None, "malformed"),
    ],
)
def test_failures_are_rows_too(
    text: str, label: str, well_formed: bool, mixed: bool, answer: str | None, reason: str
) -> None:
    failed = row(0, completion=text, split="probe", epoch=0.125, truncated=True)
    assert (failed.tag, failed.well_formed, failed.mixed) == (label, well_formed, mixed)
    assert (failed.answer, failed.correct, failed.reason) == (answer, False, reason)
    assert (failed.reward, failed.advantage, failed.truncated) == (None, None, True)


@pytest.mark.parametrize(("text", "reason"), [("The answer is 5.", ""), ("", "no answer")])
def test_without_a_right_answer_nothing_is_called_right_or_wrong(text: str, reason: str) -> None:
    ungraded = row(0, completion=text, seen=tag(text))
    assert (ungraded.tag, ungraded.well_formed) == (tag(text).format, tag(text).well_formed)
    assert (ungraded.gold, ungraded.answer, ungraded.correct) == (None, None, None)
    assert ungraded.reason == reason


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
    batch = [row(ord(prompt_id), sample=9) for prompt_id in prompt_ids]
    assert [one.sample for one in number_samples(batch)] == numbers


def test_nothing_is_written_before_a_flush(folder: RunFolder) -> None:
    recorder = TrainRecorder(folder, epoch=0)
    recorder.add([row(0)])
    assert stored(folder, 0) == []
    recorder.flush()
    assert [one.prompt_id for one in stored(folder, 0)] == ["p0"]


def test_a_flush_with_nothing_new_writes_nothing(folder: RunFolder) -> None:
    recorder = TrainRecorder(folder, epoch=0)
    recorder.flush()
    assert folder.epochs("train") == []
    recorder.add([row(0)])
    recorder.flush()
    (file,) = (folder.path / "rollouts").rglob("*.parquet")
    written = file.stat().st_mtime_ns
    recorder.flush()
    assert file.stat().st_mtime_ns == written


def test_rows_keep_their_order_over_flushes(folder: RunFolder) -> None:
    recorder = TrainRecorder(folder, epoch=0)
    for step in range(4):
        recorder.add([row(step, sample=sample) for sample in range(3)])
        recorder.flush()
    assert [(one.step, one.prompt_id, one.sample) for one in stored(folder, 0)] == [
        (step, f"p{step}", sample) for step in range(4) for sample in range(3)
    ]


def test_a_new_epoch_writes_the_one_before(folder: RunFolder) -> None:
    recorder = TrainRecorder(folder, epoch=0)
    recorder.add([row(0)])
    recorder.add([row(1, epoch=1.0)])
    assert [one.prompt_id for one in stored(folder, 0)] == ["p0"]
    recorder.flush()
    assert [(one.prompt_id, one.epoch) for one in stored(folder, 1)] == [("p1", 1.0)]
    assert folder.epochs("train") == [0.0, 1.0]


@pytest.mark.parametrize("resumed_at", [1, 2, 3, 4, 5])
def test_a_resumed_recorder_goes_on_where_the_rows_end(tmp_path: Path, resumed_at: int) -> None:
    steps_per_epoch = 3

    def record(recorder: TrainRecorder, steps: range) -> None:
        for step in steps:
            epoch = float(step // steps_per_epoch)
            recorder.add([row(step, epoch=epoch, sample=sample) for sample in range(2)])
        recorder.flush()

    whole = RunFolder.create(tmp_path / "whole" / "run", config={}, env={})
    record(TrainRecorder(whole, epoch=0), range(6))
    broken = RunFolder.create(tmp_path / "broken" / "run", config={}, env={})
    record(TrainRecorder(broken, epoch=0), range(5))
    # killed after step 4, with the last checkpoint at `resumed_at`
    broken.drop_rollouts_from(resumed_at)
    record(TrainRecorder(broken, epoch=resumed_at // steps_per_epoch), range(resumed_at, 6))
    for epoch in (0, 1):
        assert stored(broken, epoch) == stored(whole, epoch)
        assert len(stored(whole, epoch)) == 6
