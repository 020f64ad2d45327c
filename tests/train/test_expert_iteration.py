"""Expert iteration: settings, what is recorded and kept, and that a kill changes nothing."""

import shutil
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stage_process
from forked_program import exit_status
from on_policy_process import SETTINGS
from on_policy_process import train as train_on_policy
from safetensors.torch import load_file
from stage_process import STAGES, interrupt, metrics, rows, same, train, weights

from formatlab.errors import InputError, RunError
from formatlab.models.lora import LoraSettings
from formatlab.store.alarm import COLLAPSE_AHEAD
from formatlab.store.run_folder import RunFolder
from formatlab.train.expert_iteration.settings import ExpertIteration, echo_chamber_expert_iteration
from formatlab.train.reward import Reward

SMALL: Any = STAGES["expert_iteration"]


@pytest.fixture(scope="module")
def whole_run(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that was not interrupted."""
    return train(tiny_base, tmp_path_factory.mktemp("whole") / "run", SMALL)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"rounds": 0}, "rounds is 0"),
        ({"prompts": 100}, "not a multiple of prompts_per_step"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"adam_beta2": 1.0}, "adam_beta2 is 1.0"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_refused_by_name(changes: Any, named: str):
    with pytest.raises(InputError, match=f"expert_iteration: .*{named}"):
        ExpertIteration(**changes)


def test_the_originals_preset():
    paper = echo_chamber_expert_iteration()
    assert (paper.group_size, paper.temperature, paper.rounds, paper.start) == (64, 1, 3, "base")
    assert (paper.sft_epochs, paper.sft_batch, paper.learning_rate) == (2, 256, 1e-4)
    assert paper.steps_per_epoch == 116
    assert paper.fine_tuning(10_000).steps == 80


def test_steps_are_counted_as_those_of_other_algorithms():
    settings = ExpertIteration(prompts=1024, prompts_per_step=64, group_size=8, rounds=3)
    assert (settings.rollouts_per_step, settings.steps_per_epoch) == (512, 16)
    assert (settings.steps, settings.epochs) == (48, 3)
    assert "checkpoint_every" not in settings.config


def test_every_rollout_is_kept_with_its_step_and_round(whole_run: RunFolder):
    found = rows(whole_run, "train")
    counts = Counter((row["step"], row["epoch"]) for row in found)
    assert counts == {(step, step // 2): 32 for step in range(4)}
    assert len({(r["epoch"], r["prompt_id"], r["sample"]) for r in found}) == len(found)
    assert all(row["reward"] == float(row["correct"]) for row in found)


def test_the_first_round_samples_what_other_algorithms_sample(
    tiny_base: Path, tmp_path: Path, whole_run: RunFolder
):
    settings = replace(SETTINGS, prompts=8, prompts_per_step=4, group_size=8, epochs=1)
    other = train_on_policy(tiny_base, tmp_path / "run", settings=settings)
    keys = ("prompt_id", "sample", "completion")
    ours, theirs = (
        [tuple(row[key] for key in keys) for row in rows(run, "train") if row["step"] == 0]
        for run in (whole_run, other)
    )
    assert ours == theirs


def test_a_line_a_step_and_a_rounds_last_line_tells_of_its_fine_tuning(whole_run: RunFolder):
    lines = whole_run.metrics()
    assert [line["step"] for line in lines] == [0, 1, 2, 3]
    assert [line["epoch"] for line in lines] == [0.0, 0.5, 1.0, 1.5]
    for number, line in enumerate(lines):
        batch = [row for row in rows(whole_run, "train") if row["step"] == line["step"]]
        assert line["reward"] == sum(row["reward"] for row in batch) / len(batch)
        assert sum(line["share"].values()) == pytest.approx(1)
        assert ("kept" in line) == ("loss" in line) == bool(number % 2)
    for line, epoch in ((lines[1], 0), (lines[3], 1)):
        paid = {
            (row["prompt_id"], row["completion"])
            for row in rows(whole_run, "train")
            if row["epoch"] == epoch and row["reward"] > 0
        }
        assert line["kept"] == len(paid) > 0
        assert line["sft_steps"] == SMALL.fine_tuning(len(paid)).updates_per_pass(len(paid)) * 2


def test_kl_to_the_base_is_none_in_the_first_round_and_some_in_the_next(whole_run: RunFolder):
    kl = [line["kl"] for line in whole_run.metrics()]
    assert kl[:2] == [0, 0]
    assert min(kl[2:]) > 1e-4


def test_the_policy_is_observed_at_the_base_and_after_each_round(whole_run: RunFolder):
    assert {(row["step"], row["epoch"]) for row in rows(whole_run, "probe")} == {
        (0, 0.0),
        (2, 1.0),
        (4, 2.0),
    }


def test_it_gets_better_at_what_is_paid(tiny_base: Path, tmp_path: Path):
    settings = replace(SMALL, prompts=12, group_size=16, rounds=3, start="last", sft_epochs=4)
    lines = train(tiny_base, tmp_path / "run", settings).metrics()
    first, last = lines[:3], lines[-3:]
    assert sum(line["reward"] for line in last) > 1.5 * sum(line["reward"] for line in first)


def test_each_round_starts_from_the_base_unless_told_otherwise(
    tiny_base: Path, tmp_path: Path, whole_run: RunFolder
):
    last = train(tiny_base, tmp_path / "run", replace(SMALL, start="last"))
    assert rows(last, "train") == rows(whole_run, "train")  # the same until the second fine-tuning
    assert metrics(last)[-1]["loss"] < metrics(whole_run)[-1]["loss"]


@pytest.mark.parametrize("start", ["base", "last"])
@pytest.mark.parametrize("lora", [None, LoraSettings(rank=4)], ids=["full", "lora"])
def test_a_round_without_paid_rollouts_leaves_the_policy_and_says_so(
    tiny_base: Path, tmp_path: Path, start: Any, lora: LoraSettings | None
):
    run = train(
        tiny_base,
        tmp_path / "run",
        replace(SMALL, start=start),
        reward=Reward(kind="none"),
        lora=lora,
    )
    lines = run.metrics()
    assert [line.get("kept") for line in lines] == [None, 0, None, 0]
    for line, number in ((lines[1], 1), (lines[3], 2)):
        # Of so few rollouts a share may rise by chance, of which an alarm tells.
        (event,) = [of for of in line["events"] if of["kind"] != COLLAPSE_AHEAD]
        assert event["kind"] == "nothing_kept"
        assert event["message"].startswith(f"round {number}: none of 64 rollouts was paid")
    assert lines[3]["kl"] == pytest.approx(0, abs=1e-9)
    probes = [
        [row["completion"] for row in rows(run, "probe") if row["epoch"] == epoch]
        for epoch in (0.0, 1.0, 2.0)
    ]
    assert probes[0] == probes[1] == probes[2]
    if lora is None:
        base = load_file(tiny_base / "model" / "model.safetensors")
        assert all(base[name].equal(tensor) for name, tensor in weights(run).items())


def test_what_another_reward_pays_is_kept(tiny_base: Path, tmp_path: Path):
    run = train(tiny_base, tmp_path / "run", SMALL, reward=Reward(kind="inverted"))
    found = [row for row in rows(run, "train") if row["epoch"] == 0]
    wrong = {(row["prompt_id"], row["completion"]) for row in found if not row["correct"]}
    assert run.metrics()[1]["kept"] == len(wrong)


def test_a_loss_that_is_no_number_ends_the_run_with_the_reason(tiny_base: Path, tmp_path: Path):
    settings = replace(SMALL, learning_rate=1e20, warmup=0.0, sft_epochs=4)
    for _ in range(2):  # the same command fails in the same way, not in a worse one
        with pytest.raises(RunError, match="not finite at step 1"):
            train(tiny_base, tmp_path / "run", settings)
    run = RunFolder.open(tmp_path / "run")
    assert [line["step"] for line in run.metrics()] == [0, 1]
    assert run.metrics()[-1]["events"][0]["kind"] == "not_finite"
    assert run.epochs("probe") == [0.0]


def test_another_seed_gives_another_run(tiny_base: Path, tmp_path: Path, whole_run: RunFolder):
    other = train(tiny_base, tmp_path / "other", SMALL, seed=6)
    assert rows(other, "train") != rows(whole_run, "train")


CHAINS = {
    "base": [
        # nothing was done yet; in the first fine-tuning; between rounds; the second is tuned
        [("probe:1", 0), ("checkpoint:1", 1), ("report:1", 2), ("round:1", 3)],
        # the first is tuned and not yet kept; within the second round; at the last probe
        [("sampled:1", 0), ("round:1", 1), ("report:2", 3), ("probe:1", 3)],
        # between the steps of a round; kept, and not yet observed; in the second fine-tuning; done
        [("report:1", 1), ("probe:1", 1), ("checkpoint:1", 3), ("policy:1", 4)],
    ],
    "last": [[("round:1", 1), ("report:1", 2), ("checkpoint:1", 3), ("probe:1", 3)]],
}
"""By what a round starts from: moments, counted from the kill before, and the steps logged then."""


@pytest.mark.parametrize(
    ("start", "chain"),
    [(start, number) for start, chains in CHAINS.items() for number in range(len(chains))],
)
def test_a_run_interrupted_again_and_again_equals_one_that_ran_through(
    tiny_base: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    start: Any,
    chain: int,
):
    settings = replace(SMALL, start=start, checkpoint_every=1)
    whole = request.getfixturevalue(f"whole_from_{start}")
    for moment, lines in CHAINS[start][chain]:
        interrupt(tiny_base, tmp_path / "run", settings, moment, monkeypatch)
        assert (moment, len(RunFolder.open(tmp_path / "run").metrics())) == (moment, lines)
    assert same(train(tiny_base, tmp_path / "run", settings), whole)


@pytest.fixture(scope="module")
def whole_from_base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return train(
        tiny_base, tmp_path_factory.mktemp("base") / "run", replace(SMALL, checkpoint_every=1)
    )


@pytest.fixture(scope="module")
def whole_from_last(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    settings = replace(SMALL, start="last", checkpoint_every=1)
    return train(tiny_base, tmp_path_factory.mktemp("last") / "run", settings)


def test_checkpoints_do_not_change_the_result(whole_run: RunFolder, whole_from_base: RunFolder):
    assert same(whole_from_base, whole_run)


def test_a_killed_process_is_gone_on_from(tiny_base: Path, tmp_path: Path, whole_run: RunFolder):
    for moment in ("report:3", "checkpoint:1"):
        words = ("expert_iteration", tiny_base, tmp_path / "run", moment)
        assert exit_status(stage_process.main, *words) == -signal.SIGKILL
    assert same(train(tiny_base, tmp_path / "run", SMALL), whole_run)


@pytest.mark.parametrize(
    "lost", ["rollouts/split=train/epoch=000.parquet", "rollouts/split=probe/epoch=001.parquet"]
)
def test_a_run_that_lost_a_file_is_made_anew(
    tiny_base: Path, tmp_path: Path, whole_run: RunFolder, lost: str
):
    shutil.copytree(whole_run.path, tmp_path / "run")
    (tmp_path / "run" / lost).unlink()
    assert same(train(tiny_base, tmp_path / "run", SMALL), whole_run)


@pytest.fixture(scope="module")
def stopped_run(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was interrupted when its second round was tuned."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        interrupt(tiny_base, folder, SMALL, "round:2", monkeypatch)
    return folder


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_run_whose_log_was_cut_short_is_made_whole(
    tiny_base: Path, tmp_path: Path, whole_run: RunFolder, stopped_run: Path, kept: int
):
    shutil.copytree(stopped_run, tmp_path / "run")
    log = tmp_path / "run" / "metrics.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    assert len(lines) == 3
    log.write_bytes(b"".join(lines[:kept]) + lines[kept][:20])
    assert same(train(tiny_base, tmp_path / "run", SMALL), whole_run)


@pytest.mark.parametrize("start", ["base", "last"])
def test_an_adapter_is_saved_alone_and_equals_one_that_was_interrupted(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Any
):
    settings = replace(SMALL, learning_rate=1e-2, start=start, checkpoint_every=1)
    options: dict[str, Any] = {"lora": LoraSettings(rank=4)}
    whole = train(tiny_base, tmp_path / "whole", settings, **options)
    moment = f"checkpoint:{whole.metrics()[1]['sft_steps'] + 2}"  # in the second round
    interrupt(tiny_base, tmp_path / "run", settings, moment, monkeypatch, **options)
    run = train(tiny_base, tmp_path / "run", settings, **options)
    policy = run.path / "policy"
    assert (policy / "adapter_model.safetensors").exists()
    assert not list(policy.glob("model*.safetensors"))
    assert not (policy / "round.json").exists()
    assert metrics(run) == metrics(whole)
    assert metrics(run)[2]["kl"] > 1e-4
    ours, theirs = (
        load_file(r.path / "policy" / "adapter_model.safetensors") for r in (run, whole)
    )
    assert all(ours[name].equal(theirs[name]) for name in theirs)


def test_options_run_and_record_the_same_number_of_rollouts(tiny_base: Path, tmp_path: Path):
    settings = replace(SMALL, precision="bfloat16", micro_batch=8, temperature=0.7)
    run = train(tiny_base, tmp_path / "run", settings)
    assert len(rows(run, "train")) == SMALL.steps * SMALL.rollouts_per_step
