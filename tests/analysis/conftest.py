"""Small synthetic studies to be read."""

from pathlib import Path

import pytest
from small_runs import Factory, study_factory


@pytest.fixture
def make_run(tmp_path: Path) -> Factory:
    """What writes a small run into the folder of a study; see `study_factory`."""
    return study_factory(tmp_path)


@pytest.fixture
def study(make_run: Factory) -> Path:
    """The folder of a study of two scales with two seeds each."""
    large = {"scale": "0.8M", "parameters": 812_345}
    runs = [make_run(seed=seed, **of) for of in ({}, large) for seed in (0, 1)]
    return runs[0].path.parent
