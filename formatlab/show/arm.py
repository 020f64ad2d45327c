"""Variants: runs of one scale and setting whose configurations differ in more than the seed.

Arms: the runs of a study, grouped by what they have in common but the seed.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from formatlab.errors import InputError
from formatlab.measure import Attractor, attractor
from formatlab.show.run_result import RunResult
from formatlab.show.settings_wording import bonus_text, lora_text, setting_text
from formatlab.show.wording import (
    CORRECTNESS,
    has_signal,
    model_text,
    name_text,
    parameters_text,
    visible_text,
    with_reward,
)

# What may differ between seeds at any depth, and the run's own name at the top.
_SEED_KEYS = (
    "seed",
    "sha256",
    "start_sha256",
    "token_shares",
    "held_out_loss",
    "undertrained",
)
_NAME_KEY = "name"
_MOST_NAMED = 3
_WIDTH = 48


def variant_labels(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a label for each configuration, equal where they differ in nothing but seeds.

    A label names what differs in words, as `learning rate 0.0001`; if more than three values
    differ, it names three of them, and a number where these do not tell all apart. Configurations
    that all agree have empty labels.
    """
    flat = [_flat(_with_units(config, configs)) for config in configs]
    keys = sorted({key for one in flat for key in one}, key=_rank)
    differing: dict[tuple[str, ...], str] = {}
    for key in keys:
        column = tuple(one.get(key, "") for one in flat)
        # What a base repeats of its run, or a corpus of its world, is told once.
        if len(set(column)) > 1:
            differing.setdefault((_last(key), *column), key)
    named = list(differing.values())
    labels = [
        ", ".join(name_text(_words(key, one.get(key)), _WIDTH) for key in named[:_MOST_NAMED])
        for one in flat
    ]
    values = [tuple(one.get(key, "") for key in named) for one in flat]
    kinds = sorted(set(values))
    if len(set(labels)) == len(kinds):
        return labels
    return [
        f"{label}, variant {kinds.index(of_config) + 1}"
        for label, of_config in zip(labels, values, strict=True)
    ]


def _with_units(config: Mapping[str, Any], configs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a configuration in which what is told as one is one value, in words."""
    units = dict(config)
    for key, text in (("exploration", bonus_text), ("lora", lora_text)):
        kinds = [other.get(key) for other in configs]
        if any(key in other for other in configs):
            units[key] = [text(config.get(key), kinds)]
    return units


def _words(key: str, value: str | None) -> str:
    if key in ("exploration", "lora") and value is not None:
        (unit,) = json.loads(value)
        return unit
    *parents, name = key.split(".")
    whose = "probe " if parents[:1] == ["probe"] else ""
    return whose + (f"{name} unset" if value is None else setting_text(name, json.loads(value)))


def _last(key: str) -> str:
    return key.rsplit(".", 1)[-1] if not key.startswith("probe.") else key


def _rank(key: str) -> tuple[int, str]:
    """Settings of the run first, what its base and world are last."""
    places = ("settings.", "grpo.", "exploration", "lora", "reward_settings.")
    last = ("world.", "base.")
    ranks = {start: i for i, start in enumerate(places)} | dict.fromkeys(last, 9)
    return next((rank for start, rank in ranks.items() if key.startswith(start)), 8), key


def _flat(config: Mapping[str, Any], parents: str = "") -> dict[str, str]:
    """Return dotted key -> JSON of the value, without what a seed changes."""
    found: dict[str, str] = {}
    for key, value in config.items():
        if key in _SEED_KEYS or (key == _NAME_KEY and not parents):
            continue
        if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            value = {str(number): item for number, item in enumerate(value)}
        if isinstance(value, Mapping):
            found |= _flat(value, f"{parents}{key}.")
        else:
            found[f"{parents}{key}"] = json.dumps(value, ensure_ascii=False)
    return found


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """A mixture that occurs in a study."""

    label: str
    """Short and unique in the study."""
    shares: Mapping[str, float]
    name: str = ""
    """As the study calls it; mixtures of equal shares and different names may differ in what they
    mistranslate."""
    mistranslates: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Format -> phrases that it renders wrongly."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """The runs of a study that differ in seed only: one scale, mixture, algorithm and reward."""

    label: str
    """Short and unique in the study."""
    scale: str
    parameters: int
    """Total."""
    setting: str
    """Mixture, then the study's own words for the arm or its algorithm, reward and variant, as far
    as the study has several of them; equal for arms that differ in scale only. A reward other than
    correctness is always in it."""
    reward: str
    """Name of the reward."""
    runs: Sequence[RunResult]
    """By seed."""

    @property
    def algorithm(self) -> str:
        """Name of the algorithm that trained the runs."""
        return self.runs[0].config["algorithm"]

    @property
    def start_name(self) -> str:
        """What the runs started from: the base, or after other stages the start."""
        return self.runs[0].start_name

    @property
    def has_signal(self) -> bool:
        """Whether the reward depends on what is written; without, nothing is a collapse."""
        return has_signal(self.reward)

    @property
    def size(self) -> str:
        """The scale in as few characters as possible, for axes."""
        return self.scale if _is_size(self.scale) else parameters_text(self.parameters)

    @property
    def counted(self) -> Sequence[RunResult]:
        """The runs that means are taken over: those of a trained base, or all if there is none."""
        return [run for run in self.runs if not run.undertrained] or self.runs

    @property
    def finished(self) -> Sequence[RunResult]:
        """The runs that are evidence of an end: finished, probed and of a trained base."""
        return [run for run in self.runs if run.done and run.final and not run.undertrained]

    @property
    def attractor(self) -> Attractor:
        """What the finished, counted runs end in; without runs of an undertrained base."""
        return attractor([run.final for run in self.finished if run.final])


def grouped_arms(results: Sequence[RunResult], mixtures: Sequence[Mixture]) -> list[Arm]:
    """Group runs into arms, by setting, then by parameter count.

    Raises:
        InputError: the same run twice.
    """
    told = _Told(
        mixtures=mixtures if len(mixtures) > 1 else (),
        algorithms=len({_own_words(run) or run.config["algorithm"] for run in results}) > 1,
        rewards=len(told_rewards(results)) > 1,
        bases=any(run.several_of_base for run in results)
        and len({run.base_seed for run in results}) > 1,
        worlds=len({run.world_seed for run in results}) > 1,
    )
    groups: dict[tuple[str, str, int, str], list[RunResult]] = {}
    for run in results:
        scale = run.config["scale"]
        key = (_words_arm(run, told), run.reward, scale["parameters"], scale["name"])
        groups.setdefault(key, []).append(run)
    return sorted(
        (
            Arm(
                label=", ".join(filter(None, [_scale_label(scale, parameters), setting])),
                scale=scale,
                parameters=parameters,
                setting=setting,
                reward=reward,
                runs=sorted(runs, key=lambda run: run.seed),
            )
            for (words, reward, parameters, scale), of_group in groups.items()
            for setting, runs in _settings(words, of_group).items()
        ),
        key=lambda arm: (arm.setting, arm.parameters, arm.scale),
    )


@dataclass(frozen=True, kw_only=True)
class _Told:
    """What an arm's words tell, because the study has several of it."""

    mixtures: Sequence[Mixture]
    algorithms: bool
    """Or chains of stages, in the study's own words."""
    rewards: bool
    bases: bool
    """Of which each is an arm, where sampling is what is repeated."""
    worlds: bool
    """Of several seeds."""


def _words_arm(run: RunResult, told: _Told) -> str:
    """Return an arm's words but for its variant: the study's own, else algorithm and reward."""
    own = _own_words(run)
    # The name of the only algorithm tells no arm from another.
    if own and (told.algorithms or own != run.config["algorithm"]):
        words = [own]
    else:
        words = [run.config["algorithm"]] * told.algorithms
    if told.mixtures:
        label = told.mixtures[_mixture_index(told.mixtures, run)].label
        words = [label] * (label not in own.split(", ")) + words
    words += [f"world {run.world_seed}"] * told.worlds + [f"base s{run.base_seed}"] * told.bases
    text = ", ".join(words)
    silent = run.from_documents or not told.rewards
    return text if run.reward == CORRECTNESS and silent else with_reward(text, run.reward)


def _own_words(run: RunResult) -> str:
    """Return what the study calls the arm of a run; empty if nothing, as in early run folders."""
    # Not cut to a width: two arms must not become one because they differ in the middle only.
    return visible_text(" ".join(str(run.config.get("arm") or "").split()))


def _settings(words: str, runs: Sequence[RunResult]) -> dict[str, list[RunResult]]:
    """Return setting -> runs; several settings if a seed occurs twice in what is to be one arm."""
    seeds = [run.seed for run in runs]
    if len(set(seeds)) == len(seeds):
        return {words: list(runs)}
    settings: dict[str, list[RunResult]] = {}
    for run, variant in zip(runs, variant_labels([run.config for run in runs]), strict=True):
        of_setting = settings.setdefault(", ".join(filter(None, [words, variant])), [])
        if any(other.seed == run.seed for other in of_setting):
            raise InputError(
                f"The run {run.name} is there twice, or another has its configuration. Give each "
                "run once."
            )
        of_setting.append(run)
    return settings


def told_rewards(results: Sequence[RunResult]) -> list[str]:
    """Return the rewards of runs, each once, in their order.

    What learns from documents is not rewarded: the default that stands there does not count.
    """
    rewards = [run.reward for run in results if run.reward != CORRECTNESS or not run.from_documents]
    return list(dict.fromkeys(rewards or (run.reward for run in results)))


def mixtures_of(results: Sequence[RunResult]) -> list[Mixture]:
    """Return the mixtures of runs, each once, in their order."""
    mixtures: list[Mixture] = []
    for run in results:
        if not any(_is_mixture_of(mixture, run) for mixture in mixtures):
            world = run.config.get("world", {}).get("mixture")
            mixtures.append(
                Mixture(
                    label="",
                    shares=run.config["mixture"],
                    name=_mixture_name(run),
                    mistranslates=world.get("mistranslates", {})
                    if isinstance(world, Mapping)
                    else {},
                )
            )
    names = [mixture.name for mixture in mixtures]
    unique = all(names) and len(set(names)) == len(names)
    return [
        replace(mixture, label=f"mixture {mixture.name if unique else number}")
        for number, mixture in enumerate(mixtures, start=1)
    ]


def _mixture_index(mixtures: Sequence[Mixture], run: RunResult) -> int:
    return [_is_mixture_of(mixture, run) for mixture in mixtures].index(True)


def _is_mixture_of(mixture: Mixture, run: RunResult) -> bool:
    name = _mixture_name(run)
    # Early run folders have no name.
    named_alike = not name or not mixture.name or mixture.name == name
    return mixture.shares == run.config["mixture"] and named_alike


def _mixture_name(run: RunResult) -> str:
    return name_text(str(run.config.get("mixture_name", "")))


def _scale_label(scale: str, parameters: int) -> str:
    return scale if _is_size(scale) else f"{model_text(scale)} ({parameters_text(parameters)})"


def _is_size(scale: str) -> bool:
    """Whether a scale's name is its parameter count, as `0.8M` is, and needs no further number."""
    return re.fullmatch(r"\d+(\.\d+)?[kKMB]", scale) is not None
