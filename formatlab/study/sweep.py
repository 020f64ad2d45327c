"""Sweeps: what a study varies besides scales and seeds, in every combination of the values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Annotated, Any, TypeVar

import tyro

from formatlab.errors import InputError
from formatlab.train.algorithm import AlgorithmName
from formatlab.train.on_policy.exploration import BonusName, Exploration
from formatlab.train.reward import Reading, Reward, RewardKind
from formatlab.train.stage import StageSettings
from formatlab.world.mixture import Mixture
from formatlab.world.world import World

_OF_ALGORITHMS = (
    "kl_coefficient",
    "entropy_coefficient",
    "temperature",
    "group_size",
    "learning_rate",
    "epochs",
)
"""The axes that are settings of an algorithm."""

MixtureText = Annotated[
    str | Mixture,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="MIXTURE",
        instance_from_str=lambda words: words[0],
        is_instance=lambda value: isinstance(value, str | Mixture),
        str_from_instance=lambda value: [str(value)],
    ),
]
"""A mixture, on the command line as text."""

_T = TypeVar("_T", Reward, Exploration, StageSettings, World)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Axes of a study. An axis without values is not varied: the study's own setting holds."""

    algorithm: tuple[AlgorithmName, ...] = ()
    """Algorithms, each with its own settings."""
    reward: tuple[RewardKind, ...] = ()
    """Kinds of reward."""
    reading: tuple[Reading, ...] = ()
    """Readings of answers by the reward."""
    bonus: tuple[BonusName, ...] = ()
    """Bonuses for exploration."""
    kl_coefficient: tuple[float, ...] = ()
    """Weights of the KL divergence to the base."""
    entropy_coefficient: tuple[float, ...] = ()
    """Weights of the bonus for entropy."""
    temperature: tuple[float, ...] = ()
    """Sampling temperatures of training rollouts."""
    group_size: tuple[int, ...] = ()
    """Completions of each prompt."""
    learning_rate: tuple[float, ...] = ()
    """Peak learning rates."""
    epochs: tuple[int, ...] = ()
    """Passes over the prompts."""
    mixture: tuple[MixtureText, ...] = ()
    """Mixtures of the pretraining documents, each as text: program=.5,prose=.5. A name stands in
    front, phrases that a format misreads behind it: half:program=.5/times+fold,prose=.5. In a file
    a mixture may also be a Mixture."""
    mistranslated: tuple[str, ...] = ()
    """Phrases that the unfaithful formats of the mixture misread, each as text: times+fold, times,
    or none for documents without mistakes."""
    world_seed: tuple[int, ...] = ()
    """Seeds of problems and documents."""
    sampling_seed: tuple[int, ...] = ()
    """Seeds of prompts' order and samples, each on every base."""

    def rewards(self, own: Reward) -> list[Reward]:
        """The rewards, or the study's own."""
        if self.reward and replace(own, reading=Reward.reading) != Reward():
            raise InputError("sweep: give either --reward or --sweep.reward")
        return _varied(own, {"kind": self.reward, "reading": self.reading})

    def explorations(self, own: Exploration) -> list[Exploration]:
        """The bonuses, or the study's own, with the study's other settings of exploration."""
        return _varied(own, {"bonus": self.bonus})

    def settings(self, own: StageSettings) -> list[StageSettings]:
        """Every combination of the values of the axes that are settings of an algorithm.

        Raises:
            InputError: an axis that is no setting of the algorithm.
        """
        axes = {name: getattr(self, name) for name in _OF_ALGORITHMS if getattr(self, name)}
        known = {field.name for field in fields(own)}
        for name in axes:
            if name not in known:
                raise InputError(
                    f"sweep: {own.name} has no {name}; remove that axis, or that algorithm, from "
                    "the sweep"
                )
        return _varied(own, axes)

    def worlds(self, own: World) -> list[World]:
        """Every combination of mixture, fidelity and seed, in the study's own world.

        Raises:
            InputError: a text that is no mixture, phrases of a mixture without mistakes, or two
                mixtures of one name.
        """
        mixtures = [
            of if isinstance(of, Mixture) else Mixture.read(of, own.mixture) for of in self.mixture
        ] or [own.mixture]
        if self.mistranslated:
            mixtures = [of.misreading(text) for of in mixtures for text in self.mistranslated]
        for name, times in Counter(of.name for of in mixtures).items():
            if times > 1:
                raise InputError(
                    f"sweep: two mixtures are called {name!r}; give each a name of its own, as in "
                    "half:program=.5,prose=.5"
                )
        return _varied(own, {"mixture": mixtures, "seed": self.world_seed})


def _varied(own: _T, axes: Mapping[str, Sequence[Any]]) -> list[_T]:
    """Every combination of the axes' values; what an axis without values names stays as it is."""
    given = {name: values for name, values in axes.items() if values}
    combinations = product(*given.values())
    return [replace(own, **dict(zip(given, values, strict=True))) for values in combinations]
