import inspect
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import tyro

from formatlab.errors import InputError
from formatlab.models.lora import LoraSettings
from formatlab.models.scale import LADDER
from formatlab.models.source import model_digest
from formatlab.store.run_folder import RunFolder
from formatlab.study.experiment import check_options_used, load_experiment
from formatlab.study.ladder_run import BaseTask, LadderRun
from formatlab.study.model_run import ModelRun
from formatlab.study.selection import selected
from formatlab.study.study import LadderStudy, ModelStudy
from formatlab.study.sweep import Sweep
from formatlab.study.task import graph
from formatlab.train.algorithm import AlgorithmName
from formatlab.train.fine_tuning.settings import Dpo, Sft
from formatlab.train.on_policy.exploration import Exploration
from formatlab.train.on_policy.settings import Grpo, Ppo
from formatlab.train.reward import Reward
from formatlab.train.stage import StageSettings
from formatlab.world.mixture import Mixture
from formatlab.world.problem_set import problems_digest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture(scope="module")
def demo() -> LadderStudy:
    study = load_experiment(EXPERIMENTS / "scale_attractors.py")[1]["demo"]
    assert isinstance(study, LadderStudy)
    return study


def ladder_runs(study: LadderStudy) -> list[LadderRun]:
    return [run for run in study.runs() if isinstance(run, LadderRun)]


def settings(run: LadderRun) -> StageSettings:
    return run.training.stages[-1].settings


def test_a_ladder_study_is_the_grid_of_scales_and_seeds_largest_scale_first(demo: LadderStudy):
    runs = ladder_runs(replace(demo, scales=("0.04M", "0.27M", "0.13M"), seeds=(0, 7)))
    assert [(run.base.seed, run.base.scale) for run in runs] == [
        (seed, scale) for seed in (0, 7) for scale in ("0.27M", "0.13M", "0.04M")
    ]
    assert len({run.base.name for run in runs}) == 6


def test_runs_start_from_each_base_that_a_pretraining_keeps(demo: LadderStudy):
    keeping = replace(demo.pretraining, kept=(0.25, 0.5))
    runs = ladder_runs(replace(demo, scales=("0.04M",), pretraining=keeping))
    assert [run.base.after for run in runs] == [0.25, 0.5, 1.0]
    assert [run.label for run in runs] == [
        "grpo 0.04M s0, after 25% of pretraining",
        "grpo 0.04M s0, after 50% of pretraining",
        "grpo 0.04M s0",
    ]
    assert len({run.address for run in runs}) == 3
    assert "0.04M-four-after0.25-grpo-s0-" in runs[0].address
    assert [run.address for run in selected(runs, ["after=0.50"])] == [runs[1].address]
    bases = [task for task in graph(runs) if isinstance(task, BaseTask)]
    assert [base.base.after for base in bases] == [1.0, 0.25, 0.5]  # the others need the whole one
    assert bases[1].needs == bases[2].needs == (bases[0],)
    assert bases[1].label == "base 0.04M s0, after 25% of pretraining"


def test_an_intermediate_base_is_outdated_once_its_pretraining_gave_other_weights(
    demo: LadderStudy, tmp_path: Path
):
    keeping = replace(demo.pretraining, kept=(0.25,))
    run, _ = ladder_runs(replace(demo, scales=("0.04M",), pretraining=keeping))
    (part,) = run.origin
    (whole,) = part.needs
    folders = [RunFolder.create(tmp_path / of.address, config={}, env={}) for of in (whole, part)]
    assert part.outdated(tmp_path) is None
    folders[0].mark_done({"sha256": "end", "kept": {"model-0.25": "old"}})
    folders[1].mark_done({"sha256": "old", "kept": {}})
    assert part.outdated(tmp_path) is whole.outdated(tmp_path) is None
    folders[0].mark_done({"sha256": "end", "kept": {"model-0.25": "new"}})
    assert "other weights" in (part.outdated(tmp_path) or "")
    assert whole.outdated(tmp_path) is None


def test_the_learning_rate_of_rl_follows_the_scale_unless_it_is_given(demo: LadderStudy):
    for run in ladder_runs(demo):
        assert settings(run).learning_rate == LADDER[run.base.scale].rl_learning_rate
    given = replace(demo, grpo=replace(demo.grpo, learning_rate=2e-4))
    assert {settings(run).learning_rate for run in ladder_runs(given)} == {2e-4}


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


@pytest.mark.parametrize("preset", ["demo", "cpu", "gpu"])
def test_a_model_study_is_a_run_a_seed(preset: str):
    study = load_experiment(EXPERIMENTS / "gsm8k.py")[1][preset]
    assert isinstance(study, ModelStudy)
    runs = replace(study, seeds=(3, 4), train="lora").runs()
    assert all(isinstance(run, ModelRun) and run.training.lora is not None for run in runs)
    assert [run.training.seed for run in runs if isinstance(run, ModelRun)] == [3, 4]
    assert all(run.training.lora is None for run in study.runs() if isinstance(run, ModelRun))


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.py")), ids=lambda path: path.stem)
def test_every_experiment_says_what_it_expects_before_it_is_run(path: Path):
    docstring, presets = load_experiment(path)
    assert "Endpoint" in docstring
    assert {"demo", "cpu", "gpu"} <= presets.keys()
    assert all(study.runs() for study in presets.values())


@pytest.mark.parametrize("name", get_args(AlgorithmName))
def test_every_algorithm_is_a_switch(demo: LadderStudy, name: AlgorithmName):
    runs = ladder_runs(replace(demo, algorithm=name))
    assert {run.training.stages[-1].algorithm for run in runs} == {name}
    assert all(settings(run).learning_rate for run in runs)
    assert {run.words for run in runs} == {""}


def test_presets_change_what_defines_them_and_keep_the_rest(demo: LadderStudy):
    own = replace(demo, grpo=Grpo(epochs=5, learning_rate=1e-4))
    (gspo,) = {settings(run) for run in ladder_runs(replace(own, algorithm="gspo"))}
    assert isinstance(gspo, Grpo)
    assert (gspo.epochs, gspo.ratio, gspo.loss_type) == (5, "sequence", "grpo")
    assert (gspo.clip_epsilon, gspo.clip_epsilon_high, gspo.updates_per_step) == (3e-4, 4e-4, 4)
    (reinforce,) = {settings(run) for run in ladder_runs(replace(own, algorithm="reinforce"))}
    assert isinstance(reinforce, Grpo)
    assert (reinforce.scale_rewards, reinforce.updates_per_step) == ("none", 1)


def test_a_sweep_is_every_combination_of_its_values(demo: LadderStudy):
    sweep = Sweep(
        kl_coefficient=(0.0, 0.01),
        temperature=(0.7, 1.0),
        group_size=(4,),
        learning_rate=(1e-4, 1e-3),
        epochs=(1, 3),
        reward=("correctness", "random"),
        bonus=("none", "ucb_mean"),
    )
    runs = ladder_runs(replace(demo, scales=("0.04M",), sweep=sweep))
    assert len(runs) == len({run.label for run in runs}) == 2**6
    assert {settings(run).config["group_size"] for run in runs} == {4}
    assert {run.training.reward.name for run in runs} == {"correctness", "random"}
    assert "random reward" in {run.words.split(", ")[0] for run in runs}
    assert len({run.base.name for run in runs}) == 1  # one base for all of them


def test_mixtures_and_their_fidelity_are_axes(demo: LadderStudy):
    sweep = Sweep(mixture=("program=.5,prose=.5", "prose=1"), mistranslated=("none", "times+fold"))
    study = replace(demo, scales=("0.04M",), sweep=replace(sweep, mixture=sweep.mixture[:1]))
    mixtures = [run.base.world.mixture for run in ladder_runs(study)]
    assert [dict(mixture.shares) for mixture in mixtures] == [{"program": 0.5, "prose": 0.5}] * 2
    assert [dict(mixture.mistranslates) for mixture in mixtures] == [
        {},
        {"program": ("times", "fold")},
    ]
    assert len({run.label for run in ladder_runs(study)}) == 2
    with pytest.raises(InputError, match="misreads anything"):
        replace(demo, sweep=sweep).runs()


def test_a_mixture_of_a_sweep_has_a_name_and_a_fidelity_of_its_own(demo: LadderStudy):
    given = Mixture(name="given", shares={"latex": 1}, mistranslates={"latex": ("fold",)})
    texts = ("half:program=.5/times+fold,prose=.5/none", "program=.5,prose=.5/times", given)
    study = replace(demo, scales=("0.04M",), sweep=Sweep(mixture=texts))
    runs = ladder_runs(study)
    assert [dict(run.base.world.mixture.mistranslates) for run in runs] == [
        {"program": ("times", "fold")},
        {**_of(demo.world.mixture.mistranslates, "program"), "prose": ("times",)},
        {"latex": ("fold",)},
    ]
    names = ["half", "program50-prose50-times", "given"]
    assert [run.base.world.mixture.name for run in runs] == names
    for name, run in zip(names, runs, strict=True):
        assert f"-{name}-" in run.address
        assert f"-{name}-" in run.base.name
        assert name in run.label
    assert [run.address for run in selected(runs, ["mixture=half"])] == [runs[0].address]


def _of(mapping: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: mapping[name] for name in names if name in mapping}


def test_mixtures_on_the_command_line_are_those_of_a_file(demo: LadderStudy):
    given = Mixture(name="given", shares={"latex": 1 / 3, "prose": 2 / 3})
    preset = replace(demo, sweep=Sweep(mixture=(given, "prose=1")))
    assert tyro.cli(LadderStudy, args=[], default=preset) == preset
    words = ["--sweep.mixture", str(given), "prose=1"]
    study = tyro.cli(LadderStudy, args=words, default=demo)
    assert [run.address for run in study.runs()] == [run.address for run in preset.runs()]


@pytest.mark.parametrize(
    ("sweep", "named"),
    [
        (Sweep(mixture=("prose",)), "is no mixture"),
        (Sweep(mixture=("half:prose=1/",)), "''"),
        (Sweep(mixture=("prose=.5,prose=.5",)), "each once"),
        (Sweep(mixture=("prose=1/bogus",)), "bogus"),
        (Sweep(mixture=("a/b:prose=1",)), "part of folders"),
        (Sweep(mixture=("a:prose=1", "a:latex=1")), "two mixtures are called 'a'"),
        (Sweep(mixture=("prose=.5,latex=.5", "prose=.50,latex=.5")), "two mixtures are called"),
        (Sweep(mixture=("prose=.5,program=.2",)), "sum to 0.7"),
        (Sweep(epochs=(1, 1)), "twice"),
        (Sweep(algorithm=("sft",), group_size=(4,)), "sft has no group_size"),
        (Sweep(mistranslated=("bogus",)), "bogus"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_sweeps_that_make_no_sense_are_refused(demo: LadderStudy, sweep: Sweep, named: str):
    with pytest.raises(InputError, match=named):
        replace(demo, sweep=sweep).runs()


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithm": "rloo", "exploration": Exploration(bonus="batch")},
        {"algorithm": "sft", "reward": Reward(kind="random")},
        {"algorithm": "dpo", "reward": Reward(false_positives={"prose": 0.1})},
        {"reward": Reward(kind="random"), "sweep": Sweep(reward=("none",))},
        {"chains": ((Grpo(),),), "before": ("sft",)},
    ],
    ids=str,
)
def test_what_an_algorithm_cannot_do_is_refused(demo: LadderStudy, changes: dict):
    with pytest.raises(InputError):
        replace(demo, **changes).runs()


def test_a_chain_is_a_run_a_stage_and_beginnings_are_shared(demo: LadderStudy):
    prose, dpo = Sft(formats=("prose",)), Dpo()
    study = replace(
        demo, scales=("0.04M",), chains=((prose, dpo, Grpo()), (prose, Grpo()), (Grpo(),))
    )
    assert [run.training.label for run in ladder_runs(study)] == [
        "sft prose",
        "grpo",
        "sft prose, dpo prose",
        "sft prose, grpo",
        "sft prose, dpo prose, grpo",
    ]


def test_stages_before_an_algorithm_are_switches_too(demo: LadderStudy):
    study = replace(demo, scales=("0.04M",), before=("sft", "dpo"), algorithm="ppo", train="lora")
    runs = ladder_runs(study)
    assert runs[-1].training.label == "sft mixture, dpo prose, ppo"
    assert len(runs) == 3
    assert {run.training.lora for run in runs} == {LoraSettings()}


@pytest.mark.parametrize(
    "changes",
    [
        {"reward": Reward(kind="random")},
        {"exploration": Exploration(bonus="ucb_mean")},
        {"sweep": Sweep(reward=("correctness", "random"))},
        {"sweep": Sweep(kl_coefficient=(0.0, 0.01), temperature=(0.7, 1.0))},
    ],
    ids=str,
)
def test_axes_reward_and_bonus_are_those_of_a_chains_last_stage(demo: LadderStudy, changes: dict):
    runs = ladder_runs(replace(demo, scales=("0.04M",), before=("sft",), **changes))
    (sft, *rest) = runs
    assert sft.training.label == "sft mixture"
    assert (sft.training.reward, sft.training.exploration) == (Reward(), Exploration())
    assert {run.training.label for run in rest} == {"sft mixture, grpo"}
    assert len({run.label for run in runs}) == len(runs)


def test_chains_that_differ_in_an_earlier_stage_alone_are_told_apart(demo: LadderStudy):
    chains = tuple((Sft(epochs=epochs), Grpo()) for epochs in (1, 3))
    runs = ladder_runs(replace(demo, scales=("0.04M",), chains=chains))
    assert [run.label for run in runs] == [
        "sft mixture 0.04M s0, epochs 1",
        "sft mixture 0.04M s0, epochs 3",
        "sft mixture, grpo 0.04M s0, epochs 1",
        "sft mixture, grpo 0.04M s0, epochs 3",
    ]


def test_a_preset_holds_at_every_value_of_an_axis_and_only_where_it_is_asked_for(
    demo: LadderStudy,
):
    swept = replace(demo, algorithm="gspo", sweep=Sweep(group_size=(4, 8)))
    updates = [
        stage.updates_per_step
        for run in ladder_runs(swept)
        if isinstance(stage := settings(run), Grpo)
    ]
    assert updates == [4, 4, 4, 4]
    odd = replace(demo, grpo=Grpo(prompts=7, prompts_per_step=7, group_size=2))
    assert odd.runs()
    with pytest.raises(InputError, match="four updates cannot share"):
        replace(odd, algorithm="gspo").runs()


def test_a_real_models_run_needs_a_learning_rate_before_anything_is_read():
    study = load_experiment(EXPERIMENTS / "gsm8k.py")[1]["cpu"]
    with pytest.raises(InputError, match=r"--ppo\.learning-rate"):
        replace(study, algorithm="ppo").runs()
    paper = load_experiment(EXPERIMENTS / "gsm8k.py")[1]["gpu"]
    for name in ("ppo", "expert_iteration"):
        (run,) = replace(paper, algorithm=name).runs()
        assert isinstance(run, ModelRun)
        assert run.training.stages[-1].settings.completion_length == 1024


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"ppo": Ppo(epochs=5)}, r"--ppo\.\* has no effect: this study trains with grpo"),
        ({"chains": ((Sft(), Grpo()),), "sft": Sft(epochs=3)}, "settings of their own"),
        ({"algorithm": "dr_grpo", "grpo": Grpo(loss_type="sapo")}, r"--grpo\.loss-type"),
        ({"lora": LoraSettings(rank=4)}, "--train lora"),
        ({"exploration": Exploration(coefficient=0.5)}, r"without --exploration\.bonus"),
        ({"exploration": Exploration(bonus="batch", baseline=1.0)}, "ucb_constant"),
        ({"algorithm": "rloo", "sweep": Sweep(algorithm=("grpo",))}, r"--sweep\.algorithm names"),
    ],
    ids=str,
)
def test_options_that_no_run_uses_are_refused(demo: LadderStudy, changes: dict, named: str):
    with pytest.raises(InputError, match=named):
        check_options_used(replace(demo, **changes), demo)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"algorithm": "ppo", "ppo": Ppo(epochs=5)},
        {"algorithm": "gspo", "grpo": Grpo(epochs=5, learning_rate=1e-4)},
        {"before": ("sft",), "sft": Sft(epochs=3)},
        {"sweep": Sweep(algorithm=("rloo", "ppo")), "ppo": Ppo(epochs=5)},
        {"train": "lora", "lora": LoraSettings(rank=4)},
        {"sweep": Sweep(bonus=("none", "batch")), "exploration": Exploration(coefficient=0.5)},
    ],
    ids=str,
)
def test_options_that_are_used_are_not(demo: LadderStudy, changes: dict):
    check_options_used(replace(demo, **changes), demo)


def test_seeds_of_world_initialisation_and_sampling_are_axes_of_their_own(demo: LadderStudy):
    sweep = Sweep(world_seed=(0, 5), sampling_seed=(2, 3))
    runs = ladder_runs(replace(demo, scales=("0.04M",), seeds=(0, 1), sweep=sweep))
    found = {(run.base.world.seed, run.base.seed, run.training.seed) for run in runs}
    assert found == {(w, i, s) for w in (0, 5) for i in (0, 1) for s in (2, 3)}
    assert len({run.address for run in runs}) == len({run.label for run in runs}) == 8
    bases = [task for task in graph(runs) if task.facts.kind == "base"]
    assert len(bases) == 4
    assert {run.label.split()[-1] for run in runs} >= {"s0.2", "w5s1.3"}


def test_addresses_are_known_beforehand_and_follow_what_is_decided(demo: LadderStudy):
    study = replace(demo, scales=("0.04M",), before=("sft",))
    sft, grpo = ladder_runs(study)
    assert [need.address for need in grpo.needs] == [sft.address]
    assert [need.address for need in sft.needs] == [f"bases/{sft.base.name}"]
    (_, other) = ladder_runs(replace(study, sft=Sft(epochs=9)))
    assert other.address != grpo.address
    (_, saved) = ladder_runs(replace(study, grpo=replace(study.grpo, checkpoint_every=1)))
    assert saved.address == grpo.address


def test_a_real_models_run_is_told_by_the_content_of_files(tmp_path: Path):
    problems = tmp_path / "problems.jsonl"

    def address(text: str) -> str:
        problems.write_text(text)
        problems_digest.cache_clear()  # read once in a command
        study = load_experiment(EXPERIMENTS / "gsm8k.py")[1]["cpu"]
        assert isinstance(study, ModelStudy)
        (run,) = replace(study, problems=str(problems), model=str(tmp_path)).runs()
        return run.address

    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"0")
    one = address("a")
    assert address("b") != one
    assert address("a") == one
    model_digest.cache_clear()
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    assert address("a") != one


def test_the_readings_of_the_reward_are_an_axis(demo: LadderStudy):
    study = replace(demo, scales=("0.04M",), sweep=Sweep(reading=("strict", "flexible")))
    strict, flexible = ladder_runs(study)
    (plain,) = ladder_runs(replace(demo, scales=("0.04M",)))
    assert strict.address == plain.address != flexible.address
    assert "reading" not in str(strict.training.config)
    assert [run.words for run in (strict, flexible)] == [
        "correctness reward",
        "flexible correctness reward",
    ]
    both = replace(study, sweep=Sweep(reward=("correctness", "random"), reading=("flexible",)))
    assert {run.training.reward.name for run in ladder_runs(both)} == {
        "flexible correctness",
        "flexible random",
    }
    own = replace(study, reward=Reward(reading="flexible"), sweep=Sweep(reward=("random",)))
    assert {run.training.reward.name for run in ladder_runs(own)} == {"flexible random"}
