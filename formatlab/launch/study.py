"""A study: a grid of runs that answers one question."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Literal

from formatlab.errors import InputError
from formatlab.launch.ladder_run import LadderRun
from formatlab.launch.model_run import ModelRun
from formatlab.launch.run import Run
from formatlab.models.lora import LoraSettings
from formatlab.models.scale import Scale, find_scale
from formatlab.train.base import Base, Pretraining
from formatlab.train.grpo import Grpo
from formatlab.train.probe import Probe
from formatlab.world.shots import Shots
from formatlab.world.world import World

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TAKEN = ("bases", "corpora", "models")


class Study(ABC):
    """What an experiment file holds under `PRESETS`, one for each preset."""

    name: str

    @abstractmethod
    def runs(self) -> list[Run]:
        """Every run of the grid.

        Raises:
            InputError: a field does not fit.
        """


@dataclass(frozen=True, kw_only=True)
class LadderStudy(Study):
    """Scales x seeds in one controlled world."""

    name: str
    """Name of the folder in the runs folder."""
    world: World
    """Problems, formats and mixture."""
    scales: tuple[str, ...]
    """Scales of the ladder: 0.04M 0.08M 0.13M 0.27M 0.46M 1.9M 4.1M 12M 32M 107M."""
    seeds: tuple[int, ...] = (0,)
    """Each decides a base's weights and documents' order, and its run's prompts and samples."""
    pretraining: Pretraining
    """How every base is made."""
    grpo: Grpo = Grpo()
    """How every base is trained."""
    probe: Probe = Probe()
    """How every policy is observed."""

    def runs(self) -> list[Run]:
        """One run a scale and seed, the largest scale first: it takes longest."""
        _check_name(self.name)
        _check_axis(self.name, "scales", self.scales)
        _check_seeds(self.name, self.seeds)
        scales = sorted((find_scale(name) for name in self.scales), key=lambda s: -s.width)
        return [
            LadderRun(
                study=self.name,
                base=Base(
                    world=self.world, scale=scale.name, pretraining=self.pretraining, seed=seed
                ),
                grpo=_at_scale(self.grpo, scale),
                probe=self.probe,
            )
            for seed in self.seeds
            for scale in scales
        ]


def _check_name(name: str) -> None:
    """A name must be that of one folder, beside those that the lab itself makes."""
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise InputError(
            f"study name {name!r}: letters, digits, '.', '_' and '-', beginning with a letter or "
            f"digit, and none of {', '.join(_TAKEN)}"
        )


def _check_axis(name: str, axis: str, values: tuple[object, ...]) -> None:
    if not values:
        raise InputError(f"study {name}: {axis} is empty; name at least one")
    if len(set(values)) < len(values):
        raise InputError(f"study {name}: {axis} names one of {values} twice")


def _check_seeds(name: str, seeds: tuple[int, ...]) -> None:
    _check_axis(name, "seeds", seeds)
    if min(seeds) < 0:
        raise InputError(f"study {name}: seed {min(seeds)}; seeds are 0 or more")


def _at_scale(grpo: Grpo, scale: Scale) -> Grpo:
    """The settings with everything decided."""
    if grpo.learning_rate is not None:
        return grpo
    return replace(grpo, learning_rate=scale.rl_learning_rate)


@dataclass(frozen=True, kw_only=True)
class ModelStudy(Study):
    """One real model on real problems, over seeds."""

    name: str
    """Name of the folder in the runs folder."""
    model: str
    """Hub id, local folder, GGUF file, or `smollm2-135m` (installed by `make real`)."""
    problems: str
    """Problems to train on: hub id, local file, or `gsm8k`."""
    probe_problems: str = ""
    """Problems to observe on; the same set if empty, without those trained on."""
    probe_split: str = "test"
    """Split to observe on, for sets that have several."""
    seeds: tuple[int, ...] = (0,)
    """Each decides one run's prompts and samples."""
    shots: Shots = Shots(counts={})
    """Worked examples before each question: format -> number; none by default."""
    chat: bool = False
    """Whether to use the model's chat template."""
    train: Literal["full", "lora"] = "full"
    """Train all weights, or an adapter."""
    lora: LoraSettings = LoraSettings()
    """The adapter, where one is trained."""
    grpo: Grpo
    """How the model is trained."""
    probe: Probe = Probe(prompts=128, samples=4)
    """How the policy is observed."""

    def runs(self) -> list[Run]:
        """One run a seed."""
        _check_name(self.name)
        _check_seeds(self.name, self.seeds)
        return [
            ModelRun(
                study=self.name,
                model=self.model,
                problems=self.problems,
                probe_problems=self.probe_problems or self.problems,
                probe_split=self.probe_split,
                shots=self.shots,
                chat=self.chat,
                grpo=self.grpo,
                probe=self.probe,
                lora=self.lora if self.train == "lora" else None,
                seed=seed,
            )
            for seed in self.seeds
        ]
