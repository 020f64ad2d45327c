"""Rollouts in lists are rows of their own: samples of a prompt, results of data sets, choices."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from formatlab.observe.files.layouts import Columns
from formatlab.observe.files.nesting import (
    Nesting,
    is_log_likelihood,
    lists_beside,
    samples_in,
)
from formatlab.observe.files.source import RolloutReader, find_sources
from formatlab.observe.files.tagging import TagJob, tag_chunk

RIGHT, WRONG = "The answer is 5.", "The answer is 6."


def chat(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": "2 + 3?"}, {"role": "assistant", "content": text}]


def rollouts(path: Path, **columns: str) -> list[dict[str, Any]]:
    """What `formatlab tag` makes of a file."""
    reader = RolloutReader(sources=find_sources([str(path)]), columns=Columns(**columns))
    found: list[dict[str, Any]] = []
    for chunk, layout in reader.chunks():
        done = tag_chunk(chunk, layout, TagJob())
        assert done.bad.lines("bad") == []
        batch = done.batch()
        found += batch.to_pylist() if batch else []
    assert reader.skipped == {}
    return found


def written(path: Path, row: dict[str, Any]) -> Path:
    """A file of two rows with other questions."""
    rows = [row | {"question": question} for question in ("q1", "q2")]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


SAMPLES = {
    "Qwen2.5-Math": {"code": [RIGHT, WRONG], "pred": ["5", "6"], "score": [True, False], "gt": "5"},
    "responses": {"response": [RIGHT, WRONG], "answer": "5", "correct": [1, 0]},
    "verl": {
        "responses": [RIGHT, WRONG],
        "reward_model": {"ground_truth": "5", "style": "rule"},
        "score": [1.0, 0.0],
        "prompt": [{"role": "user", "content": "2 + 3?"}],
    },
    "one text a list": {"completions": [[RIGHT], [WRONG]], "gold": 5, "score": [1, 0]},
    "vLLM": {"outputs": [{"text": RIGHT, "score": 1}, {"text": WRONG, "score": 0}], "target": "5"},
    "Chat Completions": {
        "choices": [
            {"message": chat(text)[1], "finish_reason": "stop", "correct": text == RIGHT}
            for text in (RIGHT, WRONG)
        ],
        "ground_truth_answer": "5",
    },
    "a whole answer": {
        "response": {
            "body": {"choices": [{"message": chat(text)[1]} for text in (RIGHT, WRONG)]},
        },
        "is_correct": [True, False],
        "gold": "5",
    },
    "rollouts": {
        "gold": "5",
        "rollouts": [{"text": RIGHT, "correct": True}, {"text": WRONG, "correct": False}],
    },
    "rollouts with the model's answers": {
        "answer": "5",
        "rollouts": [
            {"text": RIGHT, "answer": "5", "correct": True},
            {"text": WRONG, "answer": "6", "correct": False},
        ],
    },
    "metrics": {
        "samples": [
            {"model_response": RIGHT, "metrics": {"correct": True}},
            {"model_response": WRONG, "metrics": {"correct": False}},
        ],
        "ground_truth_answer": "5",
    },
    "chats": {"messages": [chat(RIGHT), chat(WRONG)], "answer": "5", "rewards": [1.0, 0.0]},
    "lm-evaluation-harness": {
        "doc_id": 1,
        "doc": {"question": "2 + 3?", "answer": "2 + 3 = <<2+3=5>>5\n#### 5"},
        "target": "2 + 3 = <<2+3=5>>5\n#### 5",
        "resps": [[RIGHT, WRONG]],
        "filtered_resps": ["5", "6"],
        "exact_match": [1.0, 0.0],
    },
    "lighteval": {"model_response": {"text": [RIGHT, WRONG]}, "gold": ["5"], "score": [1, 0]},
    "SkyThought": {
        "responses": {
            "0": {"content": RIGHT, "correctness": True},
            "1": {"content": WRONG, "correctness": False},
        },
        "answer": "5",
    },
    "SkyThought, by temperature": {
        "responses": {
            "0.6": {"content": RIGHT, "correctness": True},
            "0.7": {"content": WRONG, "correctness": False},
        },
        "answer": "5",
    },
    "LIMO": {
        "generated_responses": [RIGHT, WRONG],
        "generated_answers": ["5", "6"],
        "answers_correctness": [True, False],
        "gold_answer": "5",
    },
    "OpenR1": {
        "messages": chat(RIGHT),
        "generations": [RIGHT, WRONG],
        "correctness_math_verify": [True, False],
        "finish_reasons": ["stop", "length"],
        "answer": "5",
    },
    "OpenRLHF": {"input": "q", "output": [RIGHT, WRONG], "gold": "5", "reward": [1, 0]},
}


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("name", SAMPLES)
def test_samples_in_a_row_are_rollouts_of_its_prompt(name: str, suffix: str, tmp_path: Path):
    found = rollouts(written(tmp_path / f"a{suffix}", SAMPLES[name]))
    assert [row["correct"] for row in found] == [True, False] * 2
    assert [row["file_correct"] for row in found] == [True, False] * 2
    assert [row["sample"] for row in found] == [0, 1, 0, 1]
    assert [row["source_row"] for row in found] == [1, 1, 2, 2]
    assert [row["question"] for row in found] == ["q1", "q1", "q2", "q2"]


def test_results_of_data_sets(tmp_path: Path):
    results = [
        {
            "question": f"{n} + 3?",
            "expected_answer": str(n + 3),
            "completions": [
                {"full_model_response": text, "model_answer": "5", "score": score}
                for text, score in ((RIGHT, 1.0), (WRONG, 0.0), (RIGHT, 0.0))
            ],
        }
        for n in (2, 3)
    ]
    sets = [{"name": "sums", "results": results}, {"name": "more", "results": results[:1]}]
    whole = {"metadata": {"model": "m"}, "categories": [{"name": "easy", "datasets": sets}]}
    (tmp_path / "a.json").write_text(json.dumps(whole, indent=1))
    found = rollouts(tmp_path / "a.json")
    assert [row["correct"] for row in found[:6]] == [True, False, True, False, True, False]
    assert [row["file_correct"] for row in found[:3]] == [True, False, False]
    assert [row["sample"] for row in found] == [0, 1, 2] * 3
    assert [(row["name"], row["outer.name"]) for row in found[5:7]] == [
        ("sums", "easy"),
        ("more", "easy"),
    ]


def test_what_is_said_of_several_rollouts_is_no_verdict_on_each(tmp_path: Path):
    row = {"gold": "5", "responses": [RIGHT, WRONG], "correct": True, "reward": 0.5}
    found = rollouts(written(tmp_path / "a.jsonl", row))
    assert {(row["file_correct"], row["file_reward"]) for row in found} == {(None, None)}
    assert [row["correct"] for row in found] == [True, False] * 2
    of_each = {"gold": "5", "score": 0.5, "rollouts": [{"text": RIGHT, "score": 1}] * 2}
    found = rollouts(written(tmp_path / "b.jsonl", of_each))
    assert {(row["file_correct"], row["outer.score"]) for row in found} == {(True, 0.5)}
    alone = {"gold": "5", "responses": [RIGHT], "correct": True}
    found = rollouts(written(tmp_path / "c.jsonl", alone))
    assert {row["file_correct"] for row in found} == {True}


def test_a_file_of_one_object_is_no_prompt(tmp_path: Path):
    whole = {"language": "en", "responses": [RIGHT, WRONG, RIGHT], "metadata": {"seed": 1}}
    (tmp_path / "a.json").write_text(json.dumps(whole))
    found = rollouts(tmp_path / "a.json")
    assert [row["responses"] for row in found] == whole["responses"]
    assert [(row["sample"], row["source_row"]) for row in found] == [(None, n) for n in (1, 2, 3)]
    assert {row["language"] for row in found} == {"en"}
    (chunk, layout), *_ = RolloutReader(
        sources=find_sources([str(tmp_path / "a.json")]), columns=Columns()
    ).chunks()
    assert len({key[0] for key in tag_chunk(chunk, layout, TagJob()).counts.by_cluster}) == 3


def test_the_user_may_name_a_column_of_the_inner_rows(tmp_path: Path):
    row = {"data": {"right": [5]}, "tries": [{"said": RIGHT, "n": 1}, {"said": WRONG, "n": 2}]}
    found = rollouts(written(tmp_path / "a.jsonl", row), text="said", gold="data.right.0", step="n")
    assert [row["correct"] for row in found] == [True, False] * 2
    assert [row["step"] for row in found] == [1.0, 2.0] * 2


def test_rows_with_one_text_stand_beside_rows_with_several():
    nesting = Nesting(lists=("response",), beside=("score",))
    assert list(nesting.rollouts({"response": "a", "score": [1]})) == [
        ({"response": "a", "score": [1]}, 0)
    ]
    assert list(nesting.rollouts({"response": ["a", "b"], "score": [1]})) == [
        ({"response": "a", "score": [1]}, 0),
        ({"response": "b", "score": [1]}, 1),
    ]
    assert list(nesting.rollouts({"response": []})) == []


@pytest.mark.parametrize(
    "value",
    ["text", 5, None, [], chat("5"), {"role": "assistant", "content": "5"}, [[-2.5, False]], [1]],
)
def test_what_holds_no_samples(value: object):
    assert samples_in(value) is None


LOG_LIKELIHOODS = [
    [[-2.5, False], [-3.0, True]],
    [[[-2.5, False]], [[-3.0, True]]],
    [[["-2.5", "False"]], [["-3e-05", "True"]]],
    [["-2.5", "False"]],
    [[["-inf", "False"]]],
]


@pytest.mark.parametrize("value", LOG_LIKELIHOODS)
def test_scores_of_given_answers_hold_no_text(value: object, tmp_path: Path):
    assert samples_in(value) is None
    row = {"doc": {"question": "q"}, "target": "0", "resps": value, "acc": 1.0}
    path = written(tmp_path / "samples_arc.jsonl", row)
    reader = RolloutReader(sources=find_sources([str(path)]), columns=Columns())
    assert list(reader.chunks()) == []
    assert "'resps' holds no text but log-likelihoods of given answers" in reader.skipped[str(path)]


@pytest.mark.parametrize(
    "value", [None, [], "False", [["5", "6"]], [[]], [[-2.5]], [["it is", "True"]], [[1, 2]]]
)
def test_what_a_model_wrote_is_no_score(value: object):
    assert not is_log_likelihood(value)


def test_a_list_goes_along_if_it_is_as_long_in_every_row():
    rows = [
        {"response": ["a", "b"], "score": [1, 0], "numbers": [3, 4], "prompt": chat("5")},
        {"response": ["a"], "score": [1], "numbers": [3, 4]},
    ]
    assert lists_beside(rows, "response") == ("score",)


TEMPLATE = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n{}<|im_end|>"
ROLES = "system\nBe brief.\nuser\n{}\nassistant\n{}"


def turns(question: str, reply: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]


@pytest.mark.parametrize(
    "chat_of",
    [
        lambda q, a: {"messages": turns(q, a)},
        lambda q, a: {"messages": json.dumps(turns(q, a))},
        lambda q, a: {"messages": str(turns(q, a))},
        lambda q, a: {
            "conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]
        },
        lambda q, a: {"messages": [{"role": "system", "content": "Be brief."}, *turns(q, a)]},
        lambda q, a: {
            "messages": [*turns(q, "Let me see."), {"role": "tool", "content": a}, turns(q, a)[1]]
        },
        lambda q, a: {"text": TEMPLATE.format(q, a)},
        lambda q, a: {"text": ROLES.format(q, a)},
    ],
)
def test_chats_that_ask_the_same_are_rollouts_of_one_prompt(
    chat_of: Callable[[str, str], dict[str, Any]], tmp_path: Path
):
    asked = [("2 + 3?", RIGHT), ("2 + 3?", WRONG), ("1 + 4?", RIGHT), ("2 + 3?", RIGHT)]
    rows = [chat_of(question, reply) for question, reply in asked]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    reader = RolloutReader(sources=find_sources([str(path)]), columns=Columns())
    ((chunk, layout),) = reader.chunks()
    counts = tag_chunk(chunk, layout, TagJob()).counts
    of_cluster = Counter[int]()
    for (cluster, *_), number in counts.by_cluster.items():
        of_cluster[cluster] += number
    assert sorted(of_cluster.values()) == [1, 3]


def test_chats_that_ask_nothing_count_each_for_itself(tmp_path: Path):
    rows = [{"messages": [{"role": "assistant", "content": RIGHT}]}] * 3
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    reader = RolloutReader(sources=find_sources([str(path)]), columns=Columns())
    ((chunk, layout),) = reader.chunks()
    assert len({key[0] for key in tag_chunk(chunk, layout, TagJob()).counts.by_cluster}) == 3
