"""A tiny base that sometimes is right, made once for all tests of training."""

from pathlib import Path

import pytest
from made_once import common_folder, made_once
from on_policy_process import WORLD

from formatlab.train.pretraining.base import Base, Pretraining
from formatlab.train.pretraining.make_base import finished_base, make_base
from formatlab.train.probe import Probe
from formatlab.world.world import World


@pytest.fixture(scope="session")
def world() -> World:
    return WORLD


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished base of the smallest scale."""
    base = Base(
        world=WORLD,
        scale="0.04M",
        pretraining=Pretraining(tokens=500_000, vocabulary=300),
        probe=Probe(prompts=16, samples=2),
    )

    def make(folder: Path) -> None:
        make_base(base, folder, lambda *_: None)

    runs = made_once(common_folder(tmp_path_factory) / "tiny_base", make)
    return finished_base(base, runs).path.parent
