"""SFT: its settings, what a run learns and keeps, and that a kill changes nothing."""

import shutil
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stage_process
import torch
from forked_program import exit_status
from safetensors.torch import load_file
from stage_process import PROBE, SMALL, STAGES, interrupt, metrics, rows, same, train, weights

from formatlab.errors import InputError, RunError
from formatlab.models.lora import LoraSettings
from formatlab.models.model import load_saved, load_tokenizer
from formatlab.store.run_folder import RunFolder
from formatlab.train.fine_tuning.examples import render_documents, token_ids
from formatlab.train.fine_tuning.settings import Sft
from formatlab.train.probe import Probe
from formatlab.world.prompt import plain_prompt

DOCUMENTS: Any = STAGES["sft-documents"]
ROLLOUTS: Any = STAGES["sft"]


@pytest.fixture(scope="module")
def whole_run(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that was not interrupted."""
    return train(tiny_base, tmp_path_factory.mktemp("whole") / "run", ROLLOUTS)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"batch": 2_000}, "fewer than one update takes"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"warmup": 1.0}, "warmup is 1.0"),
        ({"formats": ("verse",)}, "unknown format 'verse'"),
        ({"source": "preferred"}, "set toward"),
        ({"source": "preferred", "toward": "verse"}, "unknown format 'verse'"),
        ({"source": "preferred", "toward": "prose", "formats": ("prose",)}, "leave formats out"),
        ({"toward": "prose"}, "only source 'preferred' reads"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_refused_by_name(changes: Any, named: str):
    with pytest.raises(InputError, match=named):
        Sft(**changes)


def test_steps_are_updates_and_the_last_of_a_pass_may_be_smaller():
    settings = Sft(examples=100, batch=32, epochs=3, micro_batch=20)
    assert (settings.steps_per_epoch, settings.steps) == (4, 12)
    assert settings.micro_batch_examples == 16
    assert Probe().steps(per_epoch=settings.updates_per_pass(100), epochs=settings.epochs) == {
        0: 0.0,
        1: 0.25,
        2: 0.5,
        4: 1.0,
        8: 2.0,
        12: 3.0,
    }


def test_checkpoints_do_not_decide_the_result():
    assert "checkpoint_every" not in Sft().config
    assert Sft(formats=["prose"]).config == Sft(formats=("prose",)).config  # pyright: ignore[reportArgumentType] - as JSON gives it


def test_rollouts_that_were_looked_through_are_recorded_once(whole_run: RunFolder):
    found = rows(whole_run, "train")
    assert len(found) == SMALL["prompts"] * SMALL["samples"]
    assert {(row["step"], row["epoch"]) for row in found} == {(0, 0.0)}
    assert len({(row["prompt_id"], row["sample"]) for row in found}) == len(found)
    assert all(row["reward"] == float(row["correct"]) for row in found)
    assert {row["advantage"] for row in found} == {None}


def test_metrics_have_a_line_an_update_without_what_was_not_sampled(whole_run: RunFolder):
    lines = whole_run.metrics()
    assert [line["step"] for line in lines] == [0, 1, 2, 3]
    assert [line["epoch"] for line in lines] == [0.0, 0.5, 1.0, 1.5]
    assert lines[0]["examples"] == 8
    for line in lines:
        assert line["loss"] > 0 and line["grad_norm"] > 0
        assert not {"reward", "share", "accuracy", "entropy"} & line.keys()


def test_probes_are_at_the_start_within_the_first_pass_and_after_each(whole_run: RunFolder):
    assert whole_run.epochs("probe") == [0.0, 0.5, 1.0, 2.0]
    steps = {row["epoch"]: row["step"] for row in rows(whole_run, "probe")}
    assert steps == {0.0: 0, 0.5: 1, 1.0: 2, 2.0: 4}


def test_the_loss_is_the_mean_over_completion_tokens_alone(tiny_base: Path, tmp_path: Path):
    settings = replace(DOCUMENTS, examples=4, epochs=1)
    run = train(tiny_base, tmp_path / "run", settings)
    model, tokenizer = load_saved(tiny_base / "model"), load_tokenizer(tiny_base / "model")
    prompts = [plain_prompt(p) for p in stage_process.WORLD.problems("rl", settings.prompts)]
    losses: list[float] = []
    for example in render_documents(stage_process.WORLD, prompts, settings, seed=5):
        prompt, completion = token_ids(example, tokenizer)
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([prompt + completion])).logits[0]  # (T, V)
        logp = logits.log_softmax(-1)
        places = range(len(prompt) - 1, len(prompt) + len(completion) - 1)
        losses += [-logp[at, token].item() for at, token in zip(places, completion, strict=True)]
    assert run.metrics()[0]["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-5)


@pytest.mark.parametrize("form", ["direct", "tool_tags"])
def test_sft_on_one_format_makes_it_the_models_own(tiny_base: Path, tmp_path: Path, form: str):
    settings = replace(
        DOCUMENTS, formats=(form,), examples=128, batch=16, epochs=3, learning_rate=3e-3
    )
    probe = replace(PROBE, samples=8)
    run = train(tiny_base, tmp_path / "run", settings, probe=probe)
    share = {
        epoch: Counter(r["tag"] for r in rows(run, "probe") if r["epoch"] == epoch)[form] / 48
        for epoch in (0.0, 3.0)
    }
    assert share[0.0] < 0.8 < 0.9 < share[3.0]


def test_own_rollouts_of_one_format_only(tiny_base: Path, tmp_path: Path):
    settings = replace(ROLLOUTS, formats=("tool_tags",), batch=2, epochs=1)
    run = train(tiny_base, tmp_path / "run", settings)
    fit = {
        (row["prompt_id"], row["completion"])
        for row in rows(run, "train")
        if row["correct"] and row["well_formed"] and row["tag"] == "tool_tags"
    }
    assert run.metrics()[0]["examples"] == min(len(fit), settings.examples)


def test_too_few_right_rollouts_are_a_sentence_with_the_counts(tiny_base: Path, tmp_path: Path):
    settings = replace(ROLLOUTS, formats=("latex",))
    with pytest.raises(RunError, match=r"0 of 192 rollouts .* tagged latex, right"):
        train(tiny_base, tmp_path / "run", settings)


def test_documents_need_a_world(tiny_base: Path, tmp_path: Path):
    with pytest.raises(InputError, match="choose 'rollouts'"):
        train(tiny_base, tmp_path / "run", DOCUMENTS, world=None)


def test_the_same_seed_gives_the_same_run_and_another_does_not(
    tiny_base: Path, tmp_path: Path, whole_run: RunFolder
):
    assert same(train(tiny_base, tmp_path / "run", ROLLOUTS), whole_run)
    other = train(tiny_base, tmp_path / "other", ROLLOUTS, seed=6)
    assert metrics(other) != metrics(whole_run)


def test_micro_batches_bound_memory_and_change_no_more_than_rounding(
    tiny_base: Path, tmp_path: Path
):
    one = train(tiny_base, tmp_path / "one", DOCUMENTS)
    two = train(tiny_base, tmp_path / "two", replace(DOCUMENTS, micro_batch=2))
    ours, theirs = weights(one), weights(two)
    assert all(ours[name].allclose(theirs[name], atol=1e-5) for name in theirs)


@pytest.mark.parametrize(
    "chain",
    [
        # Nothing was trained before the first.
        [("probe:1", None), ("report:1", 0), ("probe:2", 1)],
        [("checkpoint:2", 1), ("report:2", 2)],
    ],
    ids=["probes", "checkpoints"],
)
def test_a_run_interrupted_again_and_again_equals_one_that_ran_through(
    tiny_base: Path,
    tmp_path: Path,
    whole_run: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    chain: list[tuple[str, int | None]],
):
    """Moments are counted from the interruption before; beside each: where the run goes on."""
    for moment, _ in chain:
        interrupt(tiny_base, tmp_path / "run", ROLLOUTS, moment, monkeypatch)
    run = train(tiny_base, tmp_path / "run", ROLLOUTS)
    assert same(run, whole_run)
    steps = [step for _, step in chain if step is not None]
    assert [row["step"] for row in run.resumes()] == steps


def test_a_killed_process_is_gone_on_from(tiny_base: Path, tmp_path: Path, whole_run: RunFolder):
    for moment in ("sampled:1", "checkpoint:3", "policy:1"):
        words = ("sft", tiny_base, tmp_path / "run", moment)
        assert exit_status(stage_process.main, *words) == -signal.SIGKILL
    assert same(train(tiny_base, tmp_path / "run", ROLLOUTS), whole_run)


def test_a_run_that_lost_its_metrics_is_made_anew(
    tiny_base: Path, tmp_path: Path, whole_run: RunFolder
):
    shutil.copytree(whole_run.path, tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").unlink()
    assert same(train(tiny_base, tmp_path / "run", ROLLOUTS), whole_run)


def test_an_adapter_is_trained_and_saved_alone(tiny_base: Path, tmp_path: Path):
    settings = replace(DOCUMENTS, learning_rate=1e-2)
    runs = [train(tiny_base, tmp_path / name, settings, lora=LoraSettings(rank=4)) for name in "ab"]
    assert not (runs[0].path / "policy" / "model.safetensors").exists()
    ours, theirs = (load_file(r.path / "policy" / "adapter_model.safetensors") for r in runs)
    assert all(ours[name].equal(theirs[name]) for name in theirs)
    assert any(tensor.abs().max() > 0 for name, tensor in ours.items() if "lora_B" in name)


def test_a_loss_that_is_no_number_ends_the_run_with_the_reason(tiny_base: Path, tmp_path: Path):
    with pytest.raises(RunError, match="not finite at step"):
        settings = replace(DOCUMENTS, learning_rate=1e20, warmup=0.0)
        train(tiny_base, tmp_path / "run", settings)
    (event,) = RunFolder.open(tmp_path / "run").metrics()[-1]["events"]
    assert event["kind"] == "not_finite"


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bfloat16", "schedule": "cosine_with_min_lr"},
        {"schedule": "constant", "warmup": 0.0, "examples": 7},
    ],
    ids=str,
)
def test_options_run(tiny_base: Path, tmp_path: Path, changes: Any):
    run = train(tiny_base, tmp_path / "run", replace(DOCUMENTS, **changes))
    assert [line["step"] for line in run.metrics()] == [0, 1, 2, 3]
