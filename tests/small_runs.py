"""Writes small synthetic runs."""

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from synthetic_runs import SyntheticRun, write_run

from formatlab.store import RunFolder

Factory = Callable[..., RunFolder]


def run_factory(parent: Path) -> Factory:
    """Give a function that writes a small run into a folder.

    It takes the options of `SyntheticRun`, and `train` and `done` of `write_run`. `config` has
    further keys of the run's configuration; runs with different ones get folders of their own.
    `metrics` replaces the lines of its metrics.jsonl.
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
        folder = parent / "runs"
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


def study_factory(parent: Path) -> Factory:
    """Give a function that writes runs of few rollouts into the folder of one study.

    It takes the options of the function that `run_factory` gives.
    """
    make = run_factory(parent)

    def make_of_study(**options: Any) -> RunFolder:
        few = {"probe_prompts": 12, "probe_samples": 4, "probe_epochs": (0.0, 0.5, 2.0)}
        few |= {"steps_per_epoch": 2, "rollouts_per_step": 16, "config": {"kind": "run"}}
        return make(**few | options)

    return make_of_study
