"""One rollout: a sampled completion with its prompt, tag and grade, and its Arrow schema."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import pyarrow as pa

SCHEMA_VERSION = 3
"""Version of the rollout row."""

VERSION_KEY = "formatlab_schema_version"
"""The key of a rollout file's metadata that holds its version."""

READABLE_VERSIONS = (1, 2, 3)
"""Versions that can be read; version 1 had no `mixed_formats`, and 2 no flexible reading."""

Split = Literal["train", "probe"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """One row of a rollout file. The meaning of each field is in `ROLLOUT_SCHEMA`."""

    run_id: str
    split: Split
    step: int
    epoch: float
    prompt_id: str
    family: str
    sample: int
    prompt: str
    completion: str
    tokens: int
    tag: str
    well_formed: bool
    mixed: bool
    mixed_formats: tuple[str, ...]
    truncated: bool
    gold: str | None
    answer: str | None
    correct: bool | None
    reason: str
    flexible_answer: str | None
    flexible_correct: bool | None
    reward: float | None
    advantage: float | None
    logprob: float | None
    entropy: float | None


def _field(name: str, kind: pa.DataType, meaning: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"description": meaning})


# `split` is also the name of the folder a file lies in (split=train/), and readers that infer
# hive partitions give that a dictionary type: with plain strings here pandas and pyarrow would
# refuse to open the `rollouts` folder as a whole.
_SPLIT_TYPE = pa.dictionary(pa.int32(), pa.string())

ROLLOUT_SCHEMA = pa.schema(
    [
        _field("schema_version", pa.int32(), "version of this row's layout"),
        _field("run_id", pa.string(), "name of the run folder"),
        _field("split", _SPLIT_TYPE, "train: sampled to learn from; probe: sampled to observe"),
        _field(
            "step",
            pa.int64(),
            "RL steps completed before this batch was sampled; of a trainer recorded by "
            "FormatRecorder, updates of the weights",
        ),
        _field(
            "epoch",
            pa.float64(),
            "train: 0-based index of the pass over the prompts; probe: passes completed, "
            "0 is the base",
        ),
        _field("prompt_id", pa.string(), "names the problem; equal ids have equal prompts"),
        _field("family", pa.string(), "problem family; empty where there is none"),
        _field("sample", pa.int32(), "0-based index among the samples of this prompt"),
        _field("prompt", pa.string(), "text given to the model"),
        _field("completion", pa.string(), "text the model gave, without the end-of-sequence token"),
        _field("tokens", pa.int32(), "length of the completion in tokens"),
        _field("tag", pa.string(), "format, or 'none' where no format was recognised"),
        _field("well_formed", pa.bool_(), "the reader of its format finds an answer in it"),
        _field("mixed", pa.bool_(), "more than one format carries an answer"),
        _field(
            "mixed_formats",
            pa.list_(pa.field("element", pa.string(), nullable=False)),
            "the formats that each carry an answer, that of the tag first; empty unless mixed",
        ),
        _field("truncated", pa.bool_(), "the length limit ended the completion"),
        _field("gold", pa.string(), "the right answer; null if not known", nullable=True),
        _field("answer", pa.string(), "the answer read or executed; null if none", nullable=True),
        _field(
            "correct",
            pa.bool_(),
            "the answer equals the right one; null if that is not known",
            nullable=True,
        ),
        _field(
            "reason",
            pa.string(),
            "why not correct: no answer, malformed, ambiguous, wrong, error, unsupported (asks for "
            "more than the sandbox has), time, memory, or fault (formatlab itself failed); empty "
            "where correct, and where the right answer is not known but one was found",
        ),
        _field(
            "flexible_answer",
            pa.string(),
            "the answer by the flexible reading: where sentences state none, the last number that "
            "they commit to; null if none, and where the right answer is not known",
            nullable=True,
        ),
        _field(
            "flexible_correct",
            pa.bool_(),
            "the flexible answer equals the right one; null if that is not known",
            nullable=True,
        ),
        _field(
            "reward",
            pa.float64(),
            "reward given; null in a probe that knows none, and where no reward function applied",
            nullable=True,
        ),
        _field("advantage", pa.float64(), "advantage trained on; null in the probe", nullable=True),
        _field(
            "logprob",
            pa.float64(),
            "log-probability summed over completion tokens, nats; null if not known",
            nullable=True,
        ),
        _field(
            "entropy",
            pa.float64(),
            "mean entropy a token at temperature 1, nats; null if not known",
            nullable=True,
        ),
    ],
    metadata={VERSION_KEY: str(SCHEMA_VERSION)},
)
"""Schema of rollout files; each field's metadata has a `description`."""

_FIELD_NAMES = tuple(field.name for field in fields(Rollout))


def rollouts_to_table(rows: Sequence[Rollout]) -> pa.Table:
    """Return the rows as an Arrow table with `ROLLOUT_SCHEMA`, in the order given."""
    columns: dict[str, list] = {"schema_version": [SCHEMA_VERSION] * len(rows)}
    columns |= {name: [getattr(row, name) for row in rows] for name in _FIELD_NAMES}
    for field in ROLLOUT_SCHEMA:
        if pa.types.is_string(field.type):
            columns[field.name] = [text and encodable(text) for text in columns[field.name]]
    return pa.Table.from_pydict(columns, schema=ROLLOUT_SCHEMA)


def rollouts_from_table(table: pa.Table) -> list[Rollout]:
    """Return the rows of a table that has at least the columns of `Rollout`."""
    return [
        Rollout(**row | {"mixed_formats": tuple(row["mixed_formats"])})
        for row in table.select(list(_FIELD_NAMES)).to_pylist()
    ]


def encodable(text: str) -> str:
    r"""Return text that UTF-8 can hold, with `?` for what it cannot.

    JSON can hold half of a surrogate pair (as the escape \ud800); losing one character is better
    than losing the run.
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
