"""Runs that were never trained: cases with a known law, for tests of forecasts."""

from collections.abc import Sequence

import numpy as np

from formatlab.forecast.case import Case, Outcome
from formatlab.forecast.known import BaseProbe, RunSettings

FORMATS = ("latex", "program", "prose")

RUN_SETTINGS = {
    "learning_rate": 1e-3,
    "warmup": 0.1,
    "kl_coefficient": 0.0,
    "prompts": 256,
    "prompts_per_step": 64,
    "group_size": 8,
    "iterations": 1,
    "sequences_per_update": None,
    "scale_rewards": "none",
    "epochs": 2,
}
"""Settings of a run as its config.json has them."""

SETTINGS = RunSettings(
    algorithm="grpo",
    non_embedding_parameters=25_000,
    learning_rate=1e-3,
    warmup=0.1,
    schedule="constant",
    loss_type="dr_grpo",
    kl_coefficient=0.0,
    prompts_per_step=64,
    group_size=8,
    scale_rewards="none",
    updates_per_step=1,
    steps_per_epoch=4,
    epochs=2,
)


def made_probe(
    shares: Sequence[float] | np.ndarray,
    accuracies: Sequence[float] | np.ndarray,
    *,
    prompts: int = 128,
    samples: int = 8,
    seed: int = 0,
    formats: Sequence[str] = FORMATS,
) -> BaseProbe:
    """A probe drawn from shares and accuracies of formats, which no prompt changes."""
    generator = np.random.default_rng(seed)
    rollouts = generator.multinomial(samples, shares, size=prompts)
    correct = generator.binomial(rollouts, accuracies)
    return BaseProbe(
        formats=tuple(formats),
        rollouts=rollouts,
        correct=correct,
        tokens=30.0 * rollouts,
        logprob=-5.0 * rollouts,
    )


def made_response(probe: BaseProbe) -> np.ndarray:
    """A response that goes by accuracy alone, in units of an update; (2, F)."""
    gained = probe.accuracies - probe.shares @ probe.accuracies
    return np.stack([0.3 * gained, np.full(len(gained), 0.002)])


def made_case(
    number: int,
    probe: BaseProbe,
    *,
    leads: Sequence[Sequence[float]],
    base: str = "",
    scale: str = "0.04M",
    set_aside: bool = False,
) -> Case:
    """A run with a probability of leading by epoch (0.5, 1, 2) and format; shares are the same."""
    return Case(
        run=f"made/{number}",
        base=base or f"base{number}",
        scale=scale,
        mixture="four",
        fidelity="none",
        seed=number,
        set_aside=set_aside,
        probe=probe,
        settings=SETTINGS,
        response=made_response(probe),
        outcomes={
            epoch: Outcome(
                rollouts={form: round(1000 * of) for form, of in zip(FORMATS, row, strict=True)},
                correct={form: round(500 * of) for form, of in zip(FORMATS, row, strict=True)},
                leads=dict(zip(FORMATS, row, strict=True)),
            )
            for epoch, row in zip((0.5, 1.0, 2.0), leads, strict=True)
        },
    )


def lawful_cases(count: int, *, temperature: float, seed: int = 0) -> list[Case]:
    """Runs whose leader is drawn with probability softmax(share x accuracy / temperature)."""
    generator = np.random.default_rng(seed)
    cases = []
    for number in range(count):
        shares, accuracies = generator.dirichlet(np.ones(3) * 3), generator.uniform(0.1, 0.9, 3)
        probe = made_probe(shares, accuracies, seed=number, prompts=400)
        scores = probe.shares * probe.accuracies / temperature
        chances = np.exp(scores - scores.max())
        leader = generator.choice(3, p=chances / chances.sum())
        lead = [float(place == leader) for place in range(3)]
        scale = ("0.04M", "0.13M")[number % 2]
        cases.append(made_case(number, probe, leads=[lead] * 3, scale=scale))
    return cases
