"""Comparison: what differs between two sets of rollouts, with an interval for each difference.

Where both have rollouts of the same prompts, only those are compared, pair by pair: a resample
draws a prompt with its rollouts on both sides, so what makes a prompt hard cancels out. Otherwise
prompts are drawn on each side for itself. Both sides are measured at equally many rollouts of each
prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from formatlab.errors import InputError
from formatlab.measure.bootstrap import DEFAULT_RESAMPLES, FEWEST_CLUSTERS
from formatlab.measure.decomposition import DiversitySplit, diversity_splits
from formatlab.measure.entropy import js_divergence
from formatlab.measure.frames import Frame, rollouts_of
from formatlab.measure.gain import Gain, gain
from formatlab.measure.measures import (
    FRACTIONS,
    MEASURES_IN_WORDS,
    Budget,
    Embed,
    statistics,
    text_kernels,
)
from formatlab.measure.samples import MOST_SAMPLES, PromptRollouts, budget, by_prompt
from formatlab.measure.statistic import (
    NOT_DEFINED,
    Estimate,
    Statistic,
    difference,
    draws,
    estimate,
    matched,
    retained,
)


def _field(name: str, kind: pa.DataType, meaning: str) -> pa.Field:
    return pa.field(name, kind, metadata={"description": meaning})


_WHAT = (
    _field("measure", pa.string(), "its name; `formatlab measure --help` says what each is"),
    _field(
        "subset",
        pa.string(),
        "all rollouts, the right ones, or those of one tag; of a composition, by what pairs are "
        "told apart, or the kind of pair",
    ),
    _field("k", pa.int64(), "rollouts of each prompt; null where it does not depend on k"),
)
_LOW = "lower bound, 95%, bootstrap over prompts; null below 10, and where all resamples agree"
_HIGH = "upper bound, likewise"
MEASURE_SCHEMA = pa.schema(
    [
        *_WHAT,
        _field("value", pa.float64(), "null where it is not defined"),
        _field("low", pa.float64(), _LOW),
        _field("high", pa.float64(), _HIGH),
        _field("n_prompts", pa.int64(), "prompts that count"),
    ]
)
"""Columns of `measures`."""

DIFFERENCE_SCHEMA = pa.schema(
    [
        *_WHAT,
        _field("a", pa.float64(), "of the first set; null where it is not defined"),
        _field("b", pa.float64(), "of the second set"),
        _field("difference", pa.float64(), "b less a"),
        _field("low", pa.float64(), _LOW),
        _field("high", pa.float64(), _HIGH),
        _field("retained", pa.float64(), "b / a; null of fractions and where a is not above 0"),
        _field("retained_low", pa.float64(), _LOW),
        _field("retained_high", pa.float64(), _HIGH),
        _field("n_prompts", pa.int64(), "prompts that count, on the side that has fewer"),
    ]
)
"""Columns of the differences of a comparison."""

CHANGES_IN_WORDS = {
    "js_divergence": "Jensen-Shannon divergence of the shares, nats; above 0 by chance alone",
    "gain": "change in accuracy, each prompt with the same weight",
    "gain_format": "part of it that comes from writing other formats",
    "gain_routing": "part that comes from matching formats to prompts",
    "gain_skill_within": "part within formats and prompts; the three add up to the gain",
    "gain_skill": "routing and skill within prompts together",
    "*_composition": "of a change in distance, the part due to other kinds of pairs of rollouts",
    "*_within": "the part within kinds of pairs; both are given by format and by correctness",
}
"""What only a comparison has: a change and its parts, in the column `difference`. The last two are
of `format_disagreement` (whether two rollouts differ in format) and of the distances of texts."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two sets of rollouts, compared."""

    differences: pa.Table
    """One row a measure, with `DIFFERENCE_SCHEMA`: those of `MEASURES_IN_WORDS`, then those of
    `CHANGES_IN_WORDS`."""
    divergence: Estimate
    """Jensen-Shannon divergence of the shares, nats; never negative, so above 0 by chance alone."""
    gain: Gain | None
    """Where the change in accuracy comes from; None without shared graded prompts."""
    splits: Sequence[DiversitySplit]
    """Where changes of diversity come from; empty without shared prompts."""
    n_prompts: tuple[int, int]
    """Prompts of each side that were compared."""
    paired: bool
    """Whether they are the same prompts."""
    shared: int
    """Prompts that both sides have; too few are not compared pair by pair."""
    left_out: tuple[int, int]
    """Prompts of each side that the other does not have."""
    k: int
    """Rollouts of a prompt at which diversity is compared."""

    def __repr__(self) -> str:
        """Its size; the numbers are in `differences`."""
        a, b = self.n_prompts
        prompts = f"{a} prompts, paired" if self.paired else f"{a} and {b} prompts"
        return f"<comparison of {prompts}: {self.differences.num_rows} differences>"


def measures(
    rollouts: Frame,
    *,
    k: int | None = None,
    texts: bool = True,
    embed: Embed | None = None,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> pa.Table:
    """Measure a set of rollouts.

    Args:
        rollouts: a data frame, an Arrow table or rows, with the columns of
            `formatlab.measure.frames.FRAME_COLUMNS`.
        k: rollouts of a prompt that diversity looks at; by default as many as nine in ten prompts
            have, at most `MOST_SAMPLES`.
        texts: whether to compare texts, which takes the longest.
        embed: for the semantic distance; without it there is none.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        One row a measure, with `MEASURE_SCHEMA`.

    Raises:
        InputError: there are no rollouts, a column is missing, or most prompts have fewer than k.
    """
    prompts = by_prompt(rollouts_of(rollouts, "rollouts"))
    each = _budget([prompts], k)
    kernels = text_kernels(prompts, each.samples, embed) if texts else None
    found = statistics(prompts, each, kernels)
    rows = []
    for statistic, drawn in zip(found, draws(found, resamples=resamples, seed=seed), strict=True):
        value = estimate(
            statistic.value, drawn, statistic.n_prompts, fraction=statistic.measure in FRACTIONS
        )
        counted = {"n_prompts": statistic.n_prompts}
        rows.append(_what(statistic) | _columns("value", value) | counted)
    return pa.Table.from_pylist(rows, schema=MEASURE_SCHEMA)


def compare(
    a: Frame,
    b: Frame,
    *,
    k: int | None = None,
    texts: bool = True,
    embed: Embed | None = None,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare two sets of rollouts, see `measures` for the arguments.

    Raises:
        InputError: one has no rollouts, lacks a column, or has fewer than k of most prompts.
    """
    tables = [rollouts_of(a, "a"), rollouts_of(b, "b")]
    sides = [by_prompt(table) for table in tables]
    shared = set.intersection(*({of.prompt_id for of in side} for side in sides))
    paired = len(shared) >= min(FEWEST_CLUSTERS, *map(len, sides))
    left_out = tuple(len(side) - len(shared) if paired else 0 for side in sides)
    if paired:
        sides = [[of for of in side if of.prompt_id in shared] for side in sides]
    each = _budget(sides, k)
    kernels = [text_kernels(side, each.samples, embed) if texts else None for side in sides]
    a_found, b_found = (
        statistics(side, each, of_side) for side, of_side in zip(sides, kernels, strict=True)
    )
    if paired:
        a_found, b_found = matched(a_found, b_found), matched(b_found, a_found)
    # On different prompts the sides are drawn with different seeds: nothing pairs them.
    drawn = [
        list(zip(found, draws(found, resamples=resamples, seed=of_side), strict=True))
        for found, of_side in ((a_found, seed), (b_found, seed if paired else seed + 1))
    ]
    divergence = _divergence(*drawn)
    told = paired and all("correct" in table.column_names for table in tables)
    gained = gain(*tables, resamples=resamples, seed=seed) if told else None
    splits = (
        diversity_splits(
            sides[0],
            sides[1],
            each.samples,
            (kernels[0], kernels[1]),
            resamples=resamples,
            seed=seed,
        )
        if paired and each.samples > 1
        else []
    )
    prompts = min(map(len, sides))
    rows = _differences(*drawn) + _changes(divergence, gained, splits, each.samples, prompts)
    return Comparison(
        differences=pa.Table.from_pylist(rows, schema=DIFFERENCE_SCHEMA),
        divergence=divergence,
        gain=gained,
        splits=splits,
        n_prompts=(len(sides[0]), len(sides[1])),
        paired=paired,
        shared=len(shared),
        left_out=(left_out[0], left_out[1]),
        k=each.samples,
    )


def _budget(sides: Sequence[Sequence[PromptRollouts]], k: int | None) -> Budget:
    most = budget(*([len(prompt.tags) for prompt in side] for side in sides))
    graded = budget(*([len(prompt.graded) for prompt in side] for side in sides))
    if k is None:
        return Budget(samples=min(most, MOST_SAMPLES), graded=graded)
    if not 2 <= k <= most:
        known = f"it can be 2 to {most}" if most > 1 else "there is no k without two of each"
        raise InputError(f"k is {k}; nine in ten prompts have {most} or more rollouts, so {known}")
    return Budget(samples=k, graded=graded)


def _what(statistic: Statistic) -> dict[str, Any]:
    return {"measure": statistic.measure, "subset": statistic.subset, "k": statistic.k}


def _columns(name: str, found: Estimate, prefix: str = "") -> dict[str, float | None]:
    value = None if np.isnan(found.value) else found.value
    return {name: value, f"{prefix}low": found.low, f"{prefix}high": found.high}


_Drawn = tuple[Statistic, np.ndarray]
"""A statistic and its values over the resamples; (B,)."""


def _differences(a: Sequence[_Drawn], b: Sequence[_Drawn]) -> list[dict[str, Any]]:
    """A row for every statistic of either side."""
    sides = [{statistic.key: (statistic, drawn) for statistic, drawn in side} for side in (a, b)]
    rows = []
    for key in sorted(sides[0] | sides[1], key=_rank):
        # A tag that one side never writes has a share of 0 there; all else is not defined there.
        absent = 0.0 if key[0] == "share" else np.nan
        pairs = [side.get(key) for side in sides]
        values = [absent if pair is None else pair[0].value for pair in pairs]
        drawn = [np.full(1, absent) if pair is None else pair[1] for pair in pairs]
        known = [pair[0] for pair in pairs if pair is not None]
        fewest = min(known, key=lambda statistic: statistic.n_prompts)
        fraction = fewest.measure in FRACTIONS
        both = ((values[0], values[1]), (drawn[0], drawn[1]), fewest.n_prompts)
        change = difference(*both, fraction=fraction)
        left = NOT_DEFINED if fraction or key[0] == "format_information" else retained(*both)
        ends = {
            side: None if np.isnan(value) else value
            for side, value in zip(("a", "b"), values, strict=True)
        }
        rows.append(
            _what(fewest)
            | ends
            | _columns("difference", change)
            | _columns("retained", left, "retained_")
            | {"n_prompts": 0 if np.isnan(change.value) else fewest.n_prompts}
        )
    return rows


def _changes(
    divergence: Estimate,
    gained: Gain | None,
    splits: Sequence[DiversitySplit],
    k: int,
    prompts: int,
) -> list[dict[str, Any]]:
    """Rows of what only a comparison has."""

    def row(
        measure: str, found: Estimate, of: int, *, subset: str = "all", at: int | None = None
    ) -> dict[str, Any]:
        what = {"measure": measure, "subset": subset, "k": at, "n_prompts": of}
        return what | _columns("difference", found)

    rows = [row("js_divergence", divergence, prompts)]
    if gained is not None:
        ends = {"a": gained.accuracy_base, "b": gained.accuracy_final}
        rows.append(row("gain", gained.change, gained.n_prompts) | ends)
        rows += [
            row(f"gain_{name}", getattr(gained, name), gained.n_prompts)
            for name in ("format", "routing", "skill_within", "skill")
        ]
    for split in splits:
        parts = {f"by {split.by}": (split.composition, split.within), **split.kinds}
        rows += [
            row(f"{split.measure}_{part}", found, split.n_prompts, subset=subset, at=k)
            for subset, both in parts.items()
            for part, found in zip(("composition", "within"), both, strict=True)
        ]
    return rows


def _rank(key: tuple[str, str, int | None]) -> tuple[int, bool, str, int]:
    """By measure, `all` before other subsets, then by k."""
    measure, subset, k = key
    return list(MEASURES_IN_WORDS).index(measure), subset != "all", subset, k or 0


def _divergence(a: Sequence[_Drawn], b: Sequence[_Drawn]) -> Estimate:
    sides = [
        {
            statistic.subset: (statistic, drawn)
            for statistic, drawn in side
            if statistic.measure == "share"
        }
        for side in (a, b)
    ]
    tags = sorted(sides[0] | sides[1])
    values, drawn = [], []
    for side in sides:
        none = np.zeros(len(next(iter(side.values()))[1]))
        values.append(np.array([side[tag][0].value if tag in side else 0.0 for tag in tags]))
        drawn.append(np.stack([side[tag][1] if tag in side else none for tag in tags], axis=-1))
    prompts = min(statistic.n_prompts for side in sides for statistic, _ in side.values())
    return estimate(float(js_divergence(*values)), js_divergence(*drawn), prompts)
