"""What a recorded run keeps of its data: other data differ, another order does not."""

from types import SimpleNamespace
from typing import Any

import pytest
from datasets import Dataset, DatasetInfo, IterableDataset

from formatlab.train.recorder.recorded_data import data_config

ROWS = [{"prompt": f"{n} + 1?", "answer": n + 1, "note": n} for n in range(8)]


def described(train: Any, *, gold: str | None = "answer", evaluated: Any = None) -> Any:
    trainer: Any = SimpleNamespace(train_dataset=train, eval_dataset=evaluated)
    return data_config(trainer, gold)


def test_a_shuffle_is_no_other_data():
    rows = Dataset.from_list(ROWS)
    assert described(rows) == described(rows.shuffle(seed=3))
    assert described(rows)["train"]["rows"] == 8


@pytest.mark.parametrize(
    "rows",
    [
        ROWS[:7],
        [*ROWS, ROWS[0]],
        [{**row, "answer": 5} for row in ROWS],
        [{**row, "prompt": row["prompt"].lower() + " "} for row in ROWS],
        [{**row, "prompt": [{"role": "user", "content": row["prompt"]}]} for row in ROWS],
    ],
    ids=["fewer", "twice", "golds", "prompts", "chats"],
)
def test_other_rows_are_other_data(rows: list[dict[str, Any]]):
    assert described(Dataset.from_list(rows)) != described(Dataset.from_list(ROWS))


def test_columns_beside_prompt_and_gold_do_not_count():
    others = Dataset.from_list([{**row, "note": 0} for row in ROWS])
    assert described(others) == described(Dataset.from_list(ROWS))
    golds = Dataset.from_list([{**row, "answer": 0} for row in ROWS])
    assert described(golds, gold=None) == described(Dataset.from_list(ROWS), gold=None)


def test_evaluation_sets_count():
    train = Dataset.from_list(ROWS)
    several = {"b": train, "a": train.select(range(2))}
    found = [described(train, evaluated=of) for of in (None, train, several)]
    assert [list(of["eval"] or ()) for of in found] == [[], ["name", "rows", "digest"], ["a", "b"]]
    assert found[0] != found[1] != found[2]


@pytest.mark.parametrize(("name", "kept"), [("gsm8k", "gsm8k"), ("json", ""), (None, "")])
def test_a_data_set_has_its_own_name_and_not_that_of_its_loader(name: str | None, kept: str):
    rows = Dataset.from_list(ROWS, info=DatasetInfo(dataset_name=name))
    assert described(rows)["train"]["name"] == kept


def test_a_stream_is_not_read_to_its_end():
    def endless(first: int):
        number = first
        while True:
            yield {"prompt": f"{number} + 1?", "answer": number + 1}
            number += 1

    streams = [IterableDataset.from_generator(endless, gen_kwargs={"first": n}) for n in (0, 0, 1)]
    first, again, other = (described(of)["train"] for of in streams)
    assert first == again != other
    assert first["rows"] is None
