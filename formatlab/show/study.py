"""The study as figures and tables see it: runs, measured and grouped into arms."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from formatlab.errors import InputError
from formatlab.measure import WINNERS_SCHEMA, Attractor, attractor, run_winners, shares
from formatlab.show.palette import format_order
from formatlab.show.variant import variant_labels
from formatlab.show.wording import epoch_text, mixture_text, model_text, name_text, parameters_text
from formatlab.store import RunFolder

_ENOUGH_ROLLOUTS = 20
"""Rollouts of a format at the base below which its accuracy says nothing of the base."""


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """One run, measured. It may be unfinished, and any of its pieces may be missing."""

    name: str
    """The run folder's name."""
    config: Mapping[str, Any]
    env: Mapping[str, Any]
    winners: Sequence[Mapping[str, Any]]
    """Rows of `formatlab.measure.winners`, one an epoch of the probe, ascending."""
    training: Sequence[Mapping[str, Any]]
    """Rows of `formatlab.measure.shares` by epoch and step of the training rollouts."""
    done: bool
    failed: str | None

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return self.config["seed"]

    @property
    def undertrained(self) -> bool:
        """Whether the base was below the accuracy floor in every format."""
        told = self.config.get("base", {}).get("undertrained")
        if told is not None or self.base is None:
            return bool(told)
        floor = self.config.get("base", {}).get("floor", 0.0)
        seen = [row for row in self.base["formats"] if row["rollouts"] >= _ENOUGH_ROLLOUTS]
        accuracies = [row["accuracy"] for row in seen if row["accuracy"] is not None]
        return bool(accuracies) and all(accuracy < floor for accuracy in accuracies)

    @property
    def base(self) -> Mapping[str, Any] | None:
        """The winners row of the base, if it was probed."""
        return self.winners[0] if self.winners and self.winners[0]["epoch"] == 0 else None

    @property
    def final(self) -> Mapping[str, Any] | None:
        """The winners row of the last probe after some training, if there is one."""
        return self.winners[-1] if self.winners and self.winners[-1]["epoch"] > 0 else None

    @property
    def notes(self) -> list[str]:
        """What is missing or has to be known when this run is read, as sentences."""
        found = []
        if self.failed is not None:
            found.append(f"Failed ({name_text(self.failed, 300)}).")
        elif not self.done:
            at = self.winners[-1]["epoch"] if self.winners else None
            last = "not yet probed" if at is None else f"last probe: {_epoch_words(at)}"
            found.append(f"Unfinished ({last}).")
        if self.undertrained:
            found.append("The base is undertrained; the run is shown but not counted.")
        if not self.winners:
            found.append("There are no probe rollouts, so no winners.")
        elif self.base is None:
            found.append("The base was not probed.")
        elif self.final is None:
            found.append("Only the base has been probed.")
        if not self.training:
            found.append("There are no training rollouts.")
        return found


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """A mixture that occurs in a study."""

    label: str
    """Short and unique in the study."""
    shares: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """The runs of a study that differ in seed only: one scale, mixture and algorithm."""

    label: str
    """Short and unique in the study."""
    scale: str
    parameters: int
    """Total."""
    setting: str
    """Mixture, algorithm and variant in words, as far as the study has several of them; equal for
    arms that differ in scale only."""
    runs: Sequence[RunResult]
    """By seed."""

    @property
    def size(self) -> str:
        """The scale in as few characters as possible, for axes."""
        return self.scale if _is_size(self.scale) else parameters_text(self.parameters)

    @property
    def counted(self) -> Sequence[RunResult]:
        """The runs that means are taken over: those of a trained base, or all if there is none."""
        return [run for run in self.runs if not run.undertrained] or self.runs

    @property
    def attractor(self) -> Attractor:
        """What the finished, counted runs end in; without runs of an undertrained base."""
        return attractor(
            [run.final for run in self.runs if run.done and run.final and not run.undertrained]
        )


@dataclass(frozen=True, kw_only=True)
class Study:
    """All runs of a study."""

    name: str
    arms: Sequence[Arm]
    """By setting, then by parameter count."""
    mixtures: Sequence[Mixture]
    """The mixtures that occur."""

    @property
    def runs(self) -> list[RunResult]:
        """All runs, arm by arm."""
        return [run for arm in self.arms for run in arm.runs]

    @property
    def settings(self) -> list[str]:
        """The settings of the arms, in order."""
        return list(dict.fromkeys(arm.setting for arm in self.arms))

    @cached_property
    def tags(self) -> list[str]:
        """All tags that occur, in the order of the palette."""
        return format_order(
            {row["tag"] for run in self.runs for row in run.training}
            | {of["tag"] for run in self.runs for row in run.winners for of in row["formats"]}
        )

    @property
    def mixtures_text(self) -> str:
        """What the mixtures are, if there are several; else nothing."""
        if len(self.mixtures) < 2:
            return ""
        texts = [f"{mixture.label}: {mixture_text(mixture.shares)}" for mixture in self.mixtures]
        return f" Of the settings, {'; '.join(texts)}."

    @property
    def probe_text(self) -> str:
        """The size of the probes, in words."""
        sizes = {
            (row["n_prompts"], row["samples_per_prompt"] or 0)
            for run in self.runs
            for row in run.winners
        }
        texts = [
            f"{prompts:,} prompts x {samples or 'unequal'} samples"
            for prompts, samples in sorted(sizes)
        ]
        return " or ".join(texts) or "0 prompts"


def measured_run(run: RunFolder) -> RunResult:
    """Read and measure a run folder.

    The stored winners of a finished run are used; those of any other are made from its rollouts.
    """
    winners = run.winners() if run.done else None
    if winners is None or not winners.schema.equals(WINNERS_SCHEMA):
        winners = run_winners(run)
    train = run.rollouts("train", columns=["epoch", "step", "tag", "correct", "well_formed"])
    return RunResult(
        name=run.name,
        config=run.config,
        env=run.env,
        winners=winners.to_pylist(),
        training=shares(train, by=["epoch", "step"]).to_pylist(),
        done=run.done,
        failed=run.failed,
    )


def measured_study(runs: Sequence[RunFolder]) -> Study:
    """Read and measure the runs of a study.

    Raises:
        InputError: no runs, or the same run twice.
    """
    if not runs:
        raise InputError(
            "There are no runs to show. Give a runs folder in which a study has been run."
        )
    results = [measured_run(run) for run in runs]
    mixtures = _mixtures(results)
    return Study(name=results[0].config["study"], arms=_arms(results, mixtures), mixtures=mixtures)


def _arms(results: Sequence[RunResult], mixtures: Sequence[Mixture]) -> list[Arm]:
    algorithms = {run.config["algorithm"] for run in results}
    groups: dict[tuple[str, int, str], list[RunResult]] = {}
    for run in results:
        words = []
        if len(mixtures) > 1:
            words.append(mixtures[_mixture_index(mixtures, run)].label)
        if len(algorithms) > 1:
            words.append(run.config["algorithm"])
        scale = run.config["scale"]
        groups.setdefault((", ".join(words), scale["parameters"], scale["name"]), []).append(run)
    return sorted(
        (
            Arm(
                label=", ".join(filter(None, [_scale_label(scale, parameters), setting])),
                scale=scale,
                parameters=parameters,
                setting=setting,
                runs=sorted(runs, key=lambda run: run.seed),
            )
            for (words, parameters, scale), of_group in groups.items()
            for setting, runs in _settings(words, of_group).items()
        ),
        key=lambda arm: (arm.setting, arm.parameters, arm.scale),
    )


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


def _mixtures(results: Sequence[RunResult]) -> list[Mixture]:
    shares: list[Mapping[str, float]] = []
    names: list[str] = []
    for run in results:
        if run.config["mixture"] not in shares:
            shares.append(run.config["mixture"])
            names.append(name_text(str(run.config.get("mixture_name", ""))))
    unique = all(names) and len(set(names)) == len(names)
    return [
        Mixture(label=f"mixture {names[i] if unique else i + 1}", shares=of)
        for i, of in enumerate(shares)
    ]


def _mixture_index(mixtures: Sequence[Mixture], run: RunResult) -> int:
    return [mixture.shares for mixture in mixtures].index(run.config["mixture"])


def _scale_label(scale: str, parameters: int) -> str:
    return scale if _is_size(scale) else f"{model_text(scale)} ({parameters_text(parameters)})"


def _is_size(scale: str) -> bool:
    """Whether a scale's name is its parameter count, as `0.8M` is, and needs no further number."""
    return re.fullmatch(r"\d+(\.\d+)?[kKMB]", scale) is not None


def _epoch_words(epoch: float) -> str:
    return "the base" if epoch == 0 else f"epoch {epoch_text(epoch)}"
