"""Fields of a study that hold another kind of value than their annotation says."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import pytest
from tiny_study import TINY

from formatlab.cli.main import main
from formatlab.errors import InputError
from formatlab.store.field_kinds import kind_fault
from formatlab.study.experiment import load_experiment
from formatlab.study.sweep import Sweep

IMPORTS = "from formatlab.study.sweep import Sweep\nfrom formatlab.train.reward import Reward\n"


def experiment(folder: Path, change: str) -> Path:
    path = folder / "tiny.py"
    path.write_text(f'{TINY}{IMPORTS}PRESETS = {{"t": replace(TINY, {change})}}\n')
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('sweep=Sweep(reward="random")', "sweep.reward is 'random'; it has to be a tuple, as"),
        ("seeds=3", "seeds is 3; it has to be a tuple, as (3,)"),
        ("seeds={0, 1}", "seeds is {0, 1}; it has to be a tuple"),
        ('seeds=[0, "1"]', "seeds[1] is '1'; it has to be a whole number"),
        ('seeds=(0, "1")', "seeds[1] is '1'; it has to be a whole number"),
        ('scales="0.04M"', "scales is '0.04M'; it has to be a tuple, as ('0.04M',)"),
        ('algorithm="grop"', "algorithm is 'grop'; it has to be one of 'grpo', 'dr_grpo'"),
        ("chains=(Grpo(),)", "chains[0] is Grpo(...); it has to be a tuple, as (Grpo(...),)"),
        ('reward="random"', "reward is 'random'; it has to be of type Reward"),
        ('probe=Probe(temperature=float("inf") * 0)', "temperature is nan"),
        ("grpo=Grpo(epochs=True)", "grpo.epochs is True; it has to be a whole number"),
        ("pretraining=Pretraining(tokens=6e4)", "pretraining.tokens is 60000.0; it has to be a"),
        ("name=3", "name is 3; it has to be a text"),
    ],
)
def test_the_preset_and_the_field_are_named(change: str, said: str, tmp_path: Path):
    path = experiment(tmp_path, change)
    with pytest.raises(InputError) as caught:
        load_experiment(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('world=replace(TINY.world, families="chain")', "World: families is 'chain'"),
        ('probe=Probe(prompts="6")', "Probe: prompts is '6'; it has to be a whole number"),
        ('grpo=Grpo(learning_rate="1e-3")', "learning_rate is '1e-3'; it has to be a number or No"),
        ('reward=Reward(false_positives={"prose": "1"})', "false_positives['prose'] is '1'"),
        (
            'world=replace(TINY.world, mixture=Mixture(name="a", shares={"prose": 1}, '
            'mistranslates={"prose": "times"}))',
            "Mixture: mistranslates['prose'] is 'times'; it has to be a tuple, as ('times',)",
        ),
    ],
)
def test_settings_that_stumble_over_a_field_name_it_and_the_line(
    change: str, said: str, tmp_path: Path
):
    path = experiment(tmp_path, change)
    line = len(path.read_text().splitlines())
    with pytest.raises(InputError) as caught:
        load_experiment(path)
    assert f"{path}, line {line}: " in str(caught.value)
    assert said in str(caught.value)


def test_other_mistakes_are_told_as_before(tmp_path: Path):
    path = experiment(tmp_path, 'world=replace(TINY.world, families=("riddle",))')
    with pytest.raises(InputError, match="unknown family 'riddle'"):
        load_experiment(path)


def test_a_study_made_in_a_program_is_checked_before_it_is_planned(tmp_path: Path):
    study = load_experiment(experiment(tmp_path, "seeds=(0,)"))[1]["t"]
    with pytest.raises(InputError, match=r"study tiny: sweep.reward is 'random'"):
        replace(study, sweep=Sweep(reward="random")).runs()  # pyright: ignore[reportArgumentType]


def test_the_command_line_prints_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = experiment(tmp_path, 'sweep=Sweep(reward="random")')
    assert main(["run", str(path), "--dry-run", "--runs-dir", str(tmp_path / "runs")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@dataclass(frozen=True, kw_only=True)
class Inner:
    pair: tuple[float, float] = (0.9, 0.95)


@dataclass(frozen=True, kw_only=True)
class Settings:
    inner: Inner | None = None
    named: Annotated[Mapping[str, tuple[Inner, ...]], "a remark"] | None = None
    either: Literal[1, "one"] | float = 1
    anything: "object" = None


@pytest.mark.parametrize(
    "right",
    [
        Settings(),
        Settings(inner=Inner(pair=(1, 0)), named={"a": (Inner(),), "b": ()}),
        Settings(either="one", anything=3),
        Settings(either=2, named={"a": [Inner()]}),  # pyright: ignore[reportArgumentType]
    ],
)
def test_what_is_right_passes(right: Settings):
    assert kind_fault(right) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"inner": Inner(pair=(1.0,))}, "inner.pair is (1.0,); it has to be a tuple of 2"),  # pyright: ignore[reportArgumentType]
        ({"inner": 3}, "inner is 3; it has to be of type Inner or None"),
        ({"named": {"a": (3,)}}, "named['a'][0] is 3; it has to be of type Inner"),
        ({"named": {4: ()}}, "named[4] is 4; it has to be a text"),
        ({"either": "two"}, "either is 'two'; it has to be one of 1, 'one' or a number"),
        ({"either": True}, "either is True; it has to be"),
    ],
)
def test_what_lies_inside_is_checked(changes: dict, said: str):
    fault = kind_fault(Settings(**changes))
    assert fault is not None
    assert fault.startswith(said)
