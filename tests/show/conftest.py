"""Small synthetic studies to show."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_runs import SyntheticRun, write_run

from formatlab.store import RunFolder

Factory = Callable[..., RunFolder]


@pytest.fixture
def make_run(tmp_path: Path) -> Factory:
    """Write a small run; options of `SyntheticRun`, and `train` and `done` of `write_run`."""

    def make(*, train: bool = True, done: bool = True, **options: Any) -> RunFolder:
        plain: dict[str, Any] = {
            "start": {"program": 0.4, "prose": 0.6},
            "end": {"program": 0.95, "prose": 0.05},
            "accuracy": {"program": 0.7, "prose": 0.3},
            "steps_per_epoch": 4,
            "rollouts_per_step": 32,
            "probe_prompts": 24,
            "probe_epochs": (0.0, 0.5, 1.0, 2.0),
        }
        return write_run(tmp_path / "runs", SyntheticRun(**plain | options), train=train, done=done)

    return make


@pytest.fixture
def grid(make_run: Factory) -> list[RunFolder]:
    """Two scales with two seeds each: the small one ends in program, the large one in prose."""
    large = {"end": {"program": 0.05, "prose": 0.95}, "scale": "0.8M", "parameters": 812_345}
    return [make_run(seed=seed, **of) for of in (large, {}) for seed in (1, 0)]
