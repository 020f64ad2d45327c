"""What is said about a package that is not there."""

import tomllib
from pathlib import Path

import pytest

from formatlab.errors import missing_package

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("torch.nn", "train"),
        ("pandas", "measure"),
        ("sacrebleu.metrics", "measure"),
        ("sentence_transformers", "embed"),
    ],
)
def test_the_extra_that_is_told_brings_the_package(module: str, extra: str):
    said = missing_package(module)
    package = module.partition(".")[0]
    assert said.startswith(f"{package} is not installed, and ")
    assert f"pip install 'formatlab[{extra}]'" in said
    brought = " ".join(PROJECT["optional-dependencies"][extra])
    assert f"{package.replace('_', '-')}>=" in brought


@pytest.mark.parametrize("module", [None, "", "numpy", "no_such_package"])
def test_other_packages_are_not_told_of(module: str | None):
    assert missing_package(module) == ""
