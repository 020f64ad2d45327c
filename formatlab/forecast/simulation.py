"""The algorithm itself, simulated on the probe: groups drawn, advantages, updates of logits."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from scipy.special import log_softmax

from formatlab.forecast.case import Known
from formatlab.forecast.known import BaseProbe, RunSettings
from formatlab.forecast.method import Method, parameters

DRAWS = 16
"""Runs simulated."""

_LEAST = 1e-6
_OF_FORMAT = 4
"""Rollouts of the format's accuracy that are added to a prompt's own in the format."""
_LEAST_SPREAD = 0.05
"""Advantages that differ less are not scaled up further."""
_EPSILON = 1e-4
"""What GRPO adds to the standard deviation of a group."""


class Simulation(Method):
    """Runs of the algorithm on what the probe says of the formats, each with its own luck.

    A run begins with the probe of prompts drawn from the probe's. In each step prompts are drawn;
    of each a group of formats from the policy; a verdict for each rollout from the accuracy of its
    format on its prompt; and advantages as the algorithm computes them, so that groups that are all
    right or all wrong teach nothing. The logit of a format then moves by `step` times the mean
    advantage of its rollouts (natural policy gradient), in units of the advantages' standard
    deviation, as AdamW divides by the size of gradients; by as much for each update of the step; by
    a pull back to the base where there is a KL coefficient; and by noise of standard deviation
    `noise`. One policy serves all prompts, accuracies stay as they are, and nothing is clipped.
    """

    name: ClassVar[str] = "simulation"
    words: ClassVar[str] = "simulation"
    tried: ClassVar[Sequence[Mapping[str, Any]]] = parameters(
        step=(0.05, 0.1, 0.2, 0.3), noise=(0.03, 0.15)
    )
    gives_shares: ClassVar[bool] = True

    def scores(self, known: Known, epochs: np.ndarray, **parameters: float) -> np.ndarray:
        """See `Method.scores`."""
        step, noise = parameters["step"], parameters["noise"]
        return simulate(known.probe, known.settings, epochs, step=step, noise=noise)


def simulate(
    probe: BaseProbe,
    settings: RunSettings,
    epochs: np.ndarray,
    *,
    step: float,
    noise: float,
    seed: int = 0,
) -> np.ndarray:
    """Simulate runs.

    Args:
        probe: of the policy before RL.
        settings: of the run.
        epochs: when to look; ascending, (H,).
        step: how far an advantage of one standard deviation moves a logit in an update at the
            ladder's learning rate.
        noise: standard deviation of what else moves it.
        seed: of all draws.

    Returns:
        Logarithms of the shares; (B, H, F).
    """
    generator = np.random.default_rng(seed)
    shares, accuracies = probe.resampled(DRAWS, seed)  # (B, F) each
    base = np.log(np.maximum(shares, _LEAST))
    logits, found = base, []
    ends = np.maximum(1, np.rint(epochs * settings.steps_per_epoch)).astype(int)
    times = settings.time(np.arange(ends[-1] + 1) / settings.steps_per_epoch)
    for index, time in enumerate(np.diff(times), start=1):
        asked = generator.integers(len(probe.rollouts), size=(DRAWS, settings.prompts_per_step))
        policy = np.exp(log_softmax(logits, axis=1))[:, None]  # (B, 1, F)
        written = generator.multinomial(settings.group_size, policy, size=asked.shape)  # (B, N, F)
        chance = probe.correct[asked] + _OF_FORMAT * accuracies[:, None]
        chance = chance / (probe.rollouts[asked] + _OF_FORMAT)
        correct = generator.binomial(written, chance)  # (B, N, F)
        advantages, spread = _mean_advantages(settings, written, correct)
        pull = settings.kl_coefficient * (logits - base)
        drawn = generator.standard_normal(logits.shape)
        moved = step * time * (advantages - pull) / spread + noise * np.sqrt(time) * drawn
        logits = log_softmax(logits + moved, axis=1)
        found += [logits] * int((ends == index).sum())
    return np.stack(found, axis=1)


def _mean_advantages(
    settings: RunSettings, written: np.ndarray, correct: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean advantage of the rollouts of each format in a step, and their standard deviation.

    Args:
        settings: of the run.
        written: rollouts of each prompt in each format; (B, N, F).
        correct: right ones; (B, N, F).

    Returns:
        (B, F), and (B, 1) over all rollouts.
    """
    right = correct.sum(axis=2, keepdims=True) / settings.group_size  # (B, N, 1)
    if settings.algorithm == "ppo":  # a critic and no groups: what is usual over the batch
        right = np.broadcast_to(right.mean(axis=1, keepdims=True), right.shape)
    deviation = np.sqrt(right * (1 - right))
    scale = deviation + _EPSILON if settings.scale_rewards == "group" else 1.0
    summed = ((correct - written * right) / scale).sum(axis=1)  # (B, F)
    spread = np.sqrt(((deviation / scale) ** 2).mean(axis=(1, 2)))[:, None]  # (B, 1)
    mean = summed / np.maximum(written.sum(axis=1), 1)
    return mean, np.maximum(spread, _LEAST_SPREAD)
