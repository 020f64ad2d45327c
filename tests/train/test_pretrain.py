import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from formatlab.errors import InputError, RunError
from formatlab.models.scale import find_scale
from formatlab.store.run_folder import RunFolder
from formatlab.store.weights import weights_digest
from formatlab.train.pretraining.base import Base, Pretraining
from formatlab.train.pretraining.make_base import finished_base, make_base
from formatlab.train.probe import Probe
from formatlab.world.world import World


class Interruption(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture(scope="module")
def small(world: World) -> Base:
    return Base(
        world=world,
        scale="0.04M",
        pretraining=Pretraining(tokens=40_000, vocabulary=300, checkpoint_every=10),
        probe=Probe(prompts=4, samples=1),
    )


@pytest.fixture(scope="module")
def made(small: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the base, made without interruption."""
    torch.set_num_threads(1)
    return make_base(small, tmp_path_factory.mktemp("runs"), lambda *_: None).path.parent


def test_a_base_is_rebuilt_bit_for_bit_after_a_run_of_another_precision(
    small: Base, made: Path, tmp_path: Path
):
    AcceleratorState._reset_state()
    Accelerator(mixed_precision="bf16", cpu=not torch.cuda.is_available())
    again = make_base(small, tmp_path, lambda *_: None)
    assert again.path.parent.name == made.name
    assert weights_digest(again.path) == weights_digest(made / "model") == again.summary["sha256"]


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    """A runs folder that has the documents already."""
    shutil.copytree(made.parent.parent / "corpora", tmp_path / "runs" / "corpora")
    return tmp_path / "runs"


def interrupted_at(steps: int) -> Callable[[int, int, str], None]:
    def interrupt(step: int, total: int, note: str) -> None:
        if step >= steps:
            raise Interruption

    return interrupt


def test_a_base_interrupted_again_and_again_comes_out_the_same(small: Base, made: Path, runs: Path):
    for steps in (1, 21, 22):
        with pytest.raises(Interruption):
            make_base(small, runs, interrupted_at(steps))
        with pytest.raises(RunError, match="not finished"):
            finished_base(small, runs)
    resumed = make_base(small, runs, lambda *_: None)
    assert weights_digest(resumed.path) == weights_digest(made / "model")
    assert log(resumed.path.parent) == log(made)
    noted = RunFolder.open(resumed.path.parent).resumes()
    assert [resume["step"] for resume in noted] == [0, 20, 20]


def log(base: Path) -> list[dict]:
    return [
        {k: v for k, v in line.items() if k != "seconds"} for line in RunFolder.open(base).metrics()
    ]


def test_a_base_whose_log_was_cut_short_is_begun_anew(small: Base, made: Path, runs: Path):
    with pytest.raises(Interruption):
        make_base(small, runs, interrupted_at(21))
    (path,) = runs.glob("bases/*/metrics.jsonl")
    path.write_bytes(path.read_bytes()[:200])
    assert log(make_base(small, runs, lambda *_: None).path.parent) == log(made)


def test_every_token_of_the_budget_is_seen_once(small: Base, made: Path):
    folder = RunFolder.open(made)
    assert folder.metrics()[-1]["tokens"] == small.pretraining.tokens
    assert folder.summary is not None
    assert folder.summary["tokens"] == small.pretraining.tokens


def test_the_model_opens_as_any_model_of_transformers_and_counts_what_is_said(made: Path):
    model = AutoModelForCausalLM.from_pretrained(made / "model")
    tokenizer = AutoTokenizer.from_pretrained(made / "model")
    summary = RunFolder.open(made).summary
    assert summary is not None
    assert sum(p.numel() for p in model.parameters()) == summary["parameters"]
    assert model.config.vocab_size == len(tokenizer)
    assert model.config.eos_token_id == tokenizer.eos_token_id


def test_the_summary_measures_every_format(small: Base, made: Path):
    summary = RunFolder.open(made).summary
    assert summary is not None
    formats = set(small.world.mixture.shares)
    assert set(summary["held_out_loss"]) == formats
    assert all(loss > 0 for loss in summary["held_out_loss"].values())
    assert set(summary["document_shares"]) == set(summary["token_shares"]) == formats
    assert summary["undertrained"] is True  # 40,000 tokens teach nobody to calculate


def test_a_finished_base_is_found_again_and_one_of_other_settings_is_not(small: Base, made: Path):
    runs = made.parent.parent
    found = finished_base(small, runs)
    assert found.path == made / "model"
    with pytest.raises(InputError):
        finished_base(replace(small, seed=1), runs)


def test_learning_lowers_the_loss(made: Path):
    losses = [line["loss"] for line in RunFolder.open(made).metrics()]
    assert losses[-1] < 0.7 * losses[0]


def test_seeds_give_different_weights(small: Base, made: Path, runs: Path):
    other = make_base(replace(small, seed=1), runs, lambda *_: None)
    weights = [load_file(path / "model.safetensors") for path in (other.path, made / "model")]
    assert not any(
        weights[0][name].equal(weights[1][name]) for name in weights[0] if "norm" not in name
    )


@pytest.mark.parametrize("changes", [{"tokens": 0}, {"tokens": 10, "checkpoint_every": 0}])
def test_settings_without_sense_are_refused(changes: dict):
    with pytest.raises(InputError, match="pretraining"):
        Pretraining(**changes)


def test_an_unknown_scale_is_named_with_those_that_exist():
    with pytest.raises(InputError, match=r"unknown scale '5M'.*0\.04M"):
        find_scale("5M")
