"""Counts: the rollouts of each group with each tag, from which everything else is measured.

Rollouts come a table at a time and only their counts are kept, so that more of them than fit into
memory can be measured.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from formatlab.store import ROLLOUT_SCHEMA

Rollouts = pa.Table | Iterable[pa.Table]
"""Rollouts to be measured: a table of them, or several, one after another, as
`RunFolder.rollout_batches` gives them."""

_FEWEST_MERGED = 100_000
"""Rows of counts that are gathered before those of equal groups are added up."""


def counts(rollouts: Rollouts, *, by: Sequence[str]) -> pa.Table:
    """Count rollouts by group and tag.

    Args:
        rollouts: with `tag` and the columns of the grouping; with `correct` and `well_formed` if
            these are to be counted.
        by: the columns that make a group; none for one group of all.

    Returns:
        One row for each group and each tag that occurs in it, in no order: the columns of the
        grouping, `tag`, and as int64 `n_rollouts`, `n_graded` (those whose right answer was known),
        `n_correct` and `n_well_formed`.
    """
    keys = [*by, "tag"]
    gathered: list[pa.Table] = []
    rows, merge_at = 0, _FEWEST_MERGED
    for table in [rollouts] if isinstance(rollouts, pa.Table) else rollouts:
        gathered.append(_added_up(_single_counts(table, keys), keys))
        rows += gathered[-1].num_rows
        if rows > merge_at:
            gathered = [_added_up(pa.concat_tables(gathered), keys)]
            rows = gathered[0].num_rows
            # Where groups are many they are added up less often, so that time stays in proportion.
            merge_at = max(_FEWEST_MERGED, 2 * rows)
    if not gathered:
        return _added_up(_single_counts(ROLLOUT_SCHEMA.empty_table(), keys), keys)
    return _added_up(pa.concat_tables(gathered), keys)


def _single_counts(table: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Return rollouts as counts of one each."""
    columns = {key: _decoded(table[key]) for key in keys}
    columns["n_rollouts"] = pa.chunked_array([np.ones(table.num_rows, np.int64)])
    if "correct" in table.column_names:
        columns["n_graded"] = table["correct"].is_valid()
        columns["n_correct"] = table["correct"].fill_null(False)
    if "well_formed" in table.column_names:
        columns["n_well_formed"] = table["well_formed"]
    return pa.table(columns)


def _added_up(table: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Return counts in which each group and tag stands once."""
    names = [name for name in table.column_names if name.startswith("n_")]
    added = table.group_by(list(keys), use_threads=False).aggregate([(n, "sum") for n in names])
    sums = {name: added[f"{name}_sum"].cast(pa.int64()) for name in names}
    return pa.table({key: added[key] for key in keys} | sums)


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    # Arrow groups by a dictionary only where it is the same in every table.
    kind = column.type
    return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column
