"""The format recorder on right answers of every kind that a trainer's dataset may hold."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset, IterableDataset
from recorder_process import Witness, make_trainer, problems, rows

from formatlab import FormatRecorder
from formatlab.errors import InputError
from formatlab.train.recorder.recorded_batch import check_columns

FIVES: dict[str, Any] = {
    "text": "5",
    "printed": "5.0",
    "gsm8k": "2 and 3 more are 5\n#### 5",
    "integer": 5,
    "real": 5.0,
    "numpy integer": np.int64(5),
    "numpy real": np.float32(5),
    "numpy text": np.str_("5"),
    "array": np.array([5]),
    "decimal": Decimal("5.0"),
    "list": ["5"],
    "list of lists": [[5]],
    "equal alternatives": ["5", "5.0"],
    "object": {"value": 5},
    "reward model": {"style": "rule", "ground_truth": "5"},
    "object as text": '{"answer": 5}',
}
COLUMNS: dict[str, Any] = {
    **{name: [five] * 20 for name, five in FIVES.items()},
    "small": np.full(20, 5, np.uint8),
    "half": np.full(20, 5, np.float16),
    "objects": [{"answer": 5}, {"value": 5}] * 10,  # Arrow gives each the other's field, empty
    "some missing": [None, 5] * 10,
}
"""Right answers in every type that a column of a dataset has."""


def problem_columns(count: int) -> dict[str, Any]:
    """Problems of their own, with what the reward function asks for."""
    return {name: list(problems(count)[name]) for name in ("prompt", "solution")}


def check_verdicts(found: list[dict[str, Any]]) -> None:
    """All rollouts are graded against 5, and some are right and some wrong."""
    assert {row["gold"] for row in found} == {"5"}
    assert {row["correct"] for row in found} == {True, False}
    for row in found:
        assert row["correct"] == (row["answer"] == "5"), row


def test_a_stream_holds_right_answers_of_every_kind(tmp_path: Path):
    kinds = {**FIVES, "tensor": torch.tensor(5), "real tensor": torch.tensor([5.0])}

    def of_every_kind() -> Iterator[dict[str, Any]]:
        for kind, five in kinds.items():
            yield {"prompt": kind, "solution": five}

    trainer = make_trainer(
        tmp_path,
        witness=Witness(),
        max_steps=len(kinds) // 2,
        trained=IterableDataset.from_generator(of_every_kind),
    )
    FormatRecorder(tmp_path / "run", gold="solution").attach(trainer)
    trainer.train()
    found = rows(tmp_path / "run")
    assert {row["prompt"] for row in found} == set(kinds)
    check_verdicts(found)


def test_a_table_holds_right_answers_in_columns_of_every_type(tmp_path: Path):
    table = Dataset.from_dict({**problem_columns(20), **COLUMNS})
    asked: list[str] = []

    def answer(row: Mapping[str, Any]) -> object:
        name = list(COLUMNS)[int(row["prompt"].split()[0])]
        asked.append(name)
        return row[name]

    trainer = make_trainer(
        tmp_path, witness=Witness(), trained=table, max_steps=-1, num_train_epochs=1
    )
    for name in COLUMNS:
        check_columns(trainer, name)
    FormatRecorder(tmp_path / "run", gold=answer).attach(trainer)
    trainer.train()
    assert set(asked) == set(COLUMNS)
    found = rows(tmp_path / "run")
    check_verdicts([row for row in found if row["gold"]])


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    columns = {
        "two": [["5"], ["5", "6"]],
        "unnamed": [{"right": "5"}, {"right": "6"}],
        "true": [True, False],
        "bytes": [b"5", b"6"],
        "nothing": [None, None],
        "not a number": [float("nan")] * 2,
        "empty": [[], []],
        "some": [None, "5"],
    }
    table = Dataset.from_dict({**problem_columns(2), **columns})
    return make_trainer(tmp_path_factory.mktemp("trl"), witness=Witness(), trained=table)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("two", "row 2: a list of 2 different answers"),
        ("unnamed", "row 1: the right answer is .* not an object without .*present: right"),
        ("true", "row 1: the right answer is .* not True"),
        ("bytes", "row 1: the right answer is .* not of type bytes"),
        ("nothing", "holds no right answer in any of its 2 rows"),
        ("not a number", "holds no right answer in any of its 2 rows"),
        ("empty", "holds no right answer in any of its 2 rows"),
    ],
)
def test_what_is_no_answer_is_refused_before_training(
    column: str, said: str, trainer: Any, tmp_path: Path
):
    with pytest.raises(InputError, match=f"column '{column}' of the train_dataset,? {said}"):
        FormatRecorder(tmp_path / "run", gold=column).attach(trainer)
    assert list(tmp_path.iterdir()) == []


def test_a_problem_without_a_right_answer_is_recorded_and_not_graded(trainer: Any, tmp_path: Path):
    FormatRecorder(tmp_path / "run", gold="some").attach(trainer)
    trainer.train()
    found = rows(tmp_path / "run")
    assert {(row["gold"], row["correct"] is None) for row in found} == {(None, True), ("5", False)}


def test_a_stream_names_the_answer_that_it_cannot_read(tmp_path: Path):
    def two() -> Iterator[dict[str, Any]]:
        yield from [{"prompt": f"{n} + 1?", "solution": ["5", "6"]} for n in range(8)]

    stream = IterableDataset.from_generator(two)
    trainer = make_trainer(tmp_path, witness=Witness(), trained=stream)
    FormatRecorder(tmp_path / "run", gold="solution").attach(trainer)
    with pytest.raises(InputError, match="column 'solution' of the dataset: a list of 2 different"):
        trainer.train()
