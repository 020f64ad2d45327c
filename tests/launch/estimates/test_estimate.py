from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from formatlab.launch.devices import Gpu
from formatlab.launch.estimates.calibration import Calibration
from formatlab.launch.estimates.estimate import (
    KEPT,
    LARGEST_TRIED,
    ROLLOUT_BYTES,
    UNKNOWN,
    Estimate,
    Estimator,
)
from formatlab.launch.estimates.past_paces import PastPaces
from formatlab.launch.estimates.training_trial import ProbeTrial, StageTrial
from formatlab.launch.estimates.trial import (
    Cost,
    DocumentTrial,
    GradeTrial,
    ScaleTrial,
    StartTrial,
    Trial,
)
from formatlab.models.scale import find_scale
from formatlab.store.run_folder import RunFolder
from formatlab.study import model_run
from formatlab.study.ladder_run import BaseTask, LadderRun
from formatlab.study.model_run import ModelRun
from formatlab.train.algorithm import Algorithm
from formatlab.train.environment import environment
from formatlab.train.expert_iteration.settings import ExpertIteration
from formatlab.train.fine_tuning.settings import Dpo, Sft
from formatlab.train.on_policy.engine import Engine
from formatlab.train.on_policy.exploration import Exploration
from formatlab.train.on_policy.settings import Grpo
from formatlab.train.pretraining.base import Base, Pretraining, corpus_name
from formatlab.train.probe import Probe
from formatlab.train.reward import Reward
from formatlab.train.training import Stage, Training
from formatlab.world.four_formats import FOUR_FORMATS
from formatlab.world.prompt import Shots

MB = 2**20
PROBE = Probe(prompts=100, samples=10, batch=100, fractions=())
GRPO = Grpo(prompts=128, prompts_per_step=64, group_size=8, epochs=2)  # four steps


class Known(Calibration):
    """A calibration that knows every trial, but those of a scale that is left out."""

    def __init__(self, runs: Path, without: str = "") -> None:
        super().__init__(runs)
        self._without = without

    def cost(self, trial: Trial) -> Cost | None:
        match trial:
            case StartTrial():
                return Cost(seconds=5.0, memory=400 * MB)
            case DocumentTrial():
                return Cost(seconds=0.001, memory=410 * MB, tokens=50.0)
            case GradeTrial():
                return Cost(seconds=0.01, memory=410 * MB)
            case ScaleTrial() if trial.scale == self._without:
                return None
            case ProbeTrial():
                return Cost(seconds=9.0, memory=600 * MB)  # 0.1 s a completion, with its grade
            case StageTrial():
                return Cost(seconds=2.0, memory=900 * MB)
        return Cost(seconds=0.1, memory=500 * MB, gpu_memory=7)


def base(**changes: Any) -> Base:
    made = Base(
        world=FOUR_FORMATS,
        scale="0.04M",
        pretraining=Pretraining(tokens=160_000, checkpoint_every=10),
        probe=PROBE,
    )
    return replace(made, **changes)


def run(settings: Algorithm = GRPO, **changes: Any) -> LadderRun:
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


def estimator(runs: Path, *, without: str = "") -> Estimator:
    return Estimator(runs, Known(runs, without))


def estimate(task: Any, runs: Path) -> Estimate:
    return estimator(runs).estimate(task, 1)


def test_a_base_takes_its_start_its_documents_its_steps_and_its_probe(tmp_path: Path):
    found = estimate(BaseTask(base=base()), tmp_path)
    # 3,200 documents, 32 a step, and 1,000 completions
    assert found.seconds == pytest.approx(5 + 3200 * 0.001 + 100 * 0.1 + 1000 * 0.1)
    assert found.source == "calibration"
    assert found.memory == 600 * MB
    assert found.gpu_memory == 7


def test_documents_are_written_once(tmp_path: Path):
    both = estimator(tmp_path)
    first, second = (both.estimate(BaseTask(base=base(seed=seed)), 1) for seed in (0, 1))
    assert first.seconds is not None and second.seconds is not None
    assert first.seconds - second.seconds == pytest.approx(3.2)
    assert first.disk is not None and second.disk is not None
    assert first.disk - second.disk == first.corpus_disk > 0 == second.corpus_disk
    assert (first.corpus_seconds, second.corpus_seconds) == (pytest.approx(3.2), 0)


def test_documents_that_are_there_cost_nothing(tmp_path: Path):
    (tmp_path / "corpora" / corpus_name(base().config)).mkdir(parents=True)
    found = estimate(BaseTask(base=base()), tmp_path).seconds
    assert found == pytest.approx(5 + 100 * 0.1 + 1000 * 0.1)


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        # probes: what it starts from, and two epochs
        (GRPO, 4 * (2.0 + 512 * 0.01) + 3 * 1000 * 0.1),
        # four steps of 512 rollouts, and two updates for each 16 of those that are kept
        (
            ExpertIteration(prompts=128, rounds=2),
            4 * 512 * 0.1 + KEPT * 4 * 512 * 2 / 16 * 2.0 + 3 * 1000 * 0.1,
        ),
        (Sft(examples=32, epochs=2, prompts=100), 4 * 2.0 + 3 * 1000 * 0.1),
        (
            Dpo(examples=32, epochs=2, prompts=100, samples=5),
            500 * 0.1 + 4 * 2.0 + 3 * 1000 * 0.1,
        ),
    ],
)
def test_a_run_takes_what_its_algorithm_does(settings: Algorithm, seconds: float, tmp_path: Path):
    found = estimate(run(settings), tmp_path)
    assert found.seconds == pytest.approx(5 + seconds)
    assert found.memory is not None
    assert (found.memory > 900 * MB) == isinstance(settings, ExpertIteration)


def test_rollouts_and_weights_are_on_disk(tmp_path: Path):
    more = replace(GRPO, prompts=256)
    less = estimate(run(), tmp_path).disk
    found = estimate(run(more), tmp_path).disk
    assert less is not None and found is not None
    rows = (more.steps - GRPO.steps) * 512
    assert rows * ROLLOUT_BYTES < found - less < 1.2 * rows * ROLLOUT_BYTES
    weights = 4 * find_scale("0.04M").parameters(512)
    assert estimate(run(), tmp_path).scratch > 3 * weights


def begun(runs: Path, task: LadderRun | BaseTask, *steps: int) -> RunFolder:
    folder = RunFolder.create(runs / task.address, config={}, env={})
    folder.append_metrics(*({"step": step, "seconds": 1.0} for step in steps))
    return folder


def test_of_a_run_under_way_the_rest_is_estimated(tmp_path: Path):
    task = run(replace(GRPO, checkpoint_every=2))
    whole = estimate(task, tmp_path).seconds
    begun(tmp_path, task, 0, 1, 2)  # it goes on from the checkpoint after two of four steps
    rest = estimate(task, tmp_path).seconds
    assert whole is not None and rest == pytest.approx(5 + (whole - 5) / 2)


def test_of_a_base_under_way_the_rest_is_estimated(tmp_path: Path):
    task = BaseTask(base=base())
    (tmp_path / "corpora" / corpus_name(base().config)).mkdir(parents=True)
    begun(tmp_path, task, 0, 20, 40, 52)
    found = estimate(task, tmp_path).seconds
    assert found == pytest.approx(5 + (100 - 50) * 0.1 + 1000 * 0.1)


def test_a_folder_that_is_made_again_saves_nothing(tmp_path: Path):
    whole = estimate(run(), tmp_path).seconds
    folder = begun(tmp_path, run(), 0, 1, 2, 3)
    folder.mark_done({"steps": 5})  # there are lines of four
    assert estimate(run(), tmp_path).seconds == whole


def test_a_finished_base_that_was_interrupted_tells_its_pace(tmp_path: Path):
    folder = RunFolder.create(
        tmp_path / BaseTask(base=base(seed=1)).address,
        config=base(seed=1).config,
        env=environment() | {"threads": 1},
    )
    lines = [(0, 0.5), (20, 10.5), (40, 20.5), (60, 10.0), (80, 20.0)]  # it went on after step 40
    folder.append_metrics(*({"step": step, "seconds": seconds} for step, seconds in lines))
    folder.mark_done({})
    found = PastPaces(tmp_path).seconds_per_step(base().config, 1)
    assert found == pytest.approx(0.5)


def finished(runs: Path, task: LadderRun, seconds: float, **env: Any) -> None:
    config = {
        "kind": "run",
        "scale": {"name": task.base.scale},
        "world": task.base.config["world"],
        **task.training.config,
    }
    folder = RunFolder.create(
        runs / task.address, config=config, env=environment() | {"threads": 1} | env
    )
    folder.append_metrics(*({"step": step, "seconds": seconds} for step in range(4)))
    folder.mark_done({})


def test_finished_runs_tell_better(tmp_path: Path):
    finished(tmp_path, run(seed=1), 3.0)
    finished(tmp_path, run(seed=2), 4.0)
    finished(tmp_path, run(seed=3), 9.0)
    finished(tmp_path, run(replace(GRPO, learning_rate=1e-3)), 4.0)
    found = estimate(run(), tmp_path)
    assert found.source == "finished runs"
    assert found.seconds == pytest.approx(5 + 4 * 4.0)


@pytest.mark.parametrize(
    ("settings", "env"),
    [
        (replace(GRPO, group_size=4), {}),
        (GRPO, {"platform": "another"}),
        (GRPO, {"threads": 2}),
        (GRPO, {"device": "NVIDIA H200"}),
    ],
)
def test_other_finished_runs_tell_nothing(settings: Grpo, env: dict[str, Any], tmp_path: Path):
    finished(tmp_path, run(settings, seed=1), 3.0, **env)
    assert estimate(run(), tmp_path).source == "calibration"


def test_a_damaged_folder_tells_nothing(tmp_path: Path):
    finished(tmp_path, run(seed=1), 3.0)
    (tmp_path / run(seed=1).address / "config.json").write_text("{")
    assert estimate(run(), tmp_path).source == "calibration"


def test_large_scales_are_told_from_a_smaller_one_on_a_cpu(tmp_path: Path):
    large = replace(run(), base=base(scale="107M"))
    tried = {
        trial.scale
        for trial in estimator(tmp_path).trials(large, 2)
        if isinstance(trial, ScaleTrial)
    }
    assert tried == {LARGEST_TRIED}
    found = estimate(large, tmp_path)
    smaller = estimate(replace(run(), base=base(scale=LARGEST_TRIED)), tmp_path)
    assert found.seconds is not None and smaller.seconds is not None
    assert found.seconds > 10 * smaller.seconds
    assert found.memory is not None and smaller.memory is not None
    assert found.memory > smaller.memory + 16 * 10**8


def test_on_a_gpu_every_scale_is_tried(tmp_path: Path):
    gpus = [Gpu(name="0", total=1, free=1, model="NVIDIA H200")]
    large = replace(run(), base=base(scale="107M"))
    trials = Estimator(tmp_path, Known(tmp_path), gpus).trials(large, 2)
    assert {trial.scale for trial in trials if isinstance(trial, ScaleTrial)} == {"107M"}


def test_what_could_not_be_tried_is_unknown(tmp_path: Path):
    assert estimator(tmp_path, without="0.04M").estimate(run(), 1) == UNKNOWN


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


def test_real_models_and_vllm_are_unknown(tmp_path: Path):
    for task in (real_run(), run(engine=Engine(vllm="server"))):
        assert estimator(tmp_path).trials(task, 1) == []
        assert estimate(task, tmp_path) == UNKNOWN


def test_of_a_real_model_its_finished_runs_tell_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(model_run, "_model_digest", lambda model: None)  # there is no such model
    task = real_run(seed=1)
    config = {"kind": "run", "scale": {"name": "some-model"}, **task.training.config}
    folder = RunFolder.create(
        tmp_path / "study" / "real", config=config, env=environment() | {"threads": 1}
    )
    folder.append_metrics(*({"step": step, "seconds": 6.0} for step in range(4)))
    folder.mark_done({})
    found = estimate(real_run(), tmp_path)
    assert (found.source, found.seconds, found.memory) == ("finished runs", 24.0, None)


def test_equal_trials_of_runs_are_one(tmp_path: Path):
    keys = [
        {trial.key for trial in estimator(tmp_path).trials(task, 1)}
        for task in (
            run(),
            run(seed=7),
            run(replace(GRPO, learning_rate=1e-3, prompts=640, epochs=9)),
            replace(run(), base=base(seed=3)),
            run(replace(GRPO, group_size=4)),
        )
    ]
    assert keys[0] == keys[1] == keys[2] == keys[3] != keys[4]
