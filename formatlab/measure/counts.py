"""Counts of rollouts by group and tag, from which all measures are computed.

`counts` counts by any columns, `tally` arranges the counts of a probe as matrices of prompts and
tags, and `shares` divides the counts of each group. Rollouts are read a table at a time and only
their counts are kept, so that a run may be larger than memory.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from formatlab.store import ROLLOUT_SCHEMA

Rollouts = pa.Table | Iterable[pa.Table]
"""Rollouts as one table, or as several in a row, as `RunFolder.rollout_batches` gives them."""

_FEWEST_MERGED = 100_000
"""Rows of counts to gather before adding up those of equal groups."""


def counts(rollouts: Rollouts, *, by: Sequence[str]) -> pa.Table:
    """Count rollouts by group and tag.

    Args:
        rollouts: with `tag` and the columns of the grouping; `correct` and `well_formed` are
            counted where they are there.
        by: the columns that make a group; none for one group of all.

    Returns:
        One row for each group and each tag that occurs in it, in no order: the columns of the
        grouping, `tag`, and as int64 `n_rollouts`, `n_graded` (with a known right answer),
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
            # Many groups are added up less often, so that the time stays linear in the rows.
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
    """Return the counts with one row for each group and tag."""
    names = [name for name in table.column_names if name.startswith("n_")]
    added = table.group_by(list(keys), use_threads=False).aggregate([(n, "sum") for n in names])
    sums = {name: added[f"{name}_sum"].cast(pa.int64()) for name in names}
    return pa.table({key: added[key] for key in keys} | sums)


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    # Arrow can group by a dictionary only if all tables share it.
    kind = column.type
    return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Counts by prompt and tag. P: prompts, F: tags."""

    prompt_ids: tuple[str, ...]
    """The prompts, sorted; length P."""
    tags: tuple[str, ...]
    """The tags that occur, sorted; length F."""
    rollouts: np.ndarray
    """Rollouts of each prompt with each tag; int64 (P, F)."""
    graded: np.ndarray
    """Rollouts with a known right answer; int64 (P, F)."""
    correct: np.ndarray
    """Correct rollouts; int64 (P, F)."""

    @property
    def samples_per_prompt(self) -> int | None:
        """Rollouts of each prompt, or None if the prompts have different numbers of them."""
        samples = np.unique(self.rollouts.sum(axis=1))
        return int(samples[0]) if len(samples) == 1 else None


def tally(rollouts: Rollouts) -> Tally:
    """Count rollouts by prompt and tag.

    Args:
        rollouts: with the columns `prompt_id`, `tag` and `correct`.
    """
    return tally_of_counts(counts(rollouts, by=["prompt_id"]))


def tally_of_counts(counted: pa.Table) -> Tally:
    """Arrange counts by prompt and tag.

    Args:
        counted: `counts` by `prompt_id`, or by more columns, over which they are added up.
    """
    prompt_ids, prompt = _places(counted["prompt_id"])
    tags, tag = _places(counted["tag"])
    arranged = np.zeros((3, len(prompt_ids), len(tags)), dtype=np.int64)
    for index, name in enumerate(("n_rollouts", "n_graded", "n_correct")):
        np.add.at(arranged[index], (prompt, tag), counted[name].to_numpy())
    return Tally(
        prompt_ids=prompt_ids,
        tags=tags,
        rollouts=arranged[0],
        graded=arranged[1],
        correct=arranged[2],
    )


def aligned(one: Tally, other: Tally) -> tuple[Tally, Tally]:
    """Two tallies over the prompts that both have and the tags that either has."""
    prompt_ids = sorted(set(one.prompt_ids) & set(other.prompt_ids))
    tags = sorted(set(one.tags) | set(other.tags))

    def over(counted: Tally) -> Tally:
        row_of = {prompt: row for row, prompt in enumerate(counted.prompt_ids)}
        rows = [row_of[prompt] for prompt in prompt_ids]
        columns = [tags.index(tag) for tag in counted.tags]
        arranged = np.zeros((3, len(prompt_ids), len(tags)), dtype=np.int64)
        for index, matrix in enumerate((counted.rollouts, counted.graded, counted.correct)):
            arranged[index][:, columns] = matrix[rows]
        return Tally(
            prompt_ids=tuple(prompt_ids),
            tags=tuple(tags),
            rollouts=arranged[0],
            graded=arranged[1],
            correct=arranged[2],
        )

    return over(one), over(other)


def _places(column: pa.ChunkedArray) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the sorted distinct strings, and the index among them of each row's string."""
    names = sorted(column.unique().to_pylist())
    found = pc.index_in(column, pa.array(names, pa.string()))  # pyright: ignore[reportAttributeAccessIssue]
    return tuple(names), found.to_numpy()


SHARE_COLUMNS = pa.schema(
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
        does not occur in the group): the columns of the grouping, then `SHARE_COLUMNS`, sorted
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
    columns |= dict(zip(SHARE_COLUMNS.names, measures, strict=True))
    return pa.table(columns)
