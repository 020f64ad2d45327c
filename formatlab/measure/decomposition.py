"""Which pairs of rollouts a change in diversity comes from.

The mean distance of two rollouts of a prompt is a sum over kinds of pairs, `D = sum_k w_k D_k`, of
their weights times their mean distances. Kinds are both right, mixed and both wrong
(`by_correctness`), or same format and different formats (`by_format`). So a policy can get less
diverse by what its pairs are (*composition*: more of them both right, say), or within kinds:

    D' - D = sum_k (w'_k - w_k) (D_k + D'_k) / 2  +  sum_k (D'_k - D_k) (w_k + w'_k) / 2

As in `formatlab.measure.gain` the interaction is shared equally, and both parts add up to the
change exactly (Shapley, A Value for n-Person Games (1953); Kitagawa, Components of a Difference
Between Two Rates (1955)).

A kind of pair that one side lacks has no distance there. That of the other side stands for it, so
that its arrival or end is all composition.

Each prompt has the same weight, whatever its number of pairs: a prompt's weights are its fractions
of pairs. Sums of them over prompts are all that is needed, so a bootstrap may draw prompts anew:
stack the sums of P prompts as (P, K), and give `split` the sums of draws as (B, K).

K: kinds of pairs, n: rollouts of a prompt.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from formatlab.measure.bootstrap import DEFAULT_RESAMPLES, resampled
from formatlab.measure.measures import Kernels
from formatlab.measure.samples import PromptRollouts
from formatlab.measure.statistic import Estimate, estimate

CORRECTNESS_KINDS = ("both_right", "mixed", "both_wrong")
"""Kinds of `by_correctness`, in its order."""

FORMAT_KINDS = ("same_format", "different_formats")
"""Kinds of `by_format`, in its order."""

_DISAGREEMENT = "format_disagreement"


class PairSums(NamedTuple):
    """Pairs of one prompt, or sums over prompts, by kind."""

    weights: np.ndarray
    """Fractions of the pairs; (..., K)."""
    distances: np.ndarray
    """Weight times mean distance; (..., K)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """A change in mean distance and its parts; nan where a side has no pair."""

    change: np.ndarray
    """Of the mean distance, after less before; (...)."""
    composition: np.ndarray
    """What comes of the weight of each kind; (..., K)."""
    within: np.ndarray
    """What comes of the mean distance of each kind; (..., K)."""

    @property
    def total_composition(self) -> np.ndarray:
        """What comes of weights; (...). With `total_within` it is the change."""
        return self.composition.sum(axis=-1)

    @property
    def total_within(self) -> np.ndarray:
        """What comes of distances within kinds; (...)."""
        return self.within.sum(axis=-1)


def by_correctness(correct: Sequence[bool | None]) -> np.ndarray:
    """Tell which pairs are of which of `CORRECTNESS_KINDS`, all graded; bool (3, n, n)."""
    right = np.array(correct, dtype=np.int64)
    wrong_ones = 2 - right[:, None] - right
    return np.stack([wrong_ones == wrong for wrong in range(3)])


def by_format(tags: Sequence[str]) -> np.ndarray:
    """Tell which pairs are of which of `FORMAT_KINDS`; bool (2, n, n)."""
    names = np.array(tags, dtype=np.str_)
    same = names[:, None] == names
    return np.stack([same, ~same])


def pair_sums(similarities: np.ndarray, kinds: np.ndarray) -> PairSums:
    """Weight and distance of each kind of pair among the rollouts of a prompt.

    Args:
        similarities: (n, n); the distance is 1 - similarity. Pairs that are nan do not count.
        kinds: of which kind each pair is, each of one; bool (K, n, n).

    Returns:
        (K,) each; zeros if no pair counts. Leave such a prompt out on both sides, so that both
        are about the same prompts.
    """
    pairs = np.triu_indices(len(similarities), k=1)
    known = ~np.isnan(similarities[pairs])
    of_kind = kinds[:, *pairs][:, known].astype(np.float64)  # (K, pairs)
    number = max(1, known.sum())
    return PairSums(
        weights=of_kind.sum(axis=1) / number,
        distances=of_kind @ (1 - similarities[pairs][known]) / number,
    )


def split(before: PairSums, after: PairSums) -> Split:
    """Split the change in mean distance between two sets of rollouts of the same prompts.

    Args:
        before: sums over prompts, (..., K).
        after: the same prompts, (..., K).
    """
    sums = np.stack([before.weights, after.weights]).astype(np.float64)  # (2, ..., K)
    totals = sums.sum(axis=-1, keepdims=True)
    weights = _ratio(sums, totals, np.nan)
    means = _ratio(np.stack([before.distances, after.distances]), sums, 0.0)
    means = np.where(sums > 0, means, means[::-1])
    values = (weights * means).sum(axis=-1)
    return Split(
        change=values[1] - values[0],
        composition=(weights[1] - weights[0]) * means.mean(axis=0),
        within=(means[1] - means[0]) * weights.mean(axis=0),
    )


def _ratio(part: np.ndarray, whole: np.ndarray, without: float) -> np.ndarray:
    """`part / whole`, and `without` where there is no whole."""
    filled = np.full(part.shape, without)
    return np.divide(part, whole, out=filled, where=np.broadcast_to(whole > 0, part.shape))


@dataclass(frozen=True, kw_only=True, slots=True)
class DiversitySplit:
    """A change in the mean distance of two rollouts of a prompt, and its parts."""

    measure: str
    """`format_disagreement` (1 where two tags differ, else 0), or one of `measures`."""
    by: str
    """What pairs are told apart by: `correctness` or `format`."""
    change: Estimate
    composition: Estimate
    within: Estimate
    kinds: Mapping[str, tuple[Estimate, Estimate]]
    """Kind of pair -> its part of the composition, and the part within it."""
    n_prompts: int
    """Prompts with enough rollouts on both sides."""


def diversity_splits(
    before: Sequence[PromptRollouts],
    after: Sequence[PromptRollouts],
    k: int,
    texts: tuple[Kernels | None, Kernels | None],
    *,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> list[DiversitySplit]:
    """Split changes in diversity between two sets of rollouts.

    Args:
        before: rollouts by prompt.
        after: of the same prompts.
        k: rollouts of each prompt that are looked at; prompts with fewer are left out.
        texts: how alike those of each side are; None without texts.
        resamples: of the bootstrap, which draws prompts with their rollouts on both sides.
        seed: of the bootstrap.
    """
    sides = (before, after)
    enough = np.array([all(len(of.tags) >= k for of in both) for both in zip(*sides, strict=True)])
    tellings: list[tuple[str, tuple[str, ...], Callable[[PromptRollouts], np.ndarray]]] = [
        ("format", FORMAT_KINDS, lambda of: by_format(of.tags[:k]))
    ]
    if all(right is not None for side in sides for of in side for right in of.correct[:k]):
        tellings.insert(
            0, ("correctness", CORRECTNESS_KINDS, lambda of: by_correctness(of.correct[:k]))
        )
    kernels = _kernels(sides, k, texts)
    return [
        found
        for measure, of_sides in kernels.items()
        for by, names, kinds in tellings
        # Pairs of one format never disagree, so that split would say nothing.
        if (measure, by) != (_DISAGREEMENT, "format")
        and (
            found := _diversity_split(
                measure,
                by,
                names,
                [
                    [
                        pair_sums(kernel, kinds(of)) if there and kernel is not None else None
                        for of, kernel, there in zip(side, kernels_of, enough, strict=True)
                    ]
                    for side, kernels_of in zip(sides, of_sides, strict=True)
                ],
                resamples,
                seed,
            )
        )
    ]


def _kernels(
    sides: Sequence[Sequence[PromptRollouts]], k: int, texts: Sequence[Kernels | None]
) -> dict[str, list[Sequence[np.ndarray | None]]]:
    """Similarities of the first k rollouts of each prompt, of both sides, by measure."""
    found: dict[str, list[Sequence[np.ndarray | None]]] = {
        _DISAGREEMENT: [[by_format(of.tags[:k])[0].astype(float) for of in side] for side in sides]
    }
    for name in ("chrf", "semantic"):
        of_sides = [of.within.get(name) for of in texts if of is not None]
        if len(of_sides) == len(sides) and None not in of_sides:
            found[f"{name}_distance"] = [of for of in of_sides if of is not None]
    return found


def _diversity_split(
    measure: str,
    by: str,
    names: Sequence[str],
    sums: Sequence[Sequence[PairSums | None]],
    resamples: int,
    seed: int,
) -> DiversitySplit | None:
    """The split of one measure, of the sums of each prompt before and after."""
    pairs = [
        np.stack([one, other])  # (2 sides, weights and distances, K)
        for one, other in zip(*sums, strict=True)
        if one is not None and other is not None and one.weights.any() and other.weights.any()
    ]
    if not pairs:
        return None
    stacked = np.stack(pairs)  # (P, 2, 2, K)
    (drawn,) = resampled([stacked.reshape(len(pairs), -1)], resamples, seed)
    both = np.concatenate([stacked.sum(axis=0)[None], drawn.reshape(-1, *stacked.shape[1:])])
    parts = split(PairSums(*both[:, 0].swapaxes(0, 1)), PairSums(*both[:, 1].swapaxes(0, 1)))

    def told(values: np.ndarray) -> Estimate:
        """The first value is that of the rollouts, the others are those of the resamples."""
        return estimate(float(values[0]), values[1:], len(pairs))

    return DiversitySplit(
        measure=measure,
        by=by,
        change=told(parts.change),
        composition=told(parts.total_composition),
        within=told(parts.total_within),
        kinds={
            name: (told(parts.composition[:, place]), told(parts.within[:, place]))
            for place, name in enumerate(names)
        },
        n_prompts=len(pairs),
    )
