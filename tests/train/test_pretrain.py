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
from formatlab.train.pretraining.base import Base, Pretraining, corpus_name, kept_model
from formatlab.train.pretraining.batches import batch_order, steps_until
from formatlab.train.pretraining.make_base import finished_base, make_base
from formatlab.train.probe import Probe
from formatlab.world.corpus import Corpus
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


KEPT = (0.2, 0.55)


@pytest.fixture(scope="module")
def keeping(small: Base) -> Base:
    return replace(small, pretraining=replace(small.pretraining, kept=KEPT))


@pytest.fixture(scope="module")
def kept(keeping: Base, made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a base that keeps two models on the way."""
    runs = tmp_path_factory.mktemp("kept")
    shutil.copytree(made.parent.parent / "corpora", runs / "corpora")
    return make_base(keeping, runs, lambda *_: None).path.parent


def digests(folder: Path) -> dict[str, str]:
    return {path.name: weights_digest(path) for path in sorted(folder.glob("model*"))}


def steps_of(base: Base, runs: Path, fraction: float) -> int:
    (path,) = runs.glob("corpora/*/corpus.npz")
    corpus = Corpus.load(path)
    order = batch_order(corpus, batch=find_scale(base.scale).batch_documents, seed=base.seed)
    return steps_until(corpus, order, fraction)


def test_what_is_kept_on_the_way_changes_nothing_at_the_end(made: Path, kept: Path):
    assert digests(kept)["model"] == weights_digest(made / "model")
    assert log(kept) == log(made)
    assert len(set(digests(kept).values())) == 3


@pytest.mark.parametrize("fraction", KEPT)
def test_a_kept_model_is_the_model_as_it_was_at_that_step(
    small: Base, kept: Path, runs: Path, fraction: float
):
    steps = steps_of(small, runs, fraction)
    often = replace(small, pretraining=replace(small.pretraining, checkpoint_every=steps))
    with pytest.raises(Interruption):  # at the first report after the checkpoint
        make_base(often, runs, interrupted_at(steps + 1))
    (state,) = runs.glob(f"bases/*/checkpoints/checkpoint-{steps}/state.pt")
    there = torch.load(state, weights_only=True)["model"]
    weights = load_file(kept / kept_model(fraction) / "model.safetensors")
    assert all(tensor.equal(there[name]) for name, tensor in weights.items())
    tokens = {of["step"]: of["tokens"] for of in log(state.parents[2])}
    base = replace(small, pretraining=replace(small.pretraining, kept=KEPT), after=fraction)
    seen = make_base(base, kept.parent.parent, lambda *_: None).summary["tokens"]
    assert seen == tokens[steps - 1] >= fraction * small.pretraining.tokens


def test_kept_models_of_an_interrupted_base_come_out_the_same(
    keeping: Base, kept: Path, runs: Path
):
    after = steps_of(keeping, runs, KEPT[1])
    for steps in (1, 11, after + 1, after + 2):
        with pytest.raises(Interruption):
            make_base(keeping, runs, interrupted_at(steps))
    resumed = make_base(keeping, runs, lambda *_: None).path.parent
    assert digests(resumed) == digests(kept)
    assert RunFolder.open(resumed).summary == RunFolder.open(kept).summary


def test_a_base_that_lost_a_kept_model_is_begun_anew(keeping: Base, kept: Path, runs: Path):
    with pytest.raises(Interruption):
        make_base(keeping, runs, interrupted_at(21))
    (lost,) = runs.glob(f"bases/*/{kept_model(KEPT[0])}")
    shutil.rmtree(lost)
    resumed = make_base(keeping, runs, lambda *_: None).path.parent
    assert digests(resumed) == digests(kept)
    assert [of["step"] for of in RunFolder.open(resumed).resumes()] == [0]


@pytest.mark.parametrize("fraction", KEPT)
def test_an_intermediate_base_is_a_base_like_others(keeping: Base, kept: Path, fraction: float):
    runs, base = kept.parent.parent, replace(keeping, after=fraction)
    made = make_base(base, runs, lambda *_: None)
    whole = RunFolder.open(kept).summary
    assert whole is not None
    assert made.path == runs / "bases" / base.name / "model"
    assert f"-after{fraction}-" in base.name
    assert made.summary["sha256"] == digests(kept)[kept_model(fraction)]
    assert made.summary["sha256"] == weights_digest(made.path)
    assert made.summary.keys() == whole.keys()
    assert made.summary["held_out_loss"] != whole["held_out_loss"]
    assert RunFolder.open(made.path.parent).rollouts("probe", epoch=0.0).num_rows == 4
    assert AutoTokenizer.from_pretrained(made.path).eos_token
    assert finished_base(base, runs) == made


def test_an_intermediate_base_needs_the_whole_one(keeping: Base, runs: Path):
    with pytest.raises(InputError, match=keeping.name):
        make_base(replace(keeping, after=KEPT[0]), runs, lambda *_: None)


def test_what_keeps_nothing_is_called_as_before(small: Base, keeping: Base):
    assert "kept" not in small.config["pretraining"]
    assert "after" not in small.config
    names = {base.name for base in (small, keeping, *(replace(keeping, after=f) for f in KEPT))}
    assert len(names) == 4
    assert corpus_name(small.config) == corpus_name(keeping.config)


@pytest.mark.parametrize("kept", [(0.0,), (1.0,), (0.5, 0.2), (0.2, 0.2), (-0.1,), (1.5,)])
def test_fractions_without_sense_are_refused(kept: tuple[float, ...]):
    with pytest.raises(InputError, match="kept is"):
        Pretraining(tokens=10, kept=kept)


def test_a_base_that_its_pretraining_does_not_keep_is_refused(keeping: Base):
    with pytest.raises(InputError, match=r"after is 0.3; its pretraining keeps 0.2, 0.55, 1.0"):
        replace(keeping, after=0.3)


@pytest.mark.parametrize("changes", [{"tokens": 0}, {"tokens": 10, "checkpoint_every": 0}])
def test_settings_without_sense_are_refused(changes: dict):
    with pytest.raises(InputError, match="pretraining"):
        Pretraining(**changes)


def test_an_unknown_scale_is_named_with_those_that_exist():
    with pytest.raises(InputError, match=r"unknown scale '5M'.*0\.04M"):
        find_scale("5M")
