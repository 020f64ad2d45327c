"""Gain: how much of a change in accuracy is format, and how much is skill.

Accuracy is a sum over formats, `A = sum_f p_f a_f`, of shares times accuracies. So a policy can get
better by writing other formats (*format*), or within the formats that it writes (*skill*):

    A' - A = sum_f (p'_f - p_f) (a_f + a'_f) / 2  +  sum_f (a'_f - a_f) (p_f + p'_f) / 2

The interaction is shared equally, which is the Shapley value of two factors (Shapley, A Value for
n-Person Games (1953); as a decomposition Kitagawa, Components of a Difference Between Two Rates
(1955)), so both parts add up to the change exactly.

A policy that learns which format suits which prompt gains without either: no share moves, and
nothing is solved that was not. Over all prompts that counts as skill. So the same split is made
within each prompt too, and averaged: *format* is then what it gains by choosing, prompt by prompt,
and what that has over the format part of all prompts is *routing*. The three parts `format`,
`routing` and `skill_within` add up to the change.

A format that one side never writes has no accuracy there, and one that it hardly writes (fewer than
`FEWEST_ROLLOUTS`) has none that means anything: one wrong rollout of a format that ended would make
its end look like a loss of skill. The accuracy of the other side stands for it, so that nothing of
its arrival or end counts as skill. Within a prompt that lacks the format on one side, its accuracy
on that side over all prompts stands for it. *Skill* is what *format* leaves of the change, so the
sum stays exact.

Every prompt has the same weight, whatever its number of rollouts.

P: prompts on both sides, F: tags of either, B: resamples.
"""

from dataclasses import dataclass

import numpy as np

from formatlab.measure.bootstrap import (
    DEFAULT_RESAMPLES,
    FEWEST_CLUSTERS,
    percentile_interval,
    resampled,
)
from formatlab.measure.counts import Rollouts, Tally, aligned, tally
from formatlab.measure.statistic import Estimate

FEWEST_ROLLOUTS = 20
"""Graded rollouts of a format, over all prompts, below which its accuracy says nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gain:
    """A change in accuracy and its parts."""

    accuracy_base: float
    """Mean over prompts."""
    accuracy_final: float
    """Mean over prompts."""
    change: Estimate
    """`accuracy_final - accuracy_base`; format + skill, and format + routing + skill_within."""
    format: Estimate
    """What it gains by writing other formats, at unchanged accuracy of each."""
    skill: Estimate
    """What it gains within formats, over all prompts."""
    routing: Estimate
    """What it gains by matching formats to prompts."""
    skill_within: Estimate
    """What it gains within formats and prompts: skill less routing."""
    n_prompts: int
    """Prompts with graded rollouts on both sides; the others are left out."""


def gain(
    base: Rollouts, final: Rollouts, *, resamples: int = DEFAULT_RESAMPLES, seed: int = 0
) -> Gain | None:
    """Split the change in accuracy from one set of rollouts to another.

    Args:
        base: rollouts before, with the columns `prompt_id`, `tag` and `correct`; those that were
            not graded are left out.
        final: rollouts after, of the same prompts.
        resamples: of the bootstrap, which draws prompts with their rollouts on both sides.
        seed: of the bootstrap.

    Returns:
        The parts; None if no prompt was graded on both sides.
    """
    return gain_of_tallies(tally(base), tally(final), resamples=resamples, seed=seed)


def gain_of_tallies(
    base: Tally, final: Tally, *, resamples: int = DEFAULT_RESAMPLES, seed: int = 0
) -> Gain | None:
    """Split the change in accuracy between two tallies, see `gain`."""
    shares, right, known = _paired(base, final)  # (2, P, F) twice, (2, F)
    prompts = shares.shape[1]
    if prompts == 0:
        return None
    totals = _parts(shares.sum(axis=1), right.sum(axis=1), known) / prompts  # (3,)
    within = _within(shares, right, known)  # (P,)
    values = _with_routing(totals, within.mean())
    bounds: list[tuple[float | None, float | None]] = [(None, None)] * 5
    if prompts >= FEWEST_CLUSTERS:
        drawn = resampled([*shares, *right, within[:, None]], resamples, seed)
        drawn_shares, drawn_right, chosen = np.stack(drawn[:2]), np.stack(drawn[2:4]), drawn[4]
        found = _parts(drawn_shares, drawn_right, known[:, None]) / prompts  # (3, B)
        low, high = percentile_interval(_with_routing(found, chosen[:, 0] / prompts).T)
        bounds = [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    change, by_format, skill, routing, skill_within = (
        Estimate(value=float(value), low=low, high=high)
        for value, (low, high) in zip(values, bounds, strict=True)
    )
    accuracy = right.sum(axis=(1, 2)) / prompts
    return Gain(
        accuracy_base=float(accuracy[0]),
        accuracy_final=float(accuracy[1]),
        change=change,
        format=by_format,
        skill=skill,
        routing=routing,
        skill_within=skill_within,
        n_prompts=prompts,
    )


def _paired(base: Tally, final: Tally) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares of each tag among a prompt's graded rollouts, and of those that are right too.

    Returns:
        Two arrays, base and final, of the prompts graded in both, (2, P, F); and whether a side
        has rollouts enough of a tag to tell its accuracy, (2, F).
    """
    sides = aligned(base, final)
    both = np.all([side.graded.sum(axis=1) > 0 for side in sides], axis=0)  # (P,)
    graded = np.stack([side.graded[both] for side in sides])  # (2, P, F)
    correct = np.stack([side.correct[both] for side in sides])
    total = graded.sum(axis=2, keepdims=True)
    return graded / total, correct / total, graded.sum(axis=1) >= FEWEST_ROLLOUTS


def _parts(shares: np.ndarray, right: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The change, its format part and its skill part, for sums over prompts.

    Args:
        shares: of each tag, before and after, (2, ..., F).
        right: of each tag and right, (2, ..., F).
        known: whether a side tells the accuracy of a tag, (2, ..., F).

    Returns:
        (3, ...), in the unit of the sums.
    """
    accuracy = _accuracies(shares, right, known)
    by_format = ((shares[1] - shares[0]) * accuracy.mean(axis=0)).sum(axis=-1)
    change = (right[1] - right[0]).sum(axis=-1)
    return np.stack([change, by_format, change - by_format])


def _within(shares: np.ndarray, right: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The format part within each prompt; (2, P, F) -> (P,)."""
    everywhere = _accuracies(shares.sum(axis=1), right.sum(axis=1), known)[:, None]  # (2, 1, F)
    own = np.divide(right, shares, out=np.zeros_like(right), where=shares > 0)
    accuracy = np.where(shares > 0, own, everywhere)
    accuracy = np.where(_rare(known)[:, None], accuracy[::-1], accuracy)
    return ((shares[1] - shares[0]) * accuracy.mean(axis=0)).sum(axis=-1)


def _accuracies(shares: np.ndarray, right: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Accuracy of each tag before and after, (2, ..., F); the other side's where it has none."""
    accuracy = np.divide(right, shares, out=np.zeros_like(right), where=shares > 0)
    return np.where((shares > 0) & ~_rare(known), accuracy, accuracy[::-1])


def _rare(known: np.ndarray) -> np.ndarray:
    """Whether a side hardly writes a tag whose accuracy the other side tells; (2, ..., F)."""
    return ~known & known[::-1]


def _with_routing(parts: np.ndarray, within: np.ndarray | float) -> np.ndarray:
    """Change, format, skill, routing and skill within prompts; (3, ...) -> (5, ...)."""
    change, by_format, skill = parts
    routing = within - by_format
    return np.stack([change, by_format, skill, routing, skill - routing])
