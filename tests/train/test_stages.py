"""Stages in a row, and what holds for each of them."""

import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import pytest
from safetensors.torch import load_file
from stage_process import STAGES, train

from formatlab.errors import InputError
from formatlab.train.algorithm import AlgorithmName, Algorithms
from formatlab.train.on_policy.settings import Rloo


@pytest.mark.parametrize("name", ["algorithm", "training"])
def test_settings_are_imported_without_torch(name: str):
    code = f"import sys, formatlab.train.{name}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("field", fields(Algorithms), ids=lambda field: field.name)
def test_an_algorithm_is_a_switch_by_its_own_name(field: Any):
    settings = field.default_factory()
    assert settings.name == field.name
    assert field.name in get_args(AlgorithmName)


def test_a_missing_learning_rate_is_named_with_its_option(tmp_path: Path):
    for settings in (Rloo(), STAGES["sft"], STAGES["expert_iteration"]):
        option = settings.name.replace("_", "-")
        with pytest.raises(InputError, match=rf"--{option}\.learning-rate"):
            train(tmp_path / "base", tmp_path / "run", replace(settings, learning_rate=None))


@pytest.mark.parametrize("name", STAGES)
def test_several_processes_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="2 processes were started"):
        train(tmp_path / "base", tmp_path / "run", STAGES[name])
    assert not (tmp_path / "run" / "rollouts").exists()


def test_a_stage_starts_from_what_the_one_before_it_left(tiny_base: Path, tmp_path: Path):
    documents: Any = STAGES["sft-documents"]
    dpo: Any = STAGES["dpo"]
    first = train(
        tiny_base, tmp_path / "sft", replace(documents, formats=("tool_tags",), examples=32)
    )
    left = first.path / "policy"
    second = train(tiny_base, tmp_path / "dpo", replace(dpo, batch=2), model=left)
    third = train(
        tiny_base, tmp_path / "rl", STAGES["expert_iteration"], model=second.path / "policy"
    )
    ends, starts = (
        [row["completion"] for row in run.rollouts("probe", epoch=epoch).to_pylist()]
        for run, epoch in ((first, 2.0), (second, 0.0))
    )
    assert ends == starts
    weights = [load_file(p / "model.safetensors") for p in (left, third.path / "policy")]
    assert any(not weights[0][name].equal(weights[1][name]) for name in weights[0])
