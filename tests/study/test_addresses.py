"""Addresses: every number and rule that decides a base or a run moves the name of its folder."""

from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from formatlab.models import scale as scale_module
from formatlab.models.lora import LoraSettings
from formatlab.models.scale import Scale
from formatlab.observe import grader
from formatlab.store.config import config_hash
from formatlab.study.experiment import load_experiment
from formatlab.study.ladder_run import LadderRun
from formatlab.study.study import LadderStudy, ModelStudy, Study
from formatlab.train import training as training_module
from formatlab.train import trl_arguments
from formatlab.train.expert_iteration.settings import ExpertIteration
from formatlab.train.fine_tuning.settings import Dpo, Sft
from formatlab.train.on_policy.exploration import Exploration
from formatlab.train.on_policy.settings import Grpo, Ppo, Rloo
from formatlab.train.pretraining import base as base_module
from formatlab.train.pretraining.base import RECIPE, Pretraining, corpus_name
from formatlab.train.reward import Reward
from formatlab.train.rules import RULES
from formatlab.world import corpus, families, problem_set, prompt, tokenizer, world
from formatlab.world.families import FAMILIES
from formatlab.world.formats import FORMATS
from formatlab.world.four_formats import FOUR_FORMATS

STUDY = LadderStudy(
    name="addresses",
    world=replace(FOUR_FORMATS, families=("chain", "pair")),
    scales=("0.13M",),
    pretraining=Pretraining(tokens=1_000_000),
)
SETTINGS = (Grpo(), Ppo(), Rloo(), ExpertIteration(), Sft(), Dpo())
STAGES: dict[str, Study] = {
    settings.name: replace(STUDY, chains=((settings,),)) for settings in SETTINGS
}
STAGES["bonus"] = replace(STUDY, exploration=Exploration(bonus="batch"))
STAGES["lora"] = replace(STUDY, train="lora")
DERIVED = [name for name, of in vars(Scale).items() if isinstance(of, property)]
DERIVED.remove("config")


def run_of(study: Study = STUDY) -> LadderRun:
    (run,) = study.runs()
    assert isinstance(run, LadderRun)
    return run


def addresses(study: Study = STUDY) -> tuple[str, str, str]:
    """Names of corpus, base and run."""
    run = run_of(study)
    return corpus_name(run.base.config), run.base.name, run.address


def moved(change: Callable[[], object], study: Study = STUDY) -> tuple[bool, bool, bool]:
    """Whether the names of corpus, base and run are others after a change."""
    before = addresses(study)
    change()
    of_corpus, base, run = (old != new for old, new in zip(before, addresses(study), strict=True))
    return of_corpus, base, run


@pytest.mark.parametrize("name", DERIVED)
def test_every_number_that_follows_from_the_scale(name: str, monkeypatch: pytest.MonkeyPatch):
    rule = vars(Scale)[name].fget

    def change() -> None:
        monkeypatch.setattr(Scale, name, property(lambda scale: 2 * rule(scale)))

    of_run_alone = name == "rl_learning_rate"
    assert moved(change) == (False, not of_run_alone, True)


@pytest.mark.parametrize("name", scale_module.ARCHITECTURE)
def test_what_all_scales_have_in_common(name: str, monkeypatch: pytest.MonkeyPatch):
    changed = scale_module.ARCHITECTURE | {name: "another"}
    change = lambda: monkeypatch.setattr(scale_module, "ARCHITECTURE", changed)  # noqa: E731
    assert moved(change) == (False, True, True)


@pytest.mark.parametrize("name", [field.name for field in fields(RECIPE)])
def test_every_number_of_pretraining(name: str, monkeypatch: pytest.MonkeyPatch):
    changed = replace(RECIPE, **{name: 2 * getattr(RECIPE, name)})
    assert moved(lambda: monkeypatch.setattr(base_module, "RECIPE", changed)) == (False, True, True)


@pytest.mark.parametrize("module", [world, prompt, tokenizer, corpus])
def test_what_decides_documents(module: Any, monkeypatch: pytest.MonkeyPatch):
    assert all(moved(lambda: monkeypatch.setattr(module, "VERSION", module.VERSION + 1)))


def test_documents_of_the_tokenizer(monkeypatch: pytest.MonkeyPatch):
    assert all(moved(lambda: monkeypatch.setattr(tokenizer, "TRAINING_DOCUMENTS", 10)))


@pytest.mark.parametrize("name", FORMATS)
def test_formats_of_the_mixture_alone(name: str, monkeypatch: pytest.MonkeyPatch):
    there = name in STUDY.world.mixture.shares
    change = lambda: monkeypatch.setattr(type(FORMATS[name]), "version", 2)  # noqa: E731
    assert moved(change) == (there, there, there)


@pytest.mark.parametrize("name", FAMILIES)
def test_families_of_the_world_alone(name: str, monkeypatch: pytest.MonkeyPatch):
    there = name in STUDY.world.families
    change = lambda: monkeypatch.setitem(families.VERSIONS, name, families.VERSIONS[name] + 1)  # noqa: E731
    assert moved(change) == (there, there, there)


def test_grading_and_sampling_decide_the_probe_of_a_base_too(monkeypatch: pytest.MonkeyPatch):
    assert moved(lambda: monkeypatch.setattr(grader, "VERSION", grader.VERSION + 1)) == (
        False,
        True,
        True,
    )
    changed = replace(RULES, sampling=RULES.sampling + 1)
    assert moved(lambda: monkeypatch.setattr(base_module, "RULES", changed)) == (False, True, True)


@pytest.mark.parametrize("name", [field.name for field in fields(RULES)])
@pytest.mark.parametrize("stage", STAGES)
def test_every_rule_of_every_stage(name: str, stage: str, monkeypatch: pytest.MonkeyPatch):
    changed = replace(RULES, **{name: getattr(RULES, name) + 1})
    change = lambda: monkeypatch.setattr(training_module, "RULES", changed)  # noqa: E731
    assert moved(change, STAGES[stage]) == (False, False, True)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.name)
def test_the_code_of_an_algorithm(settings: Any, monkeypatch: pytest.MonkeyPatch):
    def change() -> None:
        monkeypatch.setattr(type(settings), "version", settings.version + 1)

    used = {"expert_iteration"} if settings.name == "sft" else set()
    before = {stage: addresses(study) for stage, study in STAGES.items()}
    change()
    of_grpo = {"bonus", "lora"} if settings.name == "grpo" else set()
    after = {stage: addresses(study) for stage, study in STAGES.items()}
    assert {s for s in STAGES if after[s] != before[s]} == {settings.name} | used | of_grpo


@pytest.mark.parametrize(
    ("rule", "stages"),
    [
        (Reward, {"grpo", "ppo", "rloo", "expert_iteration", "bonus", "lora"}),
        (Exploration, {"bonus"}),
        (LoraSettings, {"lora"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_code_that_some_stages_use(rule: Any, stages: set[str], monkeypatch: pytest.MonkeyPatch):
    before = {stage: addresses(study) for stage, study in STAGES.items()}
    monkeypatch.setattr(rule, "version", 2)
    assert {s for s, study in STAGES.items() if addresses(study) != before[s]} == stages


@pytest.mark.parametrize(
    "settings",
    [Sft(formats=("direct",)), Dpo(toward="direct", chosen="documents")],
    ids=lambda settings: settings.name,
)
def test_formats_that_documents_of_a_stage_are_in(
    settings: Sft | Dpo, monkeypatch: pytest.MonkeyPatch
):
    study = replace(STUDY, chains=((settings,),))
    assert "direct" not in STUDY.world.mixture.shares
    change = lambda: monkeypatch.setattr(type(FORMATS["direct"]), "version", 2)  # noqa: E731
    assert moved(change, study) == (False, False, True)


@pytest.mark.parametrize("module", [prompt, problem_set, grader])
def test_what_a_real_model_is_asked(module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"0")
    experiments = Path(__file__).parents[2] / "experiments"
    study = load_experiment(experiments / "gsm8k.py")[1]["cpu"]
    assert isinstance(study, ModelStudy)
    (run,) = replace(study, model=str(tmp_path)).runs()
    before = run.address
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    assert run.address != before


def test_trainers_take_the_numbers_of_the_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    changed = replace(RULES, weight_decay=0.5, least_rate=0.25)
    monkeypatch.setattr(trl_arguments, "RULES", changed)
    settings = Grpo(learning_rate=1e-3, schedule="cosine_with_min_lr")
    made = trl_arguments.on_policy_arguments(
        settings, training_module.Engine(), output=tmp_path, seed=0, processes=1
    )
    assert made["weight_decay"] == 0.5
    assert made["lr_scheduler_kwargs"] == {"min_lr_rate": 0.25}


def test_a_corpus_of_an_earlier_version_is_found_by_the_configuration_of_its_base():
    base = run_of().base
    of_world = asdict(base.world)
    pretraining = base.pretraining.config
    old = {"world": of_world, "pretraining": pretraining}
    wanted = {"world": of_world, "tokens": 1_000_000, "vocabulary": 512}
    assert corpus_name(old) == config_hash(wanted)
    assert corpus_name(base.config) != corpus_name(old)
