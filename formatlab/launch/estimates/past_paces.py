"""Past paces: how long a step took in the finished runs of a runs folder."""

import platform
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from formatlab.errors import FormatlabError
from formatlab.launch.estimates.training_trial import costly_settings
from formatlab.store.config import config_hash
from formatlab.store.metrics_log import metrics_tail
from formatlab.store.run_folder import RunFolder

_ROWS = 512
"""Lines of metrics that a pace is taken from at most."""


class PastPaces:
    """Paces of the finished runs and bases that were made on a system like this one.

    Folders say their system, threads and version of torch, not their processor.
    """

    def __init__(self, runs: Path, gpu: str | None = None) -> None:
        """Read them from a runs folder, which need not exist.

        Args:
            runs: the runs folder.
            gpu: model of the GPU that work is done on; None for the CPU.
        """
        device = gpu or platform.processor() or "cpu"
        found: defaultdict[str, list[float]] = defaultdict(list)
        for done in runs.glob("[!.]*/[!.]*/DONE"):
            with suppress(FormatlabError, OSError, KeyError, TypeError):
                folder = RunFolder.open(done.parent)
                pace = _pace(folder)
                if pace is not None and _made_here(folder.env, device):
                    found[_kind(folder.config, folder.env["threads"])].append(pace)
        self._paces = {kind: median(paces) for kind, paces in found.items()}

    def seconds_per_step(self, config: Mapping[str, Any], threads: int) -> float | None:
        """The median of runs that cost what this one does; None if there are none.

        The steps of a run include its probes.

        Args:
            config: of a run folder, or as much of one as says kind, scale and settings.
            threads: that it is trained with.
        """
        return self._paces.get(_kind(config, threads))


def _pace(folder: RunFolder) -> float | None:
    """Seconds a step; a base's lines, one in many steps, count from when it began or went on."""
    rows = metrics_tail(folder.path / "metrics.jsonl", _ROWS)
    if not rows:
        return None
    if folder.config["kind"] == "run":
        return sum(row["seconds"] for row in rows) / len(rows)
    pairs = [
        (after["step"] - before["step"], after["seconds"] - before["seconds"])
        for before, after in pairwise(rows)
    ]
    through = [(steps, seconds) for steps, seconds in pairs if steps > 0 and seconds > 0]
    steps, seconds = map(sum, zip(*through, strict=True)) if through else (0, 0)
    return seconds / steps if steps else None


def _made_here(env: Mapping[str, Any], device: str) -> bool:
    return (
        env["device"] == device
        and env["platform"] == platform.platform()
        and env["packages"]["torch"] == metadata.version("torch")
    )


def _kind(config: Mapping[str, Any], threads: int) -> str:
    """Equal for runs whose steps cost the same."""
    kind = {
        "scale": config["scale"]["name"],
        "world": config.get("world", {}) | {"seed": 0},  # real models have none
        "threads": threads,
    }
    if config["kind"] == "base":
        pretraining = config["pretraining"]
        return config_hash(kind | {name: pretraining[name] for name in ("vocabulary", "loss_on")})
    probe = config["probe"]
    return config_hash(
        kind
        | {
            "algorithm": config["algorithm"],
            "settings": costly_settings(config["settings"])
            | {name: config["settings"].get(name) for name in ("prompts", "source", "examples")},
            "lora": config["lora"],
            "engine": config.get("engine"),
            "probe": {name: probe[name] for name in ("prompts", "samples")},
        }
    )
