"""Frames: measures of anyone's rollouts, given as a data frame, an Arrow table or rows.

A rollout is a row with these columns:

* `prompt_id` or `prompt`: which prompt it answers; rows with the same value are of one prompt;
* `tag`: the format it is in; without it, `completion` or `text`, which is tagged;
* `correct`: True, False, or missing where it was not graded.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import pyarrow as pa

from formatlab.errors import InputError
from formatlab.measure.gain import Gain
from formatlab.measure.gain import gain as gain_of_rollouts
from formatlab.observe.tagger import tag

if TYPE_CHECKING:
    import pandas

Frame: TypeAlias = "pandas.DataFrame | pa.Table | Sequence[Mapping[str, Any]]"
"""Rollouts as anyone has them."""

_PROMPTS = ("prompt_id", "prompt")
_TEXTS = ("completion", "text")


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
    table = _table(frame)
    prompts = _column(table, _PROMPTS, name)
    if "tag" in table.column_names:
        tags = table["tag"].cast(pa.string())
    else:
        texts = _column(table, _TEXTS, name, otherwise="tag")
        tags = pa.array([tag(text or "").format for text in texts.to_pylist()], pa.string())
    correct = _column(table, ("correct",), name)
    try:
        return pa.table(
            {
                "prompt_id": prompts.cast(pa.string()),
                "tag": tags,
                "correct": correct.cast(pa.bool_()),
            }
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"{name}: `correct` must be true or false ({error})") from None


def _table(frame: Frame) -> pa.Table:
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, Sequence):
        return pa.Table.from_pylist([dict(row) for row in frame])
    return pa.Table.from_pandas(cast("pandas.DataFrame", frame), preserve_index=False)


def _column(
    table: pa.Table, names: Sequence[str], name: str, *, otherwise: str = ""
) -> pa.ChunkedArray:
    """The first of some columns that the table has."""
    for column in names:
        if column in table.column_names:
            return table[column]
    wanted = " or ".join(f"`{column}`" for column in (*filter(None, [otherwise]), *names))
    has = ", ".join(table.column_names) or "none"
    raise InputError(f"{name}: no column {wanted}; it has {has}")
