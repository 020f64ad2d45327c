"""What a forecast may know: the probe of the policy before RL, and the settings of the run."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from formatlab.errors import InputError
from formatlab.measure.counts import tally

PROBE_COLUMNS = ("prompt_id", "tag", "correct", "tokens", "logprob")
"""Columns of the rollouts of a probe that forecasts read."""

_SHRUNK_BY = 2
"""Rollouts of average accuracy that are added to a format's own, so that one lucky rollout of a
rare format is not an accuracy of 1."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BaseProbe:
    """The probe of a policy before RL. P: prompts, F: formats."""

    formats: tuple[str, ...]
    """The tags that occur, `none` among them where a text had no format, sorted; length F."""
    rollouts: np.ndarray
    """Rollouts of each prompt in each format; (P, F)."""
    correct: np.ndarray
    """Right ones among them; (P, F)."""
    tokens: np.ndarray
    """Tokens of those rollouts, added up; (P, F)."""
    logprob: np.ndarray
    """Their log-probabilities in nats, added up; nan where they are not known; (P, F)."""

    def __post_init__(self) -> None:
        """Check that there is something to forecast from."""
        if not self.rollouts.sum():
            raise InputError("there are no rollouts of the policy before RL to forecast from")

    @property
    def shares(self) -> np.ndarray:
        """Share of each format; (F,)."""
        return self.rollouts.sum(axis=0) / self.rollouts.sum()

    @property
    def accuracies(self) -> np.ndarray:
        """Accuracy of each format, drawn a little towards that of all; (F,)."""
        return accuracies(self.rollouts.sum(axis=0), self.correct.sum(axis=0))

    def resampled(self, draws: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Shares and accuracies of as many probes whose prompts are drawn with replacement.

        Args:
            draws: how many; the first is the probe itself.
            seed: of the draws.

        Returns:
            Both of shape (draws, F).
        """
        prompts = len(self.rollouts)
        generator = np.random.default_rng(seed)
        weights = generator.multinomial(prompts, np.full(prompts, 1 / prompts), size=draws)
        weights[0] = 1
        rollouts, correct = weights @ self.rollouts, weights @ self.correct  # (draws, F) each
        return rollouts / rollouts.sum(axis=1, keepdims=True), accuracies(rollouts, correct)

    def redrawn(self, draws: int, seed: int = 0) -> "Iterator[BaseProbe]":
        """As many probes whose prompts are drawn with replacement from this one's."""
        generator = np.random.default_rng(seed)
        for _ in range(draws):
            drawn = generator.integers(len(self.rollouts), size=len(self.rollouts))
            yield replace(
                self,
                rollouts=self.rollouts[drawn],
                correct=self.correct[drawn],
                tokens=self.tokens[drawn],
                logprob=self.logprob[drawn],
            )


def accuracies(rollouts: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Accuracies from counts by format, each drawn a little towards that of all formats.

    Args:
        rollouts: (..., F).
        correct: likewise.
    """
    overall = correct.sum(axis=-1, keepdims=True) / rollouts.sum(axis=-1, keepdims=True)
    return (correct + _SHRUNK_BY * overall) / (rollouts + _SHRUNK_BY)


def base_probe(table: pa.Table) -> BaseProbe:
    """Count the rollouts of a policy before RL.

    Args:
        table: rollouts with `PROBE_COLUMNS`; `tokens` and `logprob` may be missing. Those without a
            known right answer do not count.

    Raises:
        InputError: no rollouts, or none with a known right answer.
    """
    rows = table.num_rows
    table = table.filter(table["correct"].is_valid())
    if rows and not table.num_rows:
        raise InputError(
            "no rollout has a known right answer, so it cannot be said what RL would reward; give "
            "rollouts with right answers"
        )
    counted = tally(table)
    prompt_of = {name: row for row, name in enumerate(counted.prompt_ids)}
    format_of = {name: column for column, name in enumerate(counted.tags)}
    places = (
        np.array([prompt_of[name] for name in table["prompt_id"].to_pylist()], dtype=np.int64),
        np.array([format_of[name] for name in table["tag"].to_pylist()], dtype=np.int64),
    )

    def summed(name: str) -> np.ndarray:
        sums = np.zeros(counted.rollouts.shape)
        known = table[name].to_numpy() if name in table.column_names else np.nan
        np.add.at(sums, places, known)
        return sums

    return BaseProbe(
        formats=counted.tags,
        rollouts=counted.rollouts,
        correct=counted.correct,
        tokens=summed("tokens"),
        logprob=summed("logprob"),
    )


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The settings of a run that a forecast may use."""

    algorithm: str
    """Name of the algorithm: grpo, ppo, rloo, and so on."""
    non_embedding_parameters: int
    """Parameters that are trained, without the embedding."""
    learning_rate: float
    """Peak learning rate."""
    warmup: float
    """Share of the updates over which the learning rate rises; after it, it is taken as constant,
    whatever the schedule."""
    schedule: str
    """Course of the learning rate after warm-up."""
    loss_type: str
    """How token losses are averaged, by TRL's name; empty where the algorithm has no choice."""
    kl_coefficient: float
    """Weight of the KL divergence to the base."""
    prompts_per_step: int
    group_size: int
    """Completions of each prompt."""
    scale_rewards: str
    """Whose standard deviation advantages are divided by: group, batch or none."""
    updates_per_step: int
    """Optimiser updates made from one batch of rollouts."""
    steps_per_epoch: int
    epochs: int

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise InputError(f"settings of the run: {name} must be at least 1")
        for name in ("learning_rate", "kl_coefficient", "warmup"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"settings of the run: {name} must be a number from 0 on")
        if self.warmup > 1:
            raise InputError("settings of the run: warmup is a share of the updates, at most 1")

    @property
    def pace(self) -> float:
        """Learning rate relative to the ladder's, which falls with the square root of the size.

        1 for every scale of the ladder with its own learning rate, up to 1.9M within a half.
        """
        return self.learning_rate * self.non_embedding_parameters**0.5 / _LADDER_PACE

    def time(self, epochs: np.ndarray) -> np.ndarray:
        """Updates at the full learning rate of the ladder that are done after so many epochs.

        Args:
            epochs: (H,).
        """
        return self.pace * self.updates(epochs)

    def updates(self, epochs: np.ndarray) -> np.ndarray:
        """Updates at the run's full learning rate that are done after so many epochs.

        Args:
            epochs: (H,).
        """
        warm = max(1e-9, self.warmup * self.steps_per_epoch * self.epochs)
        steps = np.asarray(epochs) * self.steps_per_epoch
        risen = np.minimum(steps, warm)
        # The first update has a rate of 0: transformers steps its schedules after the optimiser.
        done = np.maximum(risen * (risen - 1), 0.0) / (2 * warm) + steps - risen
        return self.updates_per_step * done


_COUNTS = (
    "non_embedding_parameters",
    "prompts_per_step",
    "group_size",
    "updates_per_step",
    "steps_per_epoch",
    "epochs",
)

_LADDER_PACE = 0.158
"""Learning rate of RL times the root of the non-embedding parameters, on the lab's ladder."""


def ladder_rate(non_embedding_parameters: int) -> float:
    """The learning rate at which a model of some size is trained as fast as the ladder's."""
    return _LADDER_PACE / non_embedding_parameters**0.5


def of_adamw(config: Mapping[str, Any]) -> bool:
    """Whether AdamW makes a run's updates: forecasts know no other optimiser's pace."""
    return config.get("settings", {}).get("optimiser", "adamw") == "adamw"


def run_settings(config: Mapping[str, Any]) -> RunSettings:
    """The settings of an on-policy run, from its `config.json`.

    Raises:
        InputError: its algorithm does not learn from groups of its own rollouts, or its optimiser
            is not AdamW.
    """
    if not of_adamw(config):
        raise InputError("a run of another optimiser than AdamW, the only one whose pace is known")
    settings = config.get("settings", {})
    if "group_size" not in settings or "epochs" not in settings:
        raise InputError(
            f"a run of {config.get('algorithm', 'no algorithm')}: forecasts are for runs of "
            "grpo, ppo and rloo"
        )
    rollouts = settings["prompts_per_step"] * settings["group_size"]
    return RunSettings(
        algorithm=config["algorithm"],
        non_embedding_parameters=config["scale"]["non_embedding_parameters"],
        learning_rate=settings["learning_rate"],
        warmup=settings["warmup"],
        schedule=settings.get("schedule", "constant"),
        loss_type=settings.get("loss_type", ""),
        kl_coefficient=settings["kl_coefficient"],
        prompts_per_step=settings["prompts_per_step"],
        group_size=settings["group_size"],
        scale_rewards=settings.get("scale_rewards", "none"),
        updates_per_step=settings["iterations"]
        * (rollouts // (settings["sequences_per_update"] or rollouts)),
        steps_per_epoch=max(1, settings["prompts"] // settings["prompts_per_step"]),
        epochs=settings["epochs"],
    )
