"""Chains of stages as runs: folders, what each starts from, and what is shared."""

import multiprocessing
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from formatlab.errors import InputError, RunError
from formatlab.launch.worker import perform
from formatlab.models.lora import LoraSettings
from formatlab.models.source import find_model, load_model, materialise
from formatlab.store.run_folder import RunFolder
from formatlab.study.ladder_run import LadderRun
from formatlab.study.study import LadderStudy
from formatlab.study.task import graph
from formatlab.train.fine_tuning.settings import Dpo, Sft
from formatlab.train.on_policy.settings import Grpo
from formatlab.train.pretraining.base import Pretraining
from formatlab.train.probe import Probe
from formatlab.world.mixture import Mixture
from formatlab.world.world import World

STUDY = LadderStudy(
    name="chain",
    world=World(
        mixture=Mixture(name="tiny", shares={"direct": 0.4, "tool_tags": 0.6}),
        families=("chain",),
        max_steps=1,
        largest=5,
    ),
    scales=("0.04M",),
    pretraining=Pretraining(tokens=300_000, vocabulary=300),
    before=("sft", "dpo"),
    sft=Sft(
        prompts=12, examples=16, batch=8, epochs=1, formats=("tool_tags",), completion_length=24
    ),
    dpo=Dpo(prompts=24, examples=16, batch=4, epochs=1, toward="tool_tags", completion_length=24),
    grpo=Grpo(prompts=8, prompts_per_step=4, group_size=4, epochs=1, completion_length=24),
    probe=Probe(prompts=6, samples=2, fractions=()),
)


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def execute(study: LadderStudy, runs_dir: Path) -> list[RunFolder]:
    for task in graph(study.runs()):
        perform(task, runs_dir, _say_nothing)
    return [RunFolder.open(runs_dir / run.address) for run in study.runs()]


def completions(run: RunFolder, epoch: float) -> list[Any]:
    return run.rollouts("probe", epoch=epoch)["completion"].to_pylist()


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=4)], ids=["full", "lora"])
def test_each_stage_starts_from_what_the_one_before_it_left(
    runs_dir: Path, lora: LoraSettings | None
):
    study = replace(STUDY, train="lora", lora=lora) if lora else STUDY
    sft, dpo, grpo = execute(study, runs_dir)
    assert [run.config["algorithm"] for run in (sft, dpo, grpo)] == ["sft", "dpo", "grpo"]
    assert [len(run.config["before"]) for run in (sft, dpo, grpo)] == [0, 1, 2]
    assert grpo.config["chain"] == "sft tool_tags, dpo tool_tags, grpo"
    assert completions(dpo, 0.0) == completions(sft, 1.0)
    assert completions(grpo, 0.0) == completions(dpo, 1.0)
    assert completions(grpo, 1.0) != completions(sft, 0.0)
    adapter = (grpo.path / "policy" / "adapter_config.json").exists()
    assert adapter == (lora is not None)


def test_what_is_done_is_not_done_again(runs_dir: Path):
    before = {run.path: run.env["started"] for run in execute(STUDY, runs_dir)}
    other = replace(STUDY, before=("sft",))
    after = {run.path: run.env["started"] for run in execute(other, runs_dir)}
    shared = before.keys() & after.keys()
    assert [path.name.split("-")[2] for path in shared] == ["sft"]
    assert all(before[path] == after[path] for path in shared)


def test_an_adapter_is_a_model_to_probe_like_any_other(runs_dir: Path, tmp_path: Path):
    import torch

    sft = execute(replace(STUDY, before=(), algorithm="sft", train="lora"), runs_dir)[0]
    source = find_model(str(sft.path / "policy"))
    assert source.adapter == sft.path / "policy"
    model, tokenizer = load_model(source, device="cpu", dtype=torch.float32)
    folder = materialise(source, tmp_path)
    again, _ = load_model(find_model(str(folder)), device="cpu", dtype=torch.float32)
    ids = torch.tensor([tokenizer("3")["input_ids"]])
    assert model(ids).logits.equal(again(ids).logits)
    assert source.path is not None
    start, _ = load_model(find_model(str(source.path)), device="cpu", dtype=torch.float32)
    assert not model(ids).logits.equal(start(ids).logits)


def test_layers_that_a_model_has_not_are_named_before_training(runs_dir: Path):
    lora = LoraSettings(target_modules=("q_proj", "nonsense"))
    (run,) = replace(STUDY, before=(), train="lora", lora=lora).runs()
    with pytest.raises(InputError, match=r"'nonsense'; it has .*q_proj"):
        perform(run, runs_dir, _say_nothing)


def test_two_launchers_workers_on_one_run_train_it_once(tmp_path: Path, runs_dir: Path):
    (run,) = replace(STUDY, before=(), algorithm="sft").runs()
    (base,) = run.needs
    perform(base, runs_dir, _say_nothing)
    for name in ("bases", "corpora"):
        shutil.copytree(runs_dir / name, tmp_path / name)
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=perform, args=(run, tmp_path, _say_nothing)) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    folder = RunFolder.open(tmp_path / run.address)
    assert folder.done
    assert not folder.resumes()
    assert len(folder.metrics()) == run.steps


def _say_nothing(_: object) -> None:
    """Progress that nobody looks at."""


def test_a_run_that_cannot_go_on_says_why_in_its_folder(runs_dir: Path):
    grpo = replace(STUDY.grpo, learning_rate=1e38, gradient_clip=1e38, warmup=0.0)
    (run,) = replace(STUDY, before=(), grpo=grpo).runs()
    assert isinstance(run, LadderRun)
    with pytest.raises(RunError):
        perform(run, runs_dir, _say_nothing)
    folder = RunFolder.open(runs_dir / run.address)
    assert folder.failed == folder.metrics()[-1]["events"][0]["message"]
