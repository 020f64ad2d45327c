"""Frames: anyone's rollouts, as a data frame, an Arrow table or rows, as the columns of measures.

A rollout is a row. `FRAME_COLUMNS` says what each column means; `prompt` (or `prompt_id`) and `tag`
are needed, and the others are used where they are there. Other columns are left alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa

from formatlab.errors import InputError

Frame: TypeAlias = pa.Table | Sequence[Mapping[str, Any]] | Any
"""Rollouts as anyone has them: a table, rows, or a data frame of pandas."""

FRAME_COLUMNS: dict[str, tuple[tuple[str, ...], pa.DataType]] = {
    "prompt_id": (("prompt_id", "prompt"), pa.string()),
    "tag": (("tag",), pa.string()),
    "correct": (("correct",), pa.bool_()),
    "completion": (("completion", "text"), pa.string()),
    "answer": (("answer",), pa.string()),
    "sample": (("sample",), pa.int64()),
    "truncated": (("truncated",), pa.bool_()),
    "tokens": (("tokens",), pa.int64()),
    "logprob": (("logprob",), pa.float64()),
    "entropy": (("entropy",), pa.float64()),
}
"""Column of measures -> names that it may have, the first one that is there counting, and its type.

* `prompt_id` or `prompt`: which prompt it answers; rows with the same value are of one prompt;
* `tag`: the format it is in, as `formatlab.tag(text).format` says or anyone's own classifier;
* `correct`: true, false, or missing where it was not graded;
* `completion` or `text`: what the model wrote;
* `answer`: the answer in it; missing where it gives none;
* `sample`: its place among the samples of its prompt; without it the order of the rows counts;
* `truncated`: whether the length limit ended it;
* `tokens`: its length;
* `logprob`: log-probability, summed over its tokens, nats;
* `entropy`: of the policy, mean over its tokens, nats.
"""

_NEEDED = ("prompt_id", "tag")
_IN_WORDS = {
    pa.string(): "text",
    pa.bool_(): "true or false",
    pa.int64(): "whole numbers",
    pa.float64(): "numbers",
}


def rollouts_of(frame: Frame, name: str, *, needed: Sequence[str] = _NEEDED) -> pa.Table:
    """The columns of `FRAME_COLUMNS` that rollouts have, by the names that measures use.

    Args:
        frame: the rollouts.
        name: what messages call them.
        needed: columns that must be there.

    Raises:
        InputError: there are no rollouts, or a column is missing or holds values of another kind.
    """
    table = table_of(frame, name)
    found: dict[str, pa.ChunkedArray] = {}
    for column, (names, kind) in FRAME_COLUMNS.items():
        there = next((of for of in names if of in table.column_names), None)
        if there is None:
            if column in needed:
                wanted = " or ".join(f"`{of}`" for of in names)
                has = ", ".join(table.column_names) or "none"
                raise InputError(f"{name}: no column {wanted}; it has {has}")
            continue
        try:
            found[column] = table[there].cast(kind)
            given = table[there].type
            number = pa.types.is_integer(given) or pa.types.is_floating(given)
            truth = pa.types.is_boolean(kind) and number
            if truth and found[column].cast(given) != table[there]:
                raise pa.ArrowInvalid("other numbers than 0 and 1")
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(f"{name}: `{there}` must be {_IN_WORDS[kind]} ({error})") from None
        if column in _NEEDED and found[column].null_count:
            raise InputError(f"{name}: `{there}` is missing in {found[column].null_count} rows")
    if not table.num_rows:
        raise InputError(f"{name}: there are no rollouts")
    return pa.table(found)


def table_of(frame: Frame, name: str) -> pa.Table:
    """Rollouts as an Arrow table, with their own columns; one of several kinds becomes text.

    Raises:
        InputError: they are none.
    """
    if isinstance(frame, pa.Table):
        return frame
    try:
        if isinstance(frame, Sequence):
            rows = [dict(row) for row in frame]
            names = dict.fromkeys(column for row in rows for column in row)
            return pa.table({column: _array([row.get(column) for row in rows]) for column in names})
        return pa.table({column: _array(frame[column]) for column in frame.columns})
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"{name}: neither a data frame nor an Arrow table nor rows, but "
            f"{type(frame).__name__} ({error})"
        ) from None


def _array(values: Any) -> pa.Array:
    """Values as they are, or where their kinds differ as text."""
    try:
        return pa.array(values, from_pandas=True)
    except pa.ArrowException:
        texts = [None if value is None or value != value else str(value) for value in values]
        return pa.array(texts, pa.string())
