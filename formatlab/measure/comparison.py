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
from formatlab.measure.gain import Gain, Part, gain
from formatlab.measure.measures import (
    FRACTIONS,
    MEASURES_IN_WORDS,
    Budget,
    Embed,
    statistics,
    text_kernels,
)
from formatlab.measure.samples import MOST_SAMPLES, Samples, budget, by_prompt
from formatlab.measure.statistic import (
    Estimate,
    Statistic,
    difference,
    draws,
    estimate,
    matched,
)


def _field(name: str, kind: pa.DataType, meaning: str) -> pa.Field:
    return pa.field(name, kind, metadata={"description": meaning})


_WHAT = (
    _field("measure", pa.string(), "its name; `formatlab measure --help` says what each is"),
    _field("subset", pa.string(), "all rollouts, the right ones, or those of one tag"),
    _field("k", pa.int64(), "rollouts of each prompt that it looks at; null where that is all one"),
)
_LOW = "lower bound, 95%, bootstrap over prompts; null below 10, and where all resamples agree"
MEASURE_SCHEMA = pa.schema(
    [
        *_WHAT,
        _field("value", pa.float64(), "null where it is not defined"),
        _field("low", pa.float64(), _LOW),
        _field("high", pa.float64(), "upper bound, likewise"),
        _field("n_prompts", pa.int64(), "prompts that bear on it"),
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
        _field("high", pa.float64(), "upper bound, likewise"),
        _field("n_prompts", pa.int64(), "prompts that bear on it, on the side that has fewer"),
    ]
)
"""Columns of the differences of a comparison."""

CHANGES_IN_WORDS = {
    "js_divergence": "Jensen-Shannon divergence of the shares, nats; above 0 by chance alone",
    "gain": "change in accuracy, each prompt with the same weight",
    "gain_format": "part of it that comes from writing other formats",
    "gain_routing": "part that comes from matching formats to prompts",
    "gain_skill_within": "part within formats and prompts; the three add up to the gain",
    "composition": "of a change in distance, the part that comes from what pairs of rollouts are",
    "within": "the part within kinds of pairs; `subset` says by which kinds, or which one",
}
"""What only a comparison has: a change and its parts, in the column `difference`."""


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
    left_out: tuple[int, int]
    """Prompts of each side that the other does not have."""
    samples: int
    """Rollouts of a prompt at which diversity is compared."""


def measures(
    rollouts: Frame,
    *,
    samples: int | None = None,
    texts: bool = True,
    embed: Embed | None = None,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> pa.Table:
    """Measure a set of rollouts.

    Args:
        rollouts: a data frame, an Arrow table or rows, with the columns of
            `formatlab.measure.frames.FRAME_COLUMNS`.
        samples: rollouts of a prompt that diversity looks at; by default as many as nine in ten
            prompts have, at most `MOST_SAMPLES`.
        texts: whether to compare texts, which takes the longest.
        embed: for the semantic distance; without it there is none.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        One row a measure, with `MEASURE_SCHEMA`.

    Raises:
        InputError: there are no rollouts, a column is missing, or most prompts have fewer
            `samples`.
    """
    prompts = by_prompt(rollouts_of(rollouts, "rollouts"))
    each = _budget([prompts], samples)
    kernels = text_kernels(prompts, each.samples, embed) if texts else None
    found = statistics(prompts, each, kernels)
    rows = [
        _what(of)
        | _columns(
            "value",
            estimate(of.value, drawn, int(of.bearing.sum()), fraction=of.measure in FRACTIONS),
        )
        | {"n_prompts": int(of.bearing.sum())}
        for of, drawn in zip(found, draws(found, resamples=resamples, seed=seed), strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=MEASURE_SCHEMA)


def compare(
    a: Frame,
    b: Frame,
    *,
    samples: int | None = None,
    texts: bool = True,
    embed: Embed | None = None,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare two sets of rollouts, see `measures` for the arguments.

    Raises:
        InputError: one has no rollouts, lacks a column, or has fewer `samples` of most prompts.
    """
    tables = [rollouts_of(a, "a"), rollouts_of(b, "b")]
    sides = [by_prompt(table) for table in tables]
    shared = set.intersection(*({of.prompt_id for of in side} for side in sides))
    paired = len(shared) >= min(FEWEST_CLUSTERS, *map(len, sides))
    left_out = tuple(len(side) - len(shared) if paired else 0 for side in sides)
    if paired:
        sides = [[of for of in side if of.prompt_id in shared] for side in sides]
    each = _budget(sides, samples)
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
    rows = _differences(*drawn) + _changes(divergence, gained, splits, each.samples, len(sides[0]))
    return Comparison(
        differences=pa.Table.from_pylist(rows, schema=DIFFERENCE_SCHEMA),
        divergence=divergence,
        gain=gained,
        splits=splits,
        n_prompts=(len(sides[0]), len(sides[1])),
        paired=paired,
        left_out=(left_out[0], left_out[1]),
        samples=each.samples,
    )


def _budget(sides: Sequence[Sequence[Samples]], samples: int | None) -> Budget:
    most = budget(*([len(of.tags) for of in side] for side in sides))
    graded = [[sum(right is not None for right in of.correct) for of in side] for side in sides]
    if samples is not None and not 2 <= samples <= most:
        raise InputError(f"samples is {samples}; nine in ten prompts have {most} rollouts")
    return Budget(
        samples=min(most, MOST_SAMPLES) if samples is None else samples, graded=budget(*graded)
    )


def _what(of: Statistic) -> dict[str, str | int | None]:
    return {"measure": of.measure, "subset": of.subset, "k": of.k}


def _columns(name: str, found: Estimate) -> dict[str, float | None]:
    return {name: found.value, "low": found.low, "high": found.high}


_Drawn = tuple[Statistic, np.ndarray]
"""A statistic and its values over the resamples; (B,)."""


def _differences(a: Sequence[_Drawn], b: Sequence[_Drawn]) -> list[dict[str, Any]]:
    """A row for every statistic of either side."""
    sides = [{of.key: (of, drawn) for of, drawn in side} for side in (a, b)]
    rows = []
    for key in sorted(sides[0] | sides[1], key=_rank):
        # A tag that one side never writes has a share of 0 there; all else is not defined there.
        absent = 0.0 if key[0] == "share" else np.nan
        pairs = [side.get(key) for side in sides]
        a_value, b_value = (absent if pair is None else pair[0].value for pair in pairs)
        a_drawn, b_drawn = (np.full(1, absent) if pair is None else pair[1] for pair in pairs)
        fewest = min((pair[0] for pair in pairs if pair), key=lambda of: of.bearing.sum())
        change = difference(
            (a_value, b_value),
            (a_drawn, b_drawn),
            int(fewest.bearing.sum()),
            fraction=fewest.measure in FRACTIONS,
        )
        known = {
            side: None if np.isnan(value) else value
            for side, value in (("a", a_value), ("b", b_value))
        }
        prompts = 0 if change.value is None else int(fewest.bearing.sum())
        found = _what(fewest) | known | _columns("difference", change)
        rows.append(found | {"n_prompts": prompts})
    return rows


def _changes(
    divergence: Estimate,
    gained: Gain | None,
    splits: Sequence[DiversitySplit],
    samples: int,
    prompts: int,
) -> list[dict[str, Any]]:
    """Rows of what only a comparison has."""

    def row(
        measure: str, subset: str, k: int | None, found: Estimate | Part, of: int
    ) -> dict[str, Any]:
        bounds = {"difference": found.value, "low": found.low, "high": found.high}
        return {"measure": measure, "subset": subset, "k": k, **bounds, "n_prompts": of}

    rows = [row("js_divergence", "all", None, divergence, prompts)]
    if gained is not None:
        ends = {"a": gained.accuracy_base, "b": gained.accuracy_final}
        rows.append(row("gain", "all", None, gained.change, gained.n_prompts) | ends)
        rows += [
            row(f"gain_{name}", "all", None, getattr(gained, name), gained.n_prompts)
            for name in ("format", "routing", "skill_within")
        ]
    for of in splits:
        parts = {f"by {of.by}": (of.composition, of.within), **of.kinds}
        rows += [
            row(f"{of.measure} {part}", subset, samples, found, of.n_prompts)
            for subset, both in parts.items()
            for part, found in zip(("composition", "within"), both, strict=True)
        ]
    return rows


def _rank(key: tuple[str, str, int | None]) -> tuple[int, bool, str, int]:
    """By measure, `all` before other subsets, then by k."""
    measure, subset, k = key
    return list(MEASURES_IN_WORDS).index(measure), subset != "all", subset, k or 0


def _divergence(a: Sequence[_Drawn], b: Sequence[_Drawn]) -> Estimate:
    shares = [
        {of.subset: (of, drawn) for of, drawn in side if of.measure == "share"} for side in (a, b)
    ]
    tags = sorted(shares[0] | shares[1])
    values, drawn = [], []
    for side in shares:
        none = np.zeros(len(next(iter(side.values()))[1]))
        values.append(np.array([side[tag][0].value if tag in side else 0.0 for tag in tags]))
        drawn.append(np.stack([side[tag][1] if tag in side else none for tag in tags], axis=-1))
    prompts = min(of.bearing.sum() for side in shares for of, _ in side.values())
    return estimate(float(js_divergence(*values)), js_divergence(*drawn), int(prompts))
