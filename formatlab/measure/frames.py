"""Frames: measures of anyone's rollouts, given as a data frame, an Arrow table or rows.

A rollout is a row with these columns:

* `prompt_id` or `prompt`: which prompt it answers; rows with the same value are of one prompt;
* `tag`: the format it is in, as `formatlab.tag(text).format` says or anyone's own classifier;
* `correct`: True, False, or missing where it was not graded.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa

from formatlab.errors import InputError
from formatlab.measure.gain import Gain
from formatlab.measure.gain import gain as gain_of_rollouts

Frame: TypeAlias = pa.Table | Sequence[Mapping[str, Any]] | Any
"""Rollouts as anyone has them: a table, rows, or a data frame of pandas."""

_PROMPTS = ("prompt_id", "prompt")


def gain(base: Frame, trained: Frame) -> Gain:
    """Split the change in accuracy from a base to a trained policy into format, routing and skill.

    Args:
        base: rollouts of the base.
        trained: rollouts of the policy, on the same prompts.

    Raises:
        InputError: a column is missing, or no prompt was graded on both sides.
    """
    found = gain_of_rollouts(rollouts_of(base, "base"), rollouts_of(trained, "trained"))
    if found is None:
        raise InputError(
            "gain: no prompt has graded rollouts on both sides; are the prompts the same texts?"
        )
    return found


def rollouts_of(frame: Frame, name: str) -> pa.Table:
    """The columns `prompt_id`, `tag` and `correct` of rollouts.

    Args:
        frame: the rollouts.
        name: what messages call them.

    Raises:
        InputError: a column is missing or of the wrong kind.
    """
    table = _table(frame, name)
    prompts, tags = _column(table, _PROMPTS, name), _column(table, ("tag",), name)
    correct = _column(table, ("correct",), name)
    try:
        return pa.table(
            {
                "prompt_id": prompts.cast(pa.string()),
                "tag": tags.cast(pa.string()),
                "correct": correct.cast(pa.bool_()),
            }
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"{name}: `correct` must be true or false ({error})") from None


def _table(frame: Frame, name: str) -> pa.Table:
    if isinstance(frame, pa.Table):
        return frame
    try:
        if isinstance(frame, Sequence):
            return pa.Table.from_pylist([dict(row) for row in frame])
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (AttributeError, TypeError, ValueError) as error:  # pyarrow's are of these
        raise InputError(
            f"{name}: neither a data frame nor an Arrow table nor rows, but "
            f"{type(frame).__name__} ({error})"
        ) from None


def _column(table: pa.Table, names: Sequence[str], name: str) -> pa.ChunkedArray:
    """The first of some columns that the table has."""
    for column in names:
        if column in table.column_names:
            return table[column]
    wanted = " or ".join(f"`{column}`" for column in names)
    has = ", ".join(table.column_names) or "none"
    raise InputError(f"{name}: no column {wanted}; it has {has}")
