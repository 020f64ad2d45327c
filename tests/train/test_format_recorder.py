"""The format recorder on stock TRL trainers: every rollout once, as TRL saw and used it."""

import json
import os
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recorder_process import Witness, make_trainer, problems, rows, seen, tokenizer
from transformers import LlamaConfig, LlamaForSequenceClassification, TrainerCallback

import formatlab
from formatlab import Alarm, FormatRecorder
from formatlab.store import RunFolder
from formatlab.store.alarm import SHARE_SIGNALS


def shares(found: list[dict[str, Any]]) -> dict[str, float]:
    return {tag: n / len(found) for tag, n in Counter(row["tag"] for row in found).items()}


@pytest.mark.parametrize(
    ("options", "batches"),
    [
        ({}, 4),
        ({"script": False}, 4),
        ({"rloo": True}, 4),
        ({"rloo": True, "beta": 0.0, "num_iterations": 2}, 2),
        ({"gradient_accumulation_steps": 2}, 4),
        ({"steps_per_generation": 2}, 2),
        ({"num_iterations": 2}, 2),
        ({"num_iterations": 2, "steps_per_generation": 2, "gradient_accumulation_steps": 2}, 2),
        ({"steps_per_generation": 1, "gradient_accumulation_steps": 2}, 8),
        ({"max_steps": -1, "num_train_epochs": 3}, 12),
        ({"mask_truncated_completions": True, "scale_rewards": "none"}, 4),
    ],
    ids=str,
)
def test_every_rollout_is_recorded_once(tmp_path: Path, options: dict[str, Any], batches: int):
    witness = Witness()
    trainer = make_trainer(tmp_path, witness=witness, **options)
    FormatRecorder(tmp_path / "study" / "run").attach(trainer)
    trainer.train()
    found = rows(tmp_path / "study" / "run")
    assert seen(found) == witness.train
    assert len(found) == batches * trainer.args.generation_batch_size
    for row in found:
        assert (row["split"], row["run_id"], row["correct"], row["gold"]) == (
            "train",
            "run",
            None,
            None,
        )
        assert row["epoch"] == int(row["epoch"])


def test_the_table_says_what_the_tagger_and_the_grader_say(tmp_path: Path):
    witness = Witness()
    trainer = make_trainer(tmp_path, witness=witness, max_steps=8)
    FormatRecorder(tmp_path / "run", gold="solution").attach(trainer)
    trainer.train()
    found = rows(tmp_path / "run")
    assert len({row["tag"] for row in found}) > 3
    assert {row["correct"] for row in found} == {True, False}
    for row in found:
        graded = formatlab.grade(row["completion"], "5")
        assert row["gold"] == "5"
        assert (row["tag"], row["well_formed"], row["mixed"]) == (
            graded.tag.format,
            graded.tag.well_formed,
            graded.tag.mixed,
        )
        assert tuple(row["mixed_formats"]) == graded.tag.mixed_formats
        assert (row["answer"], row["correct"], row["reason"]) == (
            graded.answer,
            graded.correct,
            graded.reason,
        )
    assert [row["sample"] for row in found] == [0, 1] * (len(found) // 2)
    assert len({row["prompt_id"] for row in found}) == 8


def test_epochs_are_passes_over_the_prompts(tmp_path: Path):
    trainer = make_trainer(tmp_path, witness=Witness(), max_steps=-1, num_train_epochs=3)
    FormatRecorder(tmp_path / "run").attach(trainer)
    trainer.train()
    folder = RunFolder.open(tmp_path / "run")
    assert folder.epochs("train") == [0.0, 1.0, 2.0]
    for epoch in range(3):
        of_epoch = folder.rollouts("train", epoch=epoch).to_pylist()
        assert Counter(row["prompt"] for row in of_epoch) == {f"{n} + 1?": 2 for n in range(8)}


@pytest.mark.parametrize("script", [True, False])
def test_chats_are_recorded_as_texts(tmp_path: Path, script: bool):
    witness = Witness()
    trainer = make_trainer(tmp_path, witness=witness, chat=True, script=script)
    FormatRecorder(tmp_path / "run").attach(trainer)
    trainer.train()
    found = rows(tmp_path / "run")
    assert [row["completion"] for row in found] == [row["completion"] for row in witness.train]
    for row, asked in zip(found, witness.train, strict=True):
        question = asked["prompt"]
        chat = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        assert row["prompt"] == (question if script else chat)  # the script makes no use of chats


def test_reward_and_advantage_are_those_that_trl_used(tmp_path: Path):
    async def waited_for(completions: list[str], **_: Any) -> list[float | None]:
        return [None if number % 3 else 4.0 for number, _ in enumerate(completions)]

    class Picky(Witness):
        __name__ = "picky"

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            given = super().__call__(*args, **kwargs)
            return [None if number == 1 else value for number, value in enumerate(given)]

    config = LlamaConfig(
        vocab_size=99,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        pad_token_id=0,
    )
    config.num_labels = 1
    judge = LlamaForSequenceClassification(config)
    picky = Picky()
    trainer = make_trainer(
        tmp_path,
        witness=picky,
        rewards=[waited_for, judge],
        reward_processing_classes=[None, None, tokenizer()],
        reward_weights=[1.0, 0.5, 10.0],
        log_completions=True,
    )
    logged: dict[str, list[float]] = {}
    FormatRecorder(tmp_path / "run").attach(trainer)

    class Keep(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            for name, values in trainer._logs["rewards"].items():
                logged.setdefault(name, []).extend(values)
            logged.setdefault("advantage", []).extend(trainer._logs["advantages"])

    trainer.add_callback(Keep)
    trainer.train()
    found = rows(tmp_path / "run")
    each = [logged[name] for name in trainer.reward_func_names]
    for row, values, advantage in zip(
        found, zip(*each, strict=True), logged["advantage"], strict=True
    ):
        weighted = torch.tensor(values) * torch.tensor([1.0, 0.5, 10.0])
        assert row["reward"] == pytest.approx(weighted.nansum().item())
        assert row["advantage"] == pytest.approx(advantage)
    means = [log["reward"] for log in trainer.state.log_history if "reward" in log]
    by_step = [[r["reward"] for r in found if r["step"] == step] for step in range(4)]
    assert means == pytest.approx([sum(of) / len(of) for of in by_step])


def test_a_rollout_that_no_reward_function_applied_to_has_none(tmp_path: Path):
    class Never(Witness):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            given = super().__call__(*args, **kwargs)
            return [None if number == 1 else value for number, value in enumerate(given)]

    trainer = make_trainer(tmp_path, witness=Never())
    FormatRecorder(tmp_path / "run").attach(trainer)
    trainer.train()
    for number, row in enumerate(rows(tmp_path / "run")):
        assert (row["reward"] is None) == (number % 4 == 1)
        assert number % 4 != 1 or row["advantage"] == 0.0


def test_shares_arrive_in_the_logs_pooled_over_what_is_logged(tmp_path: Path):
    told: list[dict[str, Any]] = []

    class Reporter(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            told.append(dict(logs))

    witness = Witness()
    trainer = make_trainer(
        tmp_path, witness=witness, max_steps=9, logging_steps=3, callbacks=[Reporter()]
    )
    FormatRecorder(tmp_path / "run", gold="solution").attach(trainer)
    trainer.train()
    found = rows(tmp_path / "run")
    logs = [log for log in trainer.state.log_history if "format/well_formed" in log]
    assert [log["step"] for log in logs] == [3, 6, 9]
    earlier: set[str] = set()
    for log in logs:
        window = [row for row in found if log["step"] - 3 <= row["step"] < log["step"]]
        expected = shares(window)
        earlier |= set(expected)
        for tag in earlier:
            assert log[f"format/{tag}"] == pytest.approx(expected.get(tag, 0.0))
        for tag in expected:
            of_tag = [row["correct"] for row in window if row["tag"] == tag]
            assert log[f"format_accuracy/{tag}"] == pytest.approx(sum(of_tag) / len(of_tag))
        assert log["format/truncated"] == pytest.approx(log["completions/clipped_ratio"])
        count = len(window)
        assert log["format/well_formed"] == sum(row["well_formed"] for row in window) / count
        assert log["format_accuracy/all"] == sum(row["correct"] for row in window) / count
        assert any(log["format/well_formed"] == of.get("format/well_formed") for of in told)


def test_the_run_folder_reads_like_one_of_the_lab(tmp_path: Path):
    trainer = make_trainer(tmp_path, witness=Witness(), max_steps=8)
    FormatRecorder(tmp_path / "study" / "run", gold="solution").attach(trainer)
    trainer.train()
    folder = RunFolder.open(tmp_path / "study" / "run")
    found = rows(folder.path)
    lines = folder.metrics()
    assert [line["step"] for line in lines] == list(range(8))
    for line in lines:
        of_step = [row for row in found if row["step"] == line["step"]]
        assert line["share"] == pytest.approx(shares(of_step))
        assert line["reward"] == sum(row["reward"] for row in of_step) / len(of_step)
        assert line["tokens_max"] == max(row["tokens"] for row in of_step)
    assert folder.summary == {"steps": 8, "rollouts": 32}
    assert folder.config["reward"] == ["witness"]
    assert folder.env["packages"]["trl"]


def test_evaluations_are_probes_and_never_training(tmp_path: Path):
    witness = Witness()
    trainer = make_trainer(
        tmp_path,
        witness=witness,
        evaluated={"near": problems(4, first=20), "far": problems(2, first=40)},
        eval_strategy="steps",
        eval_steps=2,
        eval_on_start=True,
    )
    FormatRecorder(tmp_path / "run", gold="solution").attach(trainer)
    trainer.evaluate()
    trainer.train()
    trainer.evaluate()
    trainer.predict(problems(4, first=60))
    folder = RunFolder.open(tmp_path / "run")
    assert seen(rows(folder.path)) == witness.train
    probe = rows(folder.path, "probe")
    # The evaluations before training and at its start, and the last two, are of the same weights.
    assert folder.epochs("probe") == [0.0, 0.5, 1.0]
    assert {row["step"] for row in probe} == {0, 2, 4}
    for epoch in folder.epochs("probe"):
        of_epoch = [row for row in probe if row["epoch"] == epoch]
        assert Counter(row["prompt"] for row in of_epoch) == {
            f"{number} + 1?": 2 for number in (20, 21, 22, 23, 40, 41)
        }
        assert {row["sample"] for row in of_epoch} == {0, 1}
    assert all(row in witness.eval for row in seen(probe))
    assert {row["advantage"] for row in probe} == {None}
    logs = [log for log in trainer.state.log_history if "eval_near_loss" in log]
    assert all("eval_format/well_formed" in log for log in logs)
    assert not any("format/well_formed" in log for log in logs)


def test_right_answers_may_come_from_a_function(tmp_path: Path):
    def right(row: Any) -> int | None:
        return None if row["prompt"].startswith("0") else int(row["solution"])

    trainer = make_trainer(tmp_path, witness=Witness())
    FormatRecorder(tmp_path / "run", gold=right).attach(trainer)
    trainer.train()
    for row in rows(tmp_path / "run"):
        known = not row["prompt"].startswith("0")
        assert row["gold"] == ("5" if known else None)
        assert (row["correct"] is not None) == known


def test_right_answers_may_be_of_any_kind(tmp_path: Path):
    kinds = [5, np.int64(5), Decimal("5.0"), ["5"], {"ground_truth": "5"}, np.array(["5"]), "5"]

    def right(row: Any) -> Any:
        return [*kinds, float("nan")][int(row["prompt"][0])]

    trainer = make_trainer(tmp_path, witness=Witness())
    FormatRecorder(tmp_path / "run", gold=right).attach(trainer)
    trainer.train()
    golds = {row["prompt"][0]: row["gold"] for row in rows(tmp_path / "run")}
    assert golds == {str(number): "5" for number in range(7)} | {"7": None}


def test_recording_changes_nothing_of_the_training(tmp_path: Path):
    losses = []
    for name in ("with", "without"):
        trainer = make_trainer(tmp_path / name, witness=Witness(), script=False, max_steps=6)
        if name == "with":
            FormatRecorder(tmp_path / "run", gold="solution").attach(trainer)
        trainer.train()
        losses.append([(log.get("loss"), log.get("reward")) for log in trainer.state.log_history])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("signal", ["leader_share", "format_entropy"])
def test_an_alarm_goes_off_at_the_first_step_that_passes(tmp_path: Path, signal: str):
    """Of 12 steps the third most alarming one sets the threshold, so that it is not the first."""
    plain = make_trainer(tmp_path / "plain", witness=Witness(), max_steps=12, logging_steps=2)
    FormatRecorder(tmp_path / "plain" / "run").attach(plain)
    plain.train()
    lines = RunFolder.open(tmp_path / "plain" / "run").metrics()
    values = [SHARE_SIGNALS[signal]([line]) or 0.0 for line in lines]
    threshold = sorted(values, reverse=signal == "leader_share")[2]
    alarm = Alarm(signal=signal, threshold=threshold)

    trainer = make_trainer(tmp_path / "run", witness=Witness(), max_steps=12, logging_steps=2)
    recorder = FormatRecorder(tmp_path / "run" / "run", alarm=alarm).attach(trainer)
    with pytest.warns(UserWarning, match="One format may take over: at step") as told:
        trainer.train()
    assert len([of for of in told if "take over" in str(of.message)]) == 1
    found = RunFolder.open(tmp_path / "run" / "run").metrics()
    at = [line["step"] for line in found if "events" in line]
    passes = [of <= threshold if signal == "format_entropy" else of >= threshold for of in values]
    assert at == [passes.index(True)] == [recorder.alarmed_at]
    assert [{k: v for k, v in line.items() if k != "events"} for line in found] == lines
    logs = [log["format_alarm"] for log in trainer.state.log_history if "format_alarm" in log]
    assert logs == [float(last >= at[0]) for last in range(1, 12, 2)]
    assert not any("format_alarm" in log for log in plain.state.log_history)


def test_two_processes_record_every_rollout_of_both_once(tmp_path: Path):
    tests = Path(__file__).parents[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), *sys.path])}
    done = subprocess.run(
        [*command, str(tests / "recorder_process.py"), str(tmp_path)],
        env={**environment, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    witnesses = [json.loads((tmp_path / f"witness-{rank}.json").read_text()) for rank in (0, 1)]
    folder = RunFolder.open(tmp_path / "study" / "run")
    for split, name in (("train", "train"), ("probe", "eval")):
        found = rows(folder.path, split)
        asked = [row for witness in witnesses for row in witness[name]]
        assert len(witnesses[0][name]) == len(witnesses[1][name]) > 0

        def order(row: dict[str, Any]) -> str:
            return json.dumps(row, sort_keys=True)

        assert sorted(seen(found), key=order) == sorted(asked, key=order)
        places = [(row["step"], row["prompt_id"], row["sample"]) for row in found]
        assert len(set(places)) == len(places)
    found = rows(folder.path)
    assert len(found) == 4 * 16
    logs = [
        [{k: v for k, v in log.items() if k.startswith("format/")} for log in w["logs"]]
        for w in witnesses
    ]
    assert logs[0] == logs[1]
    for log in (log for log in witnesses[0]["logs"] if "format/well_formed" in log):
        window = [row for row in found if log["step"] - 2 <= row["step"] < log["step"]]
        for tag, share in shares(window).items():
            assert log[f"format/{tag}"] == pytest.approx(share)
    assert [line["rollouts"] for line in folder.metrics()] == [16] * 4
    assert folder.done and all(witness["finished"] for witness in witnesses)
