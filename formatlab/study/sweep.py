"""Sweeps: what a study varies besides scales and seeds, in every combination of the values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any, TypeVar

from formatlab.errors import InputError
from formatlab.train.algorithm import AlgorithmName
from formatlab.train.on_policy.exploration import BonusName, Exploration
from formatlab.train.reward import Reward, RewardKind
from formatlab.train.stage import StageSettings
from formatlab.world.mixture import Mixture
from formatlab.world.world import World

_FAITHFUL = "none"
_OF_ALGORITHMS = (
    "kl_coefficient",
    "entropy_coefficient",
    "temperature",
    "group_size",
    "learning_rate",
    "epochs",
)
"""The axes that are settings of an algorithm."""

_T = TypeVar("_T", Reward, Exploration, StageSettings, World)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Axes of a study. An axis without values is not varied: the study's own setting holds."""

    algorithm: tuple[AlgorithmName, ...] = ()
    """Algorithms, each with its own settings."""
    reward: tuple[RewardKind, ...] = ()
    """Kinds of reward."""
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
    mixture: tuple[str, ...] = ()
    """Mixtures of the pretraining documents, each as text: program=.5,prose=.5."""
    mistranslated: tuple[str, ...] = ()
    """Phrases that the unfaithful formats of the mixture misread, each as text: times+fold, times,
    or none for documents without mistakes."""
    world_seed: tuple[int, ...] = ()
    """Seeds of problems and documents."""
    sampling_seed: tuple[int, ...] = ()
    """Seeds of prompts' order and samples, each on every base."""

    def rewards(self, own: Reward) -> list[Reward]:
        """The rewards, or the study's own."""
        if self.reward and own != Reward():
            raise InputError("sweep: give either --reward or --sweep.reward")
        return _varied(own, {"kind": self.reward})

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
            InputError: a text that is no mixture, or phrases of a mixture without mistakes.
        """
        mixtures = [_mixture(text, own.mixture) for text in self.mixture] or [own.mixture]
        if self.mistranslated:
            mixtures = [
                _unfaithful(mixture, text) for mixture in mixtures for text in self.mistranslated
            ]
        return _varied(own, {"mixture": mixtures, "seed": self.world_seed})


def _varied(own: _T, axes: Mapping[str, Sequence[Any]]) -> list[_T]:
    """Every combination of the axes' values; what an axis without values names stays as it is."""
    given = {name: values for name, values in axes.items() if values}
    combinations = product(*given.values())
    return [replace(own, **dict(zip(given, values, strict=True))) for values in combinations]


def _mixture(text: str, own: Mixture) -> Mixture:
    """Read a mixture; what its formats misread is as in the study's own."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        form, _, share = part.partition("=")
        try:
            shares[form.strip()] = float(share)
        except ValueError:
            raise InputError(
                f"sweep: {text!r} is no mixture; write formats with their shares, as in "
                "program=.5,prose=.5"
            ) from None
    name = "-".join(f"{form}{100 * share:g}" for form, share in shares.items()).replace("_", "")
    misread = {form: of for form, of in own.mistranslates.items() if form in shares}
    return Mixture(name=name, shares=shares, mistranslates=misread)


def _unfaithful(mixture: Mixture, text: str) -> Mixture:
    """The mixture with other phrases misread, in the formats that misread any."""
    if not mixture.mistranslates:
        raise InputError(
            f"sweep: no format of the mixture {mixture.name!r} misreads anything, so there is "
            "nothing to vary; name formats and phrases in its mistranslates first"
        )
    phrases = () if text == _FAITHFUL else tuple(text.split("+"))
    return replace(
        mixture,
        name=f"{mixture.name}-{'faithful' if not phrases else text.replace('+', '-')}",
        mistranslates=dict.fromkeys(mixture.mistranslates, phrases) if phrases else {},
    )
