import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plain_task import Node

from formatlab.errors import InputError
from formatlab.launch.estimate import (
    DOCUMENT,
    ELEMENTWISE,
    GRADE,
    KEPT,
    LEARNED,
    LONGEST,
    PAIRED,
    PASSED,
    PROMPT,
    ROLLOUT_DISK,
    SAMPLED,
    SIDE_BY_SIDE,
    SOLUTION,
    START,
    TOKEN_DISK,
    WRITE,
    Estimate,
    Timing,
    estimates,
    gpu_bytes,
    state_of,
    time_machine,
)
from formatlab.models.scale import find_scale
from formatlab.store.run_folder import RunFolder
from formatlab.study import model_run
from formatlab.study.ladder_run import BaseTask, LadderRun
from formatlab.study.model_run import ModelRun
from formatlab.train.environment import environment
from formatlab.train.expert_iteration.settings import ExpertIteration
from formatlab.train.fine_tuning.settings import Dpo, Sft
from formatlab.train.on_policy.engine import Engine
from formatlab.train.on_policy.exploration import Exploration
from formatlab.train.on_policy.settings import Grpo, Ppo
from formatlab.train.pretraining.base import Base, Pretraining, corpus_name
from formatlab.train.probe import Probe
from formatlab.train.reward import Reward
from formatlab.train.stage import Stage, StageSettings
from formatlab.train.training import Training
from formatlab.world.four_formats import FOUR_FORMATS
from formatlab.world.prompt import Shots

PROBE = Probe(prompts=100, samples=10, batch=100, fractions=())
GRPO = Grpo(prompts=128, prompts_per_step=64, group_size=8, epochs=2)  # four steps
TIMING = Timing(layer=0.0, parameter=1e-9)
TOKEN = 1e-9 * (find_scale("0.04M").parameters(512) + ELEMENTWISE)
"""Seconds of a token in a training step of the smallest scale."""


def base(**changes: Any) -> Base:
    made = Base(
        world=FOUR_FORMATS,
        scale="0.04M",
        pretraining=Pretraining(tokens=160_000, checkpoint_every=10),
        probe=PROBE,
    )
    return replace(made, **changes)


def run(settings: StageSettings = GRPO, **changes: Any) -> LadderRun:
    training = Training(
        stages=(Stage(algorithm=settings.name, settings=settings),),
        reward=Reward(),
        exploration=Exploration(),
        engine=Engine(),
        lora=None,
        probe=PROBE,
        seed=0,
    )
    return LadderRun(study="study", base=base(), training=replace(training, **changes))


def timed(threads: int) -> Timing:
    return TIMING


def estimate(task: Any, runs: Path, timing: Timing = TIMING) -> Estimate:
    (found,) = estimates([task], runs, workers=10**6, gpu=None, timed=lambda threads: timing)
    return found


def write_no_corpus(runs: Path) -> None:
    """Make it look as if the corpus of `base` were there."""
    (runs / "corpora" / corpus_name(base().config)).mkdir(parents=True)


def sampled(rollouts: int) -> float:
    return rollouts * (SAMPLED * SOLUTION * TOKEN + GRADE)


def test_a_base_takes_its_start_its_tokens_and_its_probe(tmp_path: Path):
    write_no_corpus(tmp_path)
    found = estimate(BaseTask(base=base()), tmp_path)
    assert found.seconds == pytest.approx(START + 160_000 * TOKEN + sampled(1000))


@pytest.mark.parametrize(
    ("settings", "rollouts", "tokens"),
    [
        # Rollouts are padded to the longest.
        (GRPO, 2048, LEARNED * 2048 * (PROMPT + LONGEST)),
        (replace(GRPO, completion_length=10), 2048, LEARNED * 2048 * (PROMPT + 10)),
        (replace(GRPO, iterations=2), 2048, LEARNED * 4096 * (PROMPT + LONGEST)),
        (
            Ppo(prompts=128, iterations=1, critic="model"),
            2048,
            LEARNED * 4096 * (PROMPT + LONGEST),
        ),
        (
            ExpertIteration(prompts=128, rounds=2, sft_epochs=3),
            2048,
            (3 * KEPT + PASSED) * 2048 * DOCUMENT,
        ),
        (Sft(examples=32, epochs=2, prompts=128), 0, 64 * DOCUMENT),
        (Sft(source="rollouts", examples=32, prompts=128, samples=4), 512, 64 * DOCUMENT),
        (Dpo(examples=32, epochs=2, prompts=128, samples=4), 512, PAIRED * 64 * DOCUMENT),
    ],
)
def test_a_run_takes_what_it_samples_and_learns_from(
    settings: StageSettings, rollouts: int, tokens: float, tmp_path: Path
):
    found = estimate(run(settings), tmp_path)
    # Probes of 1,000 rollouts: of what it starts from, and of two epochs.
    assert found.seconds == pytest.approx(START + tokens * TOKEN + sampled(rollouts + 3000))


def test_passes_take_time_whatever_their_batch(tmp_path: Path):
    timing = TIMING._replace(layer=0.01)
    few, many = (
        estimate(run(replace(GRPO, micro_batch=rows)), tmp_path, timing).seconds
        for rows in (512, 128)
    )
    assert few is not None and many is not None
    passes = LEARNED * 2048 * (PROMPT + LONGEST) / DOCUMENT * (1 / 128 - 1 / 512)
    assert many - few == pytest.approx(passes * find_scale("0.04M").depth * 0.01)


def test_rollouts_are_sampled_a_token_of_each_in_a_pass(tmp_path: Path):
    timing = TIMING._replace(layer=0.01)
    bound = estimate(BaseTask(base=base()), tmp_path, timing).seconds
    free = estimate(BaseTask(base=base()), tmp_path).seconds
    assert bound is not None and free is not None
    updates = 160_000 / DOCUMENT / find_scale("0.04M").batch_documents
    passes = updates + SAMPLED * 1000 / SIDE_BY_SIDE * LONGEST
    assert bound - free == pytest.approx(passes * find_scale("0.04M").depth * 0.01)


def test_a_larger_model_takes_more_of_everything(tmp_path: Path):
    small, large = (
        estimate(replace(run(), base=base(scale=scale)), tmp_path) for scale in ("0.04M", "107M")
    )
    for name in ("seconds", "memory", "disk", "checkpoints"):
        assert getattr(large, name) > 2 * getattr(small, name)


def test_documents_are_written_once(tmp_path: Path):
    tasks = [BaseTask(base=base(seed=seed)) for seed in (0, 1)]
    first, second = estimates(tasks, tmp_path, workers=1, gpu=None, timed=timed)
    assert first.seconds is not None and second.seconds is not None
    assert first.disk is not None and second.disk is not None
    assert first.seconds - second.seconds == pytest.approx(160_000 / DOCUMENT * WRITE)
    assert first.disk - second.disk == pytest.approx(160_000 * TOKEN_DISK)
    write_no_corpus(tmp_path)
    there = estimate(BaseTask(base=base()), tmp_path)
    assert (there.seconds, there.disk) == (second.seconds, second.disk)


def test_an_intermediate_base_is_a_copy_and_a_probe(tmp_path: Path):
    write_no_corpus(tmp_path)
    pretraining = replace(base().pretraining, kept=(0.25, 0.5))
    whole, part = (base(pretraining=pretraining, after=after) for after in (1.0, 0.25))
    found = estimate(BaseTask(base=part), tmp_path)
    assert found.seconds == pytest.approx(START + sampled(1000))
    alone, keeping = (estimate(BaseTask(base=of), tmp_path) for of in (base(), whole))
    assert keeping.seconds == alone.seconds
    assert keeping.disk is not None and alone.disk is not None and found.disk is not None
    weights = found.disk - 1000 * ROLLOUT_DISK
    assert keeping.disk - alone.disk == 2 * weights


def test_a_timing_of_this_machine_is_of_real_work():
    found = time_machine(1)
    assert time_machine(1) is found  # which is measured once
    assert 1e-13 < found.parameter < 1e-8
    assert 0 <= found.layer < 0.1


def test_rollouts_are_on_disk(tmp_path: Path):
    more = replace(GRPO, prompts=256)
    less = estimate(run(), tmp_path).disk
    found = estimate(run(more), tmp_path).disk
    assert less is not None and found is not None
    rows = (more.steps - GRPO.steps) * 512
    assert found - less == rows * ROLLOUT_DISK


def test_memory_grows_with_the_batch_and_the_vocabulary(tmp_path: Path):
    of_vocabulary = replace(base(), pretraining=Pretraining(tokens=160_000, vocabulary=4096))
    small = estimate(run(replace(GRPO, micro_batch=64)), tmp_path).memory
    batch = estimate(run(), tmp_path).memory
    vocabulary = estimate(replace(run(), base=of_vocabulary), tmp_path).memory
    assert small is not None and batch is not None and vocabulary is not None
    assert small < batch < vocabulary


def begun(runs: Path, task: LadderRun | BaseTask, *rows: dict[str, Any]) -> RunFolder:
    folder = RunFolder.create(runs / task.address, config={}, env={})
    folder.append_metrics(*rows)
    return folder


def test_of_a_run_under_way_the_rest_is_estimated(tmp_path: Path):
    task = run()
    whole = estimate(task, tmp_path).seconds
    begun(tmp_path, task, *({"step": step, "seconds": 1.0} for step in range(2)))  # of four
    rest = estimate(task, tmp_path).seconds
    assert whole is not None and rest == pytest.approx(START + (whole - START) / 2)


def test_of_a_base_under_way_the_rest_is_estimated(tmp_path: Path):
    write_no_corpus(tmp_path)
    task = BaseTask(base=base())
    whole = estimate(task, tmp_path).seconds
    begun(tmp_path, task, {"step": 9, "steps": 40, "tokens": 40_000, "seconds": 1.0})
    rest = estimate(task, tmp_path).seconds
    assert whole is not None and rest == pytest.approx(START + (whole - START) * 3 / 4)


def test_a_folder_that_is_made_again_saves_nothing(tmp_path: Path):
    whole = estimate(run(), tmp_path).seconds
    folder = begun(tmp_path, run(), *({"step": step, "seconds": 1.0} for step in range(4)))
    folder.mark_done({"steps": 5})  # there are lines of four
    assert estimate(run(), tmp_path).seconds == whole


def finished(
    runs: Path, task: LadderRun | ModelRun, seconds: float, scale: str = "0.04M", **env: Any
) -> None:
    folder = RunFolder.create(
        runs / task.address,
        config={"kind": "run", "scale": {"name": scale}, **task.training.config},
        env=environment() | {"threads": 1} | env,
    )
    folder.append_metrics(*({"step": step, "seconds": seconds} for step in range(4)))
    folder.mark_done({})


def test_the_median_pace_of_finished_runs_is_taken(tmp_path: Path):
    finished(tmp_path, run(seed=1), 3.0)
    finished(tmp_path, run(seed=2), 4.0)
    finished(tmp_path, run(seed=3), 9.0)
    finished(tmp_path, run(replace(GRPO, learning_rate=1e-3, epochs=3)), 4.0)
    finished(tmp_path, run(replace(GRPO, clip_epsilon=0.3)), 4.0)
    assert estimate(run(), tmp_path).seconds == pytest.approx(START + 4 * 4.0)


@pytest.mark.parametrize(
    ("settings", "scale", "env"),
    [
        (replace(GRPO, group_size=4), "0.04M", {}),
        (Ppo(prompts=128), "0.04M", {}),
        (GRPO, "0.08M", {}),
        (GRPO, "0.04M", {"platform": "another"}),
        (GRPO, "0.04M", {"threads": 2}),
        (GRPO, "0.04M", {"device": "NVIDIA H200"}),
    ],
)
def test_other_finished_runs_tell_nothing(
    settings: StageSettings, scale: str, env: dict[str, Any], tmp_path: Path
):
    before = estimate(run(), tmp_path).seconds
    finished(tmp_path, run(settings, seed=1), 3.0, scale, **env)
    assert estimate(run(), tmp_path).seconds == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "config.json").write_text("{"),
        lambda folder: (folder / "metrics.jsonl").write_text(""),
        lambda folder: (folder / "metrics.jsonl").write_text(json.dumps({"step": 0}) + "\n"),
    ],
)
def test_a_damaged_folder_tells_nothing(damage: Callable[[Path], Any], tmp_path: Path):
    before = estimate(run(), tmp_path).seconds
    finished(tmp_path, run(seed=1), 3.0)
    damage(tmp_path / run(seed=1).address)
    assert estimate(run(), tmp_path).seconds == before


def real_run(**changes: Any) -> ModelRun:
    return ModelRun(
        study="study",
        model="some-model",
        problems="gsm8k",
        problems_set_aside=128,
        probe_problems="gsm8k",
        probe_split="test",
        shots=Shots(counts={}),
        chat=False,
        training=run(**changes).training,
    )


def test_real_models_and_vllm_are_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(model_run, "model_digest", lambda model: None)  # there is no such model
    for task in (real_run(), run(engine=Engine(vllm="server"))):
        assert estimate(task, tmp_path) == Estimate(task=task, state="to make")
        assert gpu_bytes(task) is None


def test_of_a_real_model_its_finished_runs_tell_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(model_run, "model_digest", lambda model: None)  # there is no such model
    finished(tmp_path, real_run(seed=1), 7.0, "some-model")
    assert estimate(real_run(), tmp_path).seconds == START + 4 * 7.0


def test_gpu_memory_is_that_of_tensors_alone(tmp_path: Path):
    for task in (BaseTask(base=base()), run()):
        on_cpu, on_gpu = estimate(task, tmp_path).memory, gpu_bytes(task)
        assert on_cpu is not None and on_gpu is not None
        assert 0 < on_gpu < 1.3 * on_cpu


def test_what_is_done_takes_nothing_and_tells_the_time_of_the_others(tmp_path: Path):
    finished(tmp_path, run(seed=1), 3.0)
    found = estimates([run(), run(seed=1)], tmp_path, workers=10**6, gpu=None, timed=timed)
    assert [of.seconds for of in found] == [START + 4 * 3.0, None]
    assert [of.state for of in found] == ["to make", "done"]


BASE = Node("base 0.04M s0")
RUN = Node("grpo 0.04M s0", (BASE,))


@pytest.fixture
def intact(tmp_path: Path) -> Path:
    base = RunFolder.create(tmp_path / BASE.address, config={"kind": "base"}, env={})
    base.mark_done({"sha256": ""})
    run = RunFolder.create(
        tmp_path / RUN.address, config={"kind": "run", "start_sha256": ""}, env={}
    )
    run.append_metrics({"step": 0}, {"step": 1})
    run.mark_done({"steps": 2})
    return tmp_path


def test_intact_folders_are_done_or_resumed(intact: Path):
    assert (state_of(BASE, intact), state_of(RUN, intact)) == ("done", "done")
    (intact / RUN.address / "DONE").unlink()
    assert state_of(RUN, intact) == "to resume"
    (intact / RUN.address / "metrics.jsonl").unlink()
    assert state_of(RUN, intact) == "to make"
    assert state_of(RUN, intact / "elsewhere") == "to make"


@pytest.mark.parametrize("name", ["DONE", "config.json", "env.json", "metrics.jsonl"])
def test_damaged_folders_are_made_again(intact: Path, name: str):
    (intact / RUN.address / name).write_text("{\n")
    assert state_of(RUN, intact) == "to make again"


def test_a_run_of_other_weights_is_made_again(intact: Path):
    RunFolder(intact / BASE.address).mark_done({"sha256": "", "policy_sha256": "other"})
    assert state_of(RUN, intact) == "to make again"


@pytest.mark.parametrize("name", ["DONE", "config.json"])
def test_an_intact_run_of_a_base_that_is_made_again_is_done(intact: Path, name: str):
    (intact / BASE.address / name).write_text("{")
    assert (state_of(BASE, intact), state_of(RUN, intact)) == ("to make again", "done")


def test_a_folder_of_another_version_cannot_be_made(intact: Path):
    env = intact / RUN.address / "env.json"
    env.write_text(json.dumps(json.loads(env.read_text()) | {"schema_version": 99}))
    with pytest.raises(InputError, match="schema version 99"):
        state_of(RUN, intact)
