"""Arms: the runs of a study that differ in their seeds only, and the labels of arms.

Where a study draws several sampling seeds for each base, the runs of one base are an arm; where it
has several worlds, the runs of one world.

A label gives the scale, then whichever of mixture, data, chain and reward differ within the study.
If runs of one setting still differ in more than their seeds, `variant_labels` names what differs in
their configurations.

Of a recorded run the configuration does not say all that its script decides. There the folder's
name, without its seed, is part of the label, so that runs are pooled as seeds only if they are
called so: `long-s0` and `long-s1`, but not `long` and `short`.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from formatlab.errors import InputError
from formatlab.measure import Attractor, attractor
from formatlab.show.run_facts import RunData, RunFacts, RunReward
from formatlab.show.run_result import RunResult
from formatlab.show.settings_wording import bonus_text, lora_text, setting_text, with_reward
from formatlab.show.wording import (
    model_text,
    name_text,
    parameters_text,
    pretraining_text,
    visible_text,
)

# Keys that differ between seeds at any depth; the run's own name does so at the top.
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


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """A mixture that occurs in a study."""

    label: str
    """Short and unique in the study."""
    shares: Mapping[str, float]
    name: str
    """As the study calls it, or empty. Mixtures of equal shares and different names may differ in
    their mistranslations."""
    mistranslates: Mapping[str, Sequence[str]]
    """Format -> phrases that it renders wrongly."""

    def is_of(self, run: RunFacts) -> bool:
        """Whether a run's base was pretrained on it."""
        # Early run folders have no name.
        named_alike = not run.mixture_name or not self.name or self.name == run.mixture_name
        return self.shares == run.mixture and named_alike


def mixtures_of(runs: Sequence[RunFacts]) -> list[Mixture]:
    """Return the mixtures of runs, each once, in their order."""
    mixtures: list[Mixture] = []
    for run in runs:
        if not any(mixture.is_of(run) for mixture in mixtures):
            mixtures.append(
                Mixture(
                    label="",
                    shares=run.mixture,
                    name=run.mixture_name,
                    mistranslates=run.mistranslates,
                )
            )
    numbers = list(map(str, range(1, len(mixtures) + 1)))
    names = [mixture.name for mixture in mixtures]
    short = list(map(name_text, names))
    unique = [of for of in (short, names) if all(of) and len(set(of)) == len(of)]
    labels = [*unique, numbers][0]
    return [
        replace(mixture, label=f"mixture {label}")
        for mixture, label in zip(mixtures, labels, strict=True)
    ]


def distinct_rewards(runs: Sequence[RunFacts]) -> list[RunReward]:
    """Return the rewards of runs, each once, in their order.

    Learning from documents is not rewarded, so the default that such runs store does not count.
    """
    rewards = [run.reward for run in runs if not (run.reward.is_correctness and run.from_documents)]
    return list(dict.fromkeys(rewards or [run.reward for run in runs]))


@dataclass(frozen=True, kw_only=True)
class Arm:
    """The runs of a study that differ in seeds only."""

    label: str
    """Short and unique in the study."""
    scale: str
    parameters: int
    """Total."""
    setting: str
    """The label without the scale; equal for arms that differ in scale only. A reward other than
    correctness is always in it."""
    reward: RunReward
    runs: Sequence[RunResult]
    """By seed."""

    @property
    def algorithm(self) -> str:
        """Name of the algorithm that trained the runs."""
        return self.runs[0].facts.algorithm

    @property
    def start_name(self) -> str:
        """The word for the model that the runs started from: base, or start after other stages."""
        return self.runs[0].facts.start_name

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
        """The runs that count for an attractor: finished, probed and of a trained base."""
        return [run for run in self.runs if run.done and run.final and not run.undertrained]

    @property
    def attractor(self) -> Attractor:
        """The format that the finished runs end in."""
        return attractor([run.final for run in self.finished if run.final])


def grouped_arms(runs: Sequence[RunResult], mixtures: Sequence[Mixture]) -> list[Arm]:
    """Group runs into arms, by part of the pretraining, setting, then parameter count.

    Raises:
        InputError: the same run twice.
    """
    labels = _Labels(
        mixtures=mixtures if len(mixtures) > 1 else (),
        chains=len({run.facts.chain or run.facts.algorithm for run in runs}) > 1,
        rewards=len(distinct_rewards([run.facts for run in runs])) > 1,
        bases=any(run.several_of_base for run in runs)
        and len({run.facts.base_seed for run in runs}) > 1,
        worlds=len({run.facts.world_seed for run in runs}) > 1,
        fractions=len({run.facts.after for run in runs}) > 1,
        data=_data_labels([run.facts for run in runs]),
        folders=_folder_labels([run for run in runs if run.facts.recorded]),
    )
    groups: dict[tuple[str, RunReward, int, str], list[RunResult]] = {}
    for run in runs:
        of = run.facts
        key = (labels.setting(run), of.reward, of.parameters, of.scale)
        groups.setdefault(key, []).append(run)
    return sorted(
        (
            Arm(
                label=", ".join(filter(None, [_scale_label(scale, parameters), setting])),
                scale=scale,
                parameters=parameters,
                setting=setting,
                reward=reward,
                runs=sorted(of_setting, key=lambda run: run.seed),
            )
            for (group, reward, parameters, scale), of_group in groups.items()
            for setting, of_setting in _settings(group, of_group).items()
        ),
        key=lambda arm: (arm.runs[0].facts.after, arm.setting, arm.parameters, arm.scale),
    )


@dataclass(frozen=True, kw_only=True)
class _Labels:
    """The facts that labels name, because the study has several of each."""

    mixtures: Sequence[Mixture]
    chains: bool
    """Chains of stages, or algorithms."""
    rewards: bool
    bases: bool
    """Where each base was trained with several sampling seeds."""
    worlds: bool
    fractions: bool
    """Of the pretraining."""
    data: Mapping[RunData | None, str]
    folders: Mapping[str, str]
    """The folder's name without its seed, of each recorded run by name."""

    def setting(self, of: RunResult) -> str:
        """Return the setting of a run, without its variant."""
        run = of.facts
        # If the study has a single chain, its words are given unless they only name the algorithm.
        words = [run.chain or run.algorithm]
        if not self.chains and words[0] == run.algorithm:
            words = []
        if self.mixtures:
            label = next(mixture.label for mixture in self.mixtures if mixture.is_of(run))
            words = [label] * (label not in run.chain.split(", ")) + words
        of_recorded = self.folders.get(of.name) if run.recorded else None
        words += [word for word in (of_recorded, self.data.get(run.data)) if word]
        words += [f"world {run.world_seed}"] * self.worlds + [f"base s{run.base_seed}"] * self.bases
        words += [pretraining_text(run.after)] * self.fractions
        text = ", ".join(words)
        unnamed = run.reward.is_correctness and (run.from_documents or not self.rewards)
        return text if unnamed else with_reward(text, run.reward)


def _data_labels(runs: Sequence[RunFacts]) -> dict[RunData | None, str]:
    """Return the label of each data set; none if all runs have the same."""
    found = list(dict.fromkeys(run.data for run in runs))
    if len(found) < 2:
        return {}
    names = Counter(of.name for of in found if of)
    labels: dict[RunData | None, str] = {}
    for of in found:
        if of is not None:
            parts = (of.name, of.digest * (not of.name or names[of.name] > 1))
            labels[of] = f"data {' '.join(filter(None, parts))}"
    return labels


def _folder_labels(runs: Sequence[RunResult]) -> dict[str, str]:
    """Return the names of folders without their seeds, by whole name; none if all are the same.

    A name keeps its seed where another of the same name and seed would be pooled with it.
    """
    stems = {run.name: _without_seed(run.name, run.seed) for run in runs}
    times = Counter((stems[run.name], run.seed) for run in runs)
    for run in runs:
        if times[stems[run.name], run.seed] > 1:
            stems[run.name] = run.name
    several = len(set(stems.values())) > 1
    return {name: visible_text(stem) for name, stem in stems.items()} if several else {}


def _without_seed(name: str, seed: int) -> str:
    """Return a folder's name without its seed: `long` for `long-seed0`, `long_s0` or `long0`."""
    number = rf"0*{seed}(?![0-9])"
    for before in (r"(?<![A-Za-z])seed[-_=. ]?", r"(?<![A-Za-z0-9])s", r"(?<![A-Za-z0-9.])"):
        without = re.sub(rf"[-_=. ]*{before}{number}(?![A-Za-z.])", "", name, flags=re.IGNORECASE)
        if without != name:
            return without.strip("-_=. ") or "run"
    return re.sub(rf"(?<=[A-Za-z])0*{seed}$", "", name)


def _settings(group: str, runs: Sequence[RunResult]) -> dict[str, list[RunResult]]:
    """Return setting -> runs; several settings, one a variant, if the group has a seed twice.

    Recorded runs are variants wherever their configurations differ.
    """
    seeds = [run.seed for run in runs]
    if len(set(seeds)) == len(seeds) and not any(run.facts.recorded for run in runs):
        return {group: list(runs)}
    settings: dict[str, list[RunResult]] = {}
    for run, variant in zip(runs, variant_labels([run.config for run in runs]), strict=True):
        of_setting = settings.setdefault(", ".join(filter(None, [group, variant])), [])
        if any(other.seed == run.seed for other in of_setting):
            raise InputError(
                f"The run {run.name} is there twice, or another has its configuration. Give each "
                "run once."
            )
        of_setting.append(run)
    return settings


def _scale_label(scale: str, parameters: int) -> str:
    return scale if _is_size(scale) else f"{model_text(scale)} ({parameters_text(parameters)})"


def _is_size(scale: str) -> bool:
    """Whether a scale's name is its parameter count, as `0.8M` is, and needs no further number."""
    return re.fullmatch(r"\d+(\.\d+)?[kKMB]", scale) is not None


def variant_labels(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a label for each configuration; configurations that differ in seeds only share one.

    A label names up to three settings that differ, as `learning rate 0.0001`, and has a number if
    these do not tell all configurations apart. It is empty if nothing differs.
    """
    flat = [_flat(_with_single_labels(config, configs)) for config in configs]
    keys = sorted({key for one in flat for key in one}, key=_rank)
    differing: dict[tuple[str, ...], str] = {}
    for key in keys:
        column = tuple(one.get(key, "") for one in flat)
        # A setting may be stored twice, with the run and with its base; the first one counts.
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


_SINGLE_LABELS = {"exploration": bonus_text, "lora": lora_text}
"""Settings whose fields are shown as one label."""


def _with_single_labels(
    config: Mapping[str, Any], configs: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return a configuration with one label in place of the fields of bonus and adapter."""
    labels = {
        key: text(config.get(key), [other.get(key) for other in configs])
        for key, text in _SINGLE_LABELS.items()
        if any(key in other for other in configs)
    }
    return {**config, **labels}


def _words(key: str, value: str | None) -> str:
    if key in _SINGLE_LABELS and value is not None:
        return json.loads(value)
    *parents, name = key.split(".")
    whose = "probe " if parents[:1] == ["probe"] else ""
    return whose + (f"{name} unset" if value is None else setting_text(name, json.loads(value)))


def _last(key: str) -> str:
    return key.rsplit(".", 1)[-1] if not key.startswith("probe.") else key


def _rank(key: str) -> tuple[int, str]:
    """Settings of the run come first, those of its base and world last."""
    places = ("settings.", "grpo.", "exploration", "lora", "reward_settings.")
    last = ("world.", "base.")
    ranks = {start: i for i, start in enumerate(places)} | dict.fromkeys(last, 9)
    return next((rank for start, rank in ranks.items() if key.startswith(start)), 8), key


def _flat(config: Mapping[str, Any], parents: str = "") -> dict[str, str]:
    """Return dotted key -> JSON of the value, without the keys that differ between seeds."""
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
