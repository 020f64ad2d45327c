"""Shares: the fraction of a set of rollouts with each tag, and how many of those are correct."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from formatlab.measure.counts import Rollouts, counts

SHARES_MEASURES = pa.schema(
    [
        pa.field("tag", pa.string()),
        pa.field("rollouts", pa.int64(), metadata={"description": "with this tag"}),
        pa.field("total", pa.int64(), metadata={"description": "in the group, any tag"}),
        pa.field("share", pa.float64(), metadata={"description": "rollouts / total"}),
        pa.field("accuracy", pa.float64(), metadata={"description": "null if none was graded"}),
        pa.field("well_formed", pa.float64(), metadata={"description": "null without rollouts"}),
    ]
)
"""Columns of `shares` after those of the grouping."""


def shares(rollouts: Rollouts, *, by: Sequence[str]) -> pa.Table:
    """Measure each tag in each group of rollouts.

    Args:
        rollouts: with `tag`, `correct`, `well_formed` and the columns of the grouping.
        by: the columns that make a group, for example `["step"]` or `["split", "epoch"]`.

    Returns:
        One row for each group and each tag that occurs anywhere in the rollouts (share 0 where it
        does not occur in the group): the columns of the grouping, then `SHARES_MEASURES`, sorted
        by group and tag.
    """
    keys = list(by)
    cells = counts(rollouts, by=keys)
    groups = cells.group_by(keys).aggregate([]).sort_by([(key, "ascending") for key in keys])
    tags = sorted(cells["tag"].unique().to_pylist())
    group_of = {tuple(row[key] for key in keys): i for i, row in enumerate(groups.to_pylist())}
    tag_of = {tag: i for i, tag in enumerate(tags)}

    numbers = np.zeros((4, len(group_of), len(tags)))
    names = ("n_rollouts", "n_correct", "n_graded", "n_well_formed")
    for cell in cells.to_pylist():
        place = group_of[tuple(cell[key] for key in keys)], tag_of[cell["tag"]]
        numbers[(slice(None), *place)] = [cell[name] for name in names]

    number, correct, graded, well_formed = numbers
    total = np.broadcast_to(number.sum(axis=1, keepdims=True), number.shape)
    empty = (number == 0).ravel()
    divisor = np.maximum(number, 1)
    columns = {
        key: groups[key].take(pa.array(np.repeat(np.arange(len(group_of)), len(tags))))
        for key in keys
    }
    measures = [
        pa.array(tags * len(group_of), pa.string()),
        pa.array(number.ravel().astype(np.int64)),
        pa.array(total.ravel().astype(np.int64)),
        pa.array((number / np.maximum(total, 1)).ravel()),
        pa.array((correct / np.maximum(graded, 1)).ravel(), mask=(graded == 0).ravel()),
        pa.array((well_formed / divisor).ravel(), mask=empty),
    ]
    columns |= dict(zip(SHARES_MEASURES.names, measures, strict=True))
    return pa.table(columns)
