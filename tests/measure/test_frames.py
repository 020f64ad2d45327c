"""Anyone's rollouts, as data frames, tables and rows."""

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import formatlab
from formatlab.errors import InputError
from formatlab.measure.frames import Frame, gain

BASE = [
    {"prompt": "2 + 3?", "tag": "prose", "correct": True},
    {"prompt": "2 + 3?", "tag": "latex", "correct": False},
]
TRAINED = [
    {"prompt": "2 + 3?", "tag": "prose", "correct": True},
    {"prompt": "2 + 3?", "tag": "prose", "correct": True},
]


def numbered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"prompt_id": "p0", "tag": row["tag"], "correct": row["correct"]} for row in rows]


@pytest.mark.parametrize(
    "kind", [list, pd.DataFrame, pa.Table.from_pylist], ids=["rows", "data frame", "table"]
)
@pytest.mark.parametrize("columns", [list, numbered], ids=["prompt", "prompt_id"])
def test_a_gain_is_split(kind: Any, columns: Any) -> None:
    found = formatlab.gain(kind(columns(BASE)), kind(columns(TRAINED)))
    assert (found.change.value, found.format.value, found.skill.value) == (0.5, 0.5, 0)


def test_rollouts_without_a_verdict_are_left_out() -> None:
    more = [*TRAINED, {"prompt": "2 + 3?", "tag": "latex", "correct": None}]
    assert formatlab.gain(pd.DataFrame(BASE), pd.DataFrame(more)) == gain(BASE, TRAINED)


@pytest.mark.parametrize(
    ("trained", "words"),
    [
        ([{"prompt": "p", "correct": True}], "trained: no column `tag`; it has"),
        ([{"tag": "prose", "correct": True}], "trained: no column `prompt_id` or `prompt`; it has"),
        (pd.DataFrame({"prompt": ["p"], "tag": ["prose"]}), "trained: no column `correct`"),
        ([], "it has none"),
        ("trained.parquet", "neither a data frame nor an Arrow table nor rows, but str"),
        (5, "but int"),
        ([{"prompt": "p", "tag": "prose", "correct": "perhaps"}], "must be true or false"),
        ([{"prompt": "another", "tag": "prose", "correct": True}], "no prompt has graded"),
    ],
)
def test_what_cannot_be_measured_is_told(trained: Frame, words: str) -> None:
    with pytest.raises(InputError, match=words):
        gain(BASE, trained)
