"""The help of an experiment: short, the common options first, with the values of the command."""

import sys
from pathlib import Path

import pytest

from formatlab.cli.run import main

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def help_of(capsys: pytest.CaptureFixture[str], *words: str, name: str = "scale_attractors") -> str:
    assert main([str(EXPERIMENTS / f"{name}.py"), *words, "--help"]) == 0
    return capsys.readouterr().out


def test_common_options_come_first_and_the_rest_takes_a_line_each(
    capsys: pytest.CaptureFixture[str],
):
    lines = help_of(capsys).splitlines()
    assert len(lines) < 160
    assert max(map(len, lines)) <= 100
    common = lines.index("common options")
    grpo = lines.index("grpo: Group relative policy optimisation")
    for name in ("preset", "scales", "seeds", "algorithm", "jobs", "only", "runs-dir", "dry-run"):
        (at,) = [index for index, line in enumerate(lines) if line.startswith(f"  --{name} ")]
        assert common < at < grpo
    rest = [line for line in lines[grpo + 1 : -4] if line.startswith(" ")]
    assert all(line.startswith("  --") for line in rest)
    assert any(line.split()[:2] == ["--pretraining.tokens", "3000000"] for line in rest)


def test_settings_that_the_study_does_not_use_are_left_out_until_it_does(
    capsys: pytest.CaptureFixture[str],
):
    said = help_of(capsys)
    assert "--ppo.gae-lambda" not in said and "--lora.rank" not in said
    assert "--ppo.*" in said.split("Left out")[1]
    said = help_of(capsys, "--algorithm", "ppo", "--train", "lora", "--ppo.gae-lambda", "0.5")
    assert "--ppo.gae-lambda 0.5 " in said and "--lora.rank 16 " in said
    assert "--grpo.*" in said.split("Left out")[1]
    assert "--grpo.epochs 2 " in help_of(capsys, "--algorithm", "gspo")


def test_presets_and_studies_of_real_models_have_theirs(capsys: pytest.CaptureFixture[str]):
    said = help_of(capsys, "--preset", "cpu", name="gsm8k")
    assert "presets: " in said and "--model " in said and "--shots.seed 0" in said
    assert "--scales" not in said


def test_every_option_is_in_the_long_help(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "argv", ["formatlab"])
    with pytest.raises(SystemExit):
        main([str(EXPERIMENTS / "scale_attractors.py"), "--help-all"])
    said = capsys.readouterr().out
    assert "--ppo.gae-lambda" in said and "--lora.rank" in said
