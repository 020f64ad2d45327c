"""DPO: its settings and control, what a run learns and logs, and that a kill changes nothing."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stage_process
import torch
from forked_program import exit_status
from safetensors.torch import load_file
from stage_process import STAGES, WORLD, interrupt, metrics, rows, same, train, weights

from formatlab.errors import InputError, RunError
from formatlab.models.lora import LoraSettings
from formatlab.models.model import load_saved, load_tokenizer
from formatlab.store.rollout import rollouts_from_table
from formatlab.store.run_folder import RunFolder
from formatlab.train.fine_tuning.examples import chosen_documents, dpo_row, preference_pairs
from formatlab.train.fine_tuning.settings import Dpo
from formatlab.world.prompt import plain_prompt

DPO: Any = STAGES["dpo"]
LONGER: Any = replace(DPO, epochs=5, learning_rate=1e-3)


@pytest.fixture(scope="module")
def whole_run(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that was not interrupted."""
    return train(tiny_base, tmp_path_factory.mktemp("whole") / "run", DPO)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"toward": "verse"}, "unknown format 'verse'"),
        ({"beta": 0.0}, "beta is 0.0"),
        ({"samples": 0}, "samples is 0"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_refused_by_name(changes: Any, named: str):
    with pytest.raises(InputError, match=f"dpo: {named}"):
        Dpo(**changes)


def test_the_chosen_gain_on_the_rejected(tiny_base: Path, tmp_path: Path):
    lines = train(tiny_base, tmp_path / "run", LONGER).metrics()
    assert lines[0]["margin"] == pytest.approx(0, abs=1e-6)  # the policy is the reference
    assert lines[0]["loss"] == pytest.approx(0.6931, abs=1e-4)  # ln 2
    last = lines[-3:]  # one pass
    assert min(line["margin"] for line in last) > 0.1
    assert all(line["margin_accuracy"] == 1 for line in last)
    for line in lines:
        assert line["margin"] == pytest.approx(
            line["reward_chosen"] - line["reward_rejected"], abs=1e-5
        )
        assert not {"reward", "share", "accuracy"} & line.keys()


def test_logged_log_probabilities_are_sums_over_completions(tiny_base: Path, tmp_path: Path):
    run = train(tiny_base, tmp_path / "run", replace(DPO, batch=8, epochs=1))
    model, tokenizer = load_saved(tiny_base / "model"), load_tokenizer(tiny_base / "model")
    found = preference_pairs(rollouts_from_table(run.rollouts("train")), toward=DPO.toward)
    for side in ("chosen", "rejected"):
        sums = []
        for pair in found.pairs[:8]:
            row = dpo_row(pair, tokenizer)
            ids, start = row["prompt_ids"] + row[f"{side}_ids"], len(row["prompt_ids"])
            with torch.no_grad():
                logp = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)  # (T, V)
            sums.append(sum(logp[at - 1, ids[at]].item() for at in range(start, len(ids))))
        logged = run.metrics()[0][f"logprob_{side}"]
        assert logged == pytest.approx(sum(sums) / len(sums), rel=1e-4)


def test_pairs_and_skipped_prompts_are_counted(whole_run: RunFolder):
    found = preference_pairs(rollouts_from_table(whole_run.rollouts("train")), toward=DPO.toward)
    first = whole_run.metrics()[0]
    assert first["examples"] == min(len(found.pairs), DPO.examples)
    assert first["skipped"] == found.skipped > 0
    assert len(found.pairs) + found.skipped == DPO.prompts


def test_the_control_learns_the_chosen_halves_of_the_same_pairs_in_as_many_updates(
    tiny_base: Path, tmp_path: Path, whole_run: RunFolder
):
    control = train(tiny_base, tmp_path / "run", DPO.control)
    ours, theirs = (
        [{**row, "run_id": ""} for row in rows(run, "train")] for run in (control, whole_run)
    )
    assert ours == theirs
    assert len(control.metrics()) == len(whole_run.metrics())
    for key in ("examples", "skipped"):
        assert control.metrics()[0][key] == whole_run.metrics()[0][key]


def test_chosen_documents_are_learned_where_the_model_has_no_such_rollouts(
    tiny_base: Path, tmp_path: Path
):
    settings = replace(DPO, toward="latex")
    with pytest.raises(RunError, match="0 of 12 prompts gave a pair toward latex"):
        train(tiny_base, tmp_path / "own", settings)
    run = train(tiny_base, tmp_path / "run", replace(settings, chosen="documents", epochs=5))
    assert run.metrics()[0]["examples"] == 8
    assert run.metrics()[-1]["logprob_chosen"] > run.metrics()[0]["logprob_chosen"]


def test_chosen_documents_need_a_world(tiny_base: Path, tmp_path: Path):
    with pytest.raises(InputError, match="choose 'rollouts'"):
        train(tiny_base, tmp_path / "run", replace(DPO, chosen="documents"), world=None)


def test_chosen_documents_do_not_depend_on_which_prompts_stand_beside_them():
    prompts = [plain_prompt(p) for p in WORLD.problems("rl", 12)]
    alone = chosen_documents(WORLD, prompts[:5], "latex", seed=1)
    assert alone.items() <= chosen_documents(WORLD, prompts, "latex", seed=1).items()


def test_the_same_seed_gives_the_same_run(tiny_base: Path, tmp_path: Path, whole_run: RunFolder):
    assert same(train(tiny_base, tmp_path / "run", DPO), whole_run)


def test_micro_batches_bound_memory_and_change_no_more_than_rounding(
    tiny_base: Path, tmp_path: Path
):
    settings = replace(DPO, batch=4)
    one = weights(train(tiny_base, tmp_path / "one", settings))
    two = weights(train(tiny_base, tmp_path / "two", replace(settings, micro_batch=2)))
    assert all(one[name].allclose(two[name], atol=1e-5) for name in two)


def test_a_run_interrupted_again_and_again_equals_one_that_ran_through(
    tiny_base: Path, tmp_path: Path, whole_run: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    # Counted from the interruption before, with the step from which the run goes on.
    chain = {"probe:3": 2, "checkpoint:2": 3, "report:1": 3, "policy:1": 6}
    for moment in chain:
        interrupt(tiny_base, tmp_path / "run", DPO, moment, monkeypatch)
    run = train(tiny_base, tmp_path / "run", DPO)
    assert same(run, whole_run)
    assert [row["step"] for row in run.resumes()] == list(chain.values())


def test_a_killed_process_is_gone_on_from(tiny_base: Path, tmp_path: Path, whole_run: RunFolder):
    words = ("dpo", tiny_base, tmp_path / "run", "checkpoint:5")
    assert exit_status(stage_process.main, *words) == -signal.SIGKILL
    assert same(train(tiny_base, tmp_path / "run", DPO), whole_run)


def test_an_adapter_is_compared_with_the_model_without_it_and_saved_alone(
    tiny_base: Path, tmp_path: Path
):
    settings = replace(LONGER, learning_rate=1e-2)
    runs = [train(tiny_base, tmp_path / name, settings, lora=LoraSettings(rank=4)) for name in "ab"]
    assert metrics(runs[0]) == metrics(runs[1])
    assert metrics(runs[0])[0]["margin"] == pytest.approx(0, abs=1e-6)
    assert metrics(runs[0])[-1]["margin"] > 0.1
    assert not (runs[0].path / "policy" / "model.safetensors").exists()
    ours, theirs = (load_file(r.path / "policy" / "adapter_model.safetensors") for r in runs)
    assert all(ours[name].equal(theirs[name]) for name in theirs)


def test_half_precision_runs(tiny_base: Path, tmp_path: Path):
    run = train(tiny_base, tmp_path / "run", replace(DPO, precision="bfloat16", epochs=1))
    assert len(run.metrics()) == 3
