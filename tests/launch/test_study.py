import inspect
from dataclasses import replace
from pathlib import Path

import pytest

from formatlab.errors import InputError
from formatlab.launch.experiment import load_experiment
from formatlab.launch.ladder_run import LadderRun
from formatlab.launch.model_run import ModelRun
from formatlab.launch.study import LadderStudy, ModelStudy
from formatlab.models.scale import LADDER

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture(scope="module")
def demo() -> LadderStudy:
    study = load_experiment(EXPERIMENTS / "scale_attractors.py")[1]["demo"]
    assert isinstance(study, LadderStudy)
    return study


def ladder_runs(study: LadderStudy) -> list[LadderRun]:
    return [run for run in study.runs() if isinstance(run, LadderRun)]


def test_a_ladder_study_is_the_grid_of_scales_and_seeds_largest_scale_first(demo: LadderStudy):
    runs = ladder_runs(replace(demo, scales=("0.04M", "0.27M", "0.13M"), seeds=(0, 7)))
    assert [(run.base.seed, run.base.scale) for run in runs] == [
        (seed, scale) for seed in (0, 7) for scale in ("0.27M", "0.13M", "0.04M")
    ]
    assert len({run.base.name for run in runs}) == 6


def test_the_learning_rate_of_rl_follows_the_scale_unless_it_is_given(demo: LadderStudy):
    for run in ladder_runs(demo):
        assert run.grpo.learning_rate == LADDER[run.base.scale].rl_learning_rate
    given = replace(demo, grpo=replace(demo.grpo, learning_rate=2e-4))
    assert {run.grpo.learning_rate for run in ladder_runs(given)} == {2e-4}


def test_the_help_of_scales_lists_the_whole_ladder():
    assert f"Scales of the ladder: {' '.join(LADDER)}." in inspect.getsource(LadderStudy)


def test_all_scales_see_the_same_documents_and_the_same_number_of_tokens(demo: LadderStudy):
    runs = ladder_runs(replace(demo, seeds=(0, 1)))
    assert len({run.base.pretraining.tokens for run in runs}) == 1
    assert len({str(run.base.world) for run in runs}) == 1


def test_what_only_says_how_often_to_save_does_not_change_a_runs_name(demo: LadderStudy):
    often = replace(
        demo,
        pretraining=replace(demo.pretraining, checkpoint_every=7),
        grpo=replace(demo.grpo, checkpoint_every=3),
    )
    assert [r.base.name for r in ladder_runs(often)] == [r.base.name for r in ladder_runs(demo)]
    assert often.grpo.config == demo.grpo.config


@pytest.mark.parametrize(
    "changes", [{"seeds": ()}, {"scales": ()}, {"seeds": (1, 1)}, {"seeds": (0, -1)}]
)
def test_an_empty_or_doubled_axis_is_refused(demo: LadderStudy, changes: dict):
    with pytest.raises(InputError, match="study scale_attractors"):
        replace(demo, **changes).runs()


@pytest.mark.parametrize("name", ["", "a/b", "../x", "bases", ".hidden"])
def test_a_name_that_is_no_folder_of_its_own_is_refused(demo: LadderStudy, name: str):
    with pytest.raises(InputError, match="study name"):
        replace(demo, name=name).runs()


def test_small_models_take_one_thread_so_that_jobs_do_not_change_results(demo: LadderStudy):
    runs = ladder_runs(replace(demo, scales=("0.04M", "0.46M", "1.9M")))
    assert [run.most_threads for run in runs] == [None, 1, 1]


@pytest.mark.parametrize("preset", ["cpu", "paper"])
def test_a_model_study_is_a_run_a_seed(preset: str):
    study = load_experiment(EXPERIMENTS / "gsm8k.py")[1][preset]
    assert isinstance(study, ModelStudy)
    runs = replace(study, seeds=(3, 4), train="lora").runs()
    assert all(isinstance(run, ModelRun) and run.lora is not None for run in runs)
    assert [run.seed for run in runs if isinstance(run, ModelRun)] == [3, 4]
    assert all(run.lora is None for run in study.runs() if isinstance(run, ModelRun))


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.py")), ids=lambda path: path.stem)
def test_every_experiment_says_what_it_expects_before_it_is_run(path: Path):
    docstring, presets = load_experiment(path)
    assert "Endpoint" in docstring
    assert all(study.runs() for study in presets.values())
