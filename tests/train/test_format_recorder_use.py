"""The format recorder in use: resuming, running again, wrong use, report, documented script."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from recorder_process import Witness, make_trainer, problems, rows, seen, tokenizer
from tiny_llama import tiny_model
from transformers import TrainerCallback

import formatlab
from formatlab import Alarm, FormatRecorder
from formatlab.cli import report
from formatlab.errors import InputError
from formatlab.store import RunFolder
from formatlab.train.recorder import format_recorder as module

DOCUMENT = Path(__file__).parents[2] / "docs" / "format_recorder.md"


@pytest.mark.parametrize(
    "alarm",
    [
        None,
        Alarm(signal="leader_share", threshold=0.0),  # at the first step
        Alarm(signal="share_slope", threshold=-1.0),  # at the fourth, which is done twice
    ],
)
def test_a_resumed_run_holds_every_step_once(tmp_path: Path, alarm: Alarm | None):
    class Crash(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 7:
                raise KeyboardInterrupt

    options: dict[str, Any] = {"max_steps": 10, "save_strategy": "steps", "save_steps": 3}
    whole = make_trainer(tmp_path / "whole", witness=Witness(), prompts=24, **options)
    FormatRecorder(tmp_path / "whole" / "run", gold="solution", alarm=alarm).attach(whole)
    whole.train()

    broken = make_trainer(
        tmp_path / "broken", witness=Witness(), prompts=24, callbacks=[Crash()], **options
    )
    run = tmp_path / "broken" / "run"
    FormatRecorder(run, gold="solution", alarm=alarm).attach(broken)
    with pytest.raises(KeyboardInterrupt):
        broken.train()
    assert {row["step"] for row in rows(run)} == set(range(6))
    assert not RunFolder.open(run).done

    again = make_trainer(tmp_path / "broken", witness=Witness(), prompts=24, **options)
    FormatRecorder(run, gold="solution", alarm=alarm).attach(again)
    again.train(resume_from_checkpoint=str(tmp_path / "broken" / "trl" / "checkpoint-3"))
    assert rows(run) == rows(tmp_path / "whole" / "run")
    lines = [RunFolder.open(path).metrics() for path in (run, tmp_path / "whole" / "run")]
    assert lines[0] == lines[1]
    assert RunFolder.open(run).done


def test_rollouts_are_on_disk_while_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "FLUSH_STEPS", 3)
    on_disk: list[int] = []

    class Look(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            on_disk.append(len(rows(tmp_path / "run")))

    trainer = make_trainer(tmp_path, witness=Witness(), max_steps=8)
    FormatRecorder(tmp_path / "run").attach(trainer)
    trainer.add_callback(Look)
    trainer.train()
    assert on_disk == [0, 0, 12, 12, 12, 24, 24, 24]
    assert len(rows(tmp_path / "run")) == 32


def test_a_second_training_needs_a_folder_of_its_own(tmp_path: Path):
    witness = Witness()
    trainer = make_trainer(tmp_path, witness=witness)
    FormatRecorder(tmp_path / "first").attach(trainer)
    trainer.train()
    with pytest.raises(InputError, match=r"first holds the rollouts of a run already.*another"):
        trainer.train()
    count = len(witness.train)
    FormatRecorder(tmp_path / "second").attach(trainer)
    trainer.train()
    assert seen(rows(tmp_path / "first")) == witness.train[:count]
    assert seen(rows(tmp_path / "second")) == witness.train[count:]


def test_a_folder_with_another_run_is_left_alone(tmp_path: Path):
    trainer = make_trainer(tmp_path, witness=Witness())
    FormatRecorder(tmp_path / "run").attach(trainer)
    trainer.train()
    before = rows(tmp_path / "run")
    again = make_trainer(tmp_path, witness=Witness())
    FormatRecorder(tmp_path / "run").attach(again)
    with pytest.raises(InputError, match="resume_from_checkpoint"):
        again.train()
    other = make_trainer(tmp_path, witness=Witness(), learning_rate=0.5)
    with pytest.raises(InputError, match=r"trainer\.learning_rate is 0\.001 there and 0\.5 here"):
        FormatRecorder(tmp_path / "run").attach(other)
    assert rows(tmp_path / "run") == before


@pytest.mark.parametrize("evaluated", [False, True])
def test_a_missing_column_is_named_before_training(tmp_path: Path, evaluated: bool):
    without = problems(2).remove_columns("solution").add_column("level", [1, 2])
    trainer = make_trainer(tmp_path, witness=Witness(), evaluated=without if evaluated else None)
    column = "solution" if evaluated else "answer"
    with pytest.raises(InputError) as caught:
        FormatRecorder(tmp_path / "run", gold=column).attach(trainer)
    dataset, columns = (
        ("eval_dataset", "level, prompt") if evaluated else ("train_dataset", "prompt, solution")
    )
    assert f"gold='{column}' names no column of the {dataset}" in str(caught.value)
    assert columns in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_right_answer_that_cannot_be_read_is_named_before_training(tmp_path: Path):
    lists = problems(2).remove_columns("solution").add_column("solution", [["5"], ["5", "6"]])
    trainer = make_trainer(tmp_path, witness=Witness(), evaluated=lists)
    with pytest.raises(InputError) as caught:
        FormatRecorder(tmp_path / "run", gold="solution").attach(trainer)
    said = "column 'solution' of the eval_dataset, row 2: a list of 2 different answers"
    assert said in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_streamed_dataset_is_recorded_too(tmp_path: Path):
    witness = Witness()
    trainer = make_trainer(tmp_path, witness=witness, streamed=True)
    FormatRecorder(tmp_path / "run", gold="solution").attach(trainer)
    trainer.train()
    assert seen(rows(tmp_path / "run")) == witness.train
    again = make_trainer(tmp_path, witness=Witness(), streamed=True)
    again.train_dataset.info.features = None  # as of a stream that was not looked into
    FormatRecorder(tmp_path / "other", gold="answer").attach(again)
    with pytest.raises(InputError, match=r"'answer' names no column of the dataset.*solution"):
        again.train()


def test_a_column_that_trl_would_drop_is_refused(tmp_path: Path):
    trainer = make_trainer(tmp_path, witness=Witness(), remove_unused_columns=True)
    with pytest.raises(InputError, match="remove_unused_columns=False"):
        FormatRecorder(tmp_path / "run", gold="solution").attach(trainer)


def test_other_trainers_and_places_are_refused(tmp_path: Path):
    trainer = make_trainer(tmp_path, witness=Witness())
    with pytest.raises(InputError, match="of type Witness"):
        FormatRecorder(tmp_path / "run").attach(Witness())  # pyright: ignore[reportArgumentType] - the point
    with pytest.raises(InputError, match=r"\.attach\(trainer\)"):
        make_trainer(tmp_path, witness=Witness(), callbacks=[FormatRecorder(tmp_path / "run")])
    recorder = FormatRecorder(tmp_path / "run").attach(trainer)
    with pytest.raises(InputError, match="attached already"):
        recorder.attach(trainer)
    with pytest.raises(InputError, match="has a FormatRecorder already"):
        FormatRecorder(tmp_path / "other").attach(trainer)
    loose = make_trainer(tmp_path, witness=Witness())
    loose.add_callback(FormatRecorder(tmp_path / "loose"))
    with pytest.raises(InputError, match=r"\.attach\(trainer\)"):
        loose.train()


def test_a_release_of_trl_that_lacks_a_part_is_refused(tmp_path: Path):
    trainer = make_trainer(tmp_path, witness=Witness())
    del trainer.eos_token_ids
    with pytest.raises(
        InputError, match=r"TRL 1\.16; TRL .* has no GRPOTrainer\.eos_token_ids: pip"
    ):
        FormatRecorder(tmp_path / "run").attach(trainer)
    assert not (tmp_path / "run").exists()


def test_a_place_that_cannot_be_written_is_told_at_once(tmp_path: Path):
    (tmp_path / "file").touch()
    trainer = make_trainer(tmp_path, witness=Witness())
    with pytest.raises(InputError, match="is a file"):
        FormatRecorder(tmp_path / "file" / "run").attach(trainer)
    FormatRecorder(tmp_path / "run").attach(trainer)


def test_a_detached_trainer_is_as_before(tmp_path: Path):
    witness = Witness()
    trainer = make_trainer(tmp_path, witness=witness)
    recorder = FormatRecorder(tmp_path / "run").attach(trainer)
    recorder.detach()
    trainer.train()
    assert len(witness.train) == 16
    assert rows(tmp_path / "run") == []
    assert not any("format/none" in log for log in trainer.state.log_history)


@pytest.mark.parametrize("name", ["tag", "grade"])
def test_plain_functions_come_without_torch(name: str):
    program = f"import sys, formatlab; formatlab.{name}; print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.stdout == "False\n", told.stderr
    with pytest.raises(AttributeError, match="no attribute 'tagg'"):
        formatlab.tagg  # noqa: B018 # pyright: ignore[reportAttributeAccessIssue] - the point


@pytest.mark.parametrize("gold", [None, "solution"])
def test_a_report_is_made_of_recorded_runs(tmp_path: Path, gold: str | None):
    trainer = make_trainer(
        tmp_path,
        witness=Witness(),
        evaluated=problems(8, first=20),
        eval_strategy="steps",
        eval_steps=2,
        eval_on_start=True,
    )
    FormatRecorder(tmp_path / "study" / "run", gold=gold).attach(trainer)
    trainer.train()
    assert report.main([str(tmp_path / "study")]) == 0
    page = (tmp_path / "study" / "report.html").read_text(encoding="utf-8")
    assert "prose" in page
    assert ("not graded" in page) == (gold is None)


def test_the_documented_script_runs_as_it_stands(tmp_path: Path):
    (script,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "train.py").write_text(script, encoding="utf-8")
    tiny_model().save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    program = [sys.executable, "train.py", "model"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    run = tmp_path / "runs" / "sums" / "first"
    found = rows(run)
    assert len(found) == 8 * 8
    assert {row["gold"] for row in found} <= {str(n + 7) for n in range(64)}
    assert "format_accuracy/all" in done.stdout
