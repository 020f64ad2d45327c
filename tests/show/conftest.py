"""Small synthetic studies to show."""

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from synthetic_runs import SyntheticRun, write_run

from formatlab.store import RunFolder

Factory = Callable[..., RunFolder]


@pytest.fixture
def make_run(tmp_path: Path) -> Factory:
    """Write a small run; options of `SyntheticRun`, and `train` and `done` of `write_run`.

    `config` has further keys of its configuration; runs with different ones get folders of their
    own. `metrics` replaces the lines of its metrics.jsonl.
    """

    def make(
        *,
        train: bool = True,
        done: bool = True,
        config: Mapping[str, Any] | None = None,
        metrics: Iterable[Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> RunFolder:
        plain: dict[str, Any] = {
            "start": {"program": 0.4, "prose": 0.6},
            "end": {"program": 0.95, "prose": 0.05},
            "accuracy": {"program": 0.7, "prose": 0.3},
            "steps_per_epoch": 4,
            "rollouts_per_step": 32,
            "probe_prompts": 24,
            "probe_epochs": (0.0, 0.5, 1.0, 2.0),
        }
        folder = tmp_path / "runs"
        if config:
            folder /= str(zlib.crc32(json.dumps(config).encode()))
        run = write_run(folder, SyntheticRun(**plain | options), train=train, done=done)
        if config:
            (run.path / "config.json").write_text(json.dumps(run.config | dict(config)))
        if metrics is not None:
            run.drop_metrics_from(0)
            run.append_metrics(*metrics)
        return run

    return make


@pytest.fixture
def grid(make_run: Factory) -> list[RunFolder]:
    """Two scales with two seeds each: the small one ends in program, the large one in prose."""
    large = {"end": {"program": 0.05, "prose": 0.95}, "scale": "0.8M", "parameters": 812_345}
    return [make_run(seed=seed, **of) for of in (large, {}) for seed in (1, 0)]


@pytest.fixture
def all_text() -> Callable[[Figure], str]:
    """Return what is written in a figure, but for its legend."""

    def read(figure: Figure) -> str:
        texts = [text.get_text() for text in figure.texts]
        for panel in figure.axes:
            texts += [text.get_text() for text in panel.texts]
            texts += [panel.get_title(loc="left"), *(t.get_text() for t in panel.get_xticklabels())]
        return "\n".join(texts).replace("\u00a0", " ")

    return read
