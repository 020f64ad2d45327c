"""Layouts of public trainers are recognised and others explained; a row gives gold and step."""

from pathlib import Path
from typing import Any

import pytest

from formatlab.errors import InputError
from formatlab.observe.files.layout import Layout
from formatlab.observe.files.layouts import Columns, find_layout
from formatlab.observe.files.rows import value_at

CHAT = [{"role": "assistant", "content": "2"}]
TRACE = {"id": "t", "task": {"type": "T", "data": {"answer": "2"}}, "nodes": [], "rewards": {}}


def layout(row: dict[str, Any], path: str = "a.jsonl", **columns: str):
    return find_layout(Path(path), [row], Columns(**columns), tokenizer=None)


@pytest.mark.parametrize(
    ("row", "name", "text", "gold", "step"),
    [
        (
            {"step": 1, "prompt": "q", "completion": "2", "reward": 1.0, "advantage": 0.0},
            "TRL completions", "completion", None, "step",
        ),
        (
            {"step": 1, "prompt": CHAT, "completion": CHAT, "solution": "2", "advantage": 0.0},
            "TRL completions", "completion", "solution", "step",
        ),
        (
            {"input": "q", "output": "2", "gts": "2", "score": 1.0, "step": 3, "acc": True},
            "verl rollout_data_dir", "output", "gts", "step",
        ),
        (
            {"step": 1, "prompt_tokens": [1], "response_tokens": [2], "ground_truth": ["2"]},
            "open-instruct save_traces", "response_tokens", "ground_truth", "step",
        ),
        ({"input": "q", "output": "2", "reward": 0.5}, "OpenRLHF samples", "output", None, None),
        (TRACE, "verifiers traces", "nodes", "task.data.answer", None),
        (
            {"traces": [TRACE], "task": {}, "run": {"work": {"step": 4}}},
            "prime-rl episodes", "nodes", "task.data.answer", "run.work.step",
        ),
        (
            {"example_id": 1, "prompt": CHAT, "completion": CHAT, "reward": 1, "answer": "2"},
            "verifiers rollouts", "completion", "answer", None,
        ),
        (
            {"run_id": "r", "prompt_id": "p", "completion": "2", "gold": "2", "step": 0},
            "formatlab rollouts", "completion", "gold", "step",
        ),
        ({"question": "q", "gold": "2", "text": "2"}, "columns by name", "text", "gold", None),
        ({"messages": CHAT, "global_step": 1}, "columns by name", "messages", None, "global_step"),
        (
            {"step": ["a", "b"], "text": "2", "train_step": 3},
            "columns by name", "text", None, "train_step",
        ),
        (
            {"custom_id": "1", "result": {"message": CHAT[-1]}},
            "columns by name", "result.message", None, None,
        ),
        (
            {"input": "q", "target": "2", "sample_score": {"score": {"prediction": "2"}}},
            "columns by name", "sample_score.score.prediction", "target", None,
        ),
        ({"problem": "q", "generated_solution": "2", "expected_answer": "2"},
         "columns by name", "generated_solution", "expected_answer", None),
    ],
)  # fmt: skip
def test_layouts_are_recognised(
    row: dict[str, Any], name: str, text: str, gold: str | None, step: str | None
):
    found = layout(row)
    assert (found.name, found.text, found.gold, found.step) == (name, text, gold, step)


def test_the_step_may_stand_in_the_path():
    found = layout(TRACE, "out/rollouts/step_12/train/all/traces.jsonl")
    assert found.file_step == 12
    assert layout(TRACE, "out/step_12/t.jsonl", step="id").file_step is None
    assert layout({"completion": "2"}, "step_3/a.jsonl").file_step is None


def test_what_the_user_names_wins():
    row = {"completion": "1", "mine": "2", "gold": "3", "info": {"right": "4", "at": 5}}
    found = layout(row, text="mine", gold="info.right", step="info.at")
    assert (found.text, found.gold, found.step) == ("mine", "info.right", "info.at")
    assert value_at(row, "info.right") == "4"
    assert set(found.columns) >= {"mine", "info"}


@pytest.mark.parametrize(
    ("row", "columns", "said"),
    [
        ({"question": "q", "answer": "2"}, {}, r"columns: answer, question\); name it with --text"),
        ({"completion": "2"}, {"text": "x"}, r"no column 'x', which --text names \(columns: comp"),
        ({"completion": "2"}, {"gold": "a.b"}, "--gold"),
        ({"completion": "2"}, {"step": "x"}, "--step"),
    ],
)
def test_the_error_lists_the_columns_and_the_flag(
    row: dict[str, Any], columns: dict[str, str], said: str
):
    with pytest.raises(InputError, match=said):
        layout(row, **columns)


def test_a_prompt_before_the_completion_is_cut_off():
    rows = [{"prompt": f"Q{n}:", "text": f"Q{n}: {n}"} for n in range(3)]
    found = find_layout(Path("a"), rows, Columns(), None)
    assert found.cut == "prompt"
    assert found.completion_of(rows[0]) == " 0"
    # one that does not begin so: the prompt is elsewhere, as far as can be told
    mixed = [*rows, {"prompt": "Q", "text": "4"}]
    assert find_layout(Path("a"), mixed, Columns(), None).cut == ""


def test_a_question_that_solutions_repeat_is_no_prompt():
    rows = [{"question": "Tom has 2.", "text": "Tom has 2. The answer is 2."}]
    assert find_layout(Path("a"), rows, Columns(), None).cut == ""


def test_open_instruct_names_its_model_beside_the_rollouts(tmp_path: Path):
    (tmp_path / "run_metadata.jsonl").write_text('{"model_name": "owner/name"}\n')
    row = {"step": 1, "prompt_tokens": [1], "response_tokens": [2]}
    path = str(tmp_path / "run_rollouts_000000.jsonl")
    assert layout(row, path).tokenizer == "owner/name"
    assert find_layout(Path(path), [row], Columns(), "mine").tokenizer == "mine"
    assert layout(row, str(tmp_path / "other.jsonl")).tokenizer is None


@pytest.mark.parametrize(
    ("value", "step"),
    [(3, 3.0), ("12", 12.0), (0.5, 0.5), (None, None), ("", None), ("global_step_10", 10.0)],
)
def test_a_step_is_a_number(value: object, step: float | None):
    layout = Layout(name="x", text="completion", step="step", file_step=7)
    assert layout.step_of({"step": value}) == step
    assert Layout(name="x", text="completion", file_step=7).step_of({"step": value}) == 7


@pytest.mark.parametrize("value", [True, "last", "inf", [3], "step_3_of_9"])
def test_a_step_that_is_no_number_is_told(value: object):
    with pytest.raises(InputError, match="the step is no number but"):
        Layout(name="x", text="completion", step="step").step_of({"step": value})


def test_paths_take_places_in_lists():
    row = {"a": [{"b": [1, 2]}], "c.0": 3, "d": {"0": 4}}
    assert value_at(row, "a.0.b.1") == 2
    assert value_at(row, "a.-1.b.-1") == 2
    assert (value_at(row, "c.0"), value_at(row, "d.0")) == (3, 4)
    for path in ("a.1", "a.b", "a.0.b.0.c", "a.x", "a.-2"):
        assert value_at(row, path) is None


@pytest.mark.parametrize(
    ("row", "gold"),
    [
        ({"response": "5", "answer": "5"}, "answer"),
        ({"response": "5", "answer": "six", "ground_truth": "5"}, "ground_truth"),
        ({"answer": "5", "prediction": "5"}, "answer"),
        ({"code": ["5"], "answer": "2 + 3 is 5", "gt": "5"}, "gt"),
        ({"output": "5", "reward_model": {"ground_truth": "5"}}, "reward_model.ground_truth"),
        ({"completion": "5", "gold": None, "target": 5}, "target"),
        ({"prediction": "5", "reference": "5", "answer": "6"}, "reference"),
        ({"step": 1, "prompt": "q", "completion": "5", "answer": "5"}, "answer"),
        ({"response": "5", "label": "18", "correct": 0}, "label"),
        ({"response": "5", "label": 18, "format_ok": 1, "reward": 0.0}, "label"),
        ({"response": "5", "label": ["-18"], "answer": "17", "correct": 0}, "label"),
        ({"response": "5", "label": "2 + 3 is 5.\n#### 5", "acc": 1}, "label"),
        ({"response": "5", "label": "\\frac{1}{2}"}, "label"),
        ({"response": "5", "label": "(B)"}, "label"),
        ({"response": "5", "label": "B"}, "label"),
        ({"response": "5", "label": "x^2 + 1"}, "label"),
        ({"response": "5", "label": "18", "gold": "5"}, "gold"),
        # verdicts and classes
        ({"response": "5", "label": 1, "answer": "5"}, "answer"),
        ({"response": "5", "label": "0"}, None),
        ({"response": "5", "label": -1.0}, None),
        ({"response": "5", "label": True}, None),
        ({"response": "5", "labels": [1, -1, 1]}, None),
        ({"response": "5", "label": "correct"}, None),
        ({"response": "5", "label": "LABEL_1", "answer": "5"}, "answer"),
        ({"response": "5", "label": "algebra", "answer": "5"}, "answer"),
        ({"response": "5", "label": "5"}, "label"),
        ({"response": "5", "label": 1, "answer": "5"}, "answer"),
        ({"Question": "q", "Response": "5", "Ground Truth": "5"}, "Ground Truth"),
        ({"question": "q", "response": "5", "groundTruth": "5"}, "groundTruth"),
        ({"row": {"question": "q", "response": "5", "answer": "5"}, "row_idx": 0}, "row.answer"),
        ({"model_response": "5", "task": {"ground_truth": "5"}}, "task.ground_truth"),
    ],
)
def test_the_gold_stands_beside_the_completion(row: dict[str, Any], gold: str | None):
    assert layout(row).gold == gold


def test_labels_of_which_some_are_0_and_1_are_answers_if_others_are():
    rows = [{"response": "5", "label": label} for label in ("1", "0", "18")]
    assert find_layout(Path("a"), rows, Columns(), None).gold == "label"
    assert find_layout(Path("a"), rows[:2], Columns(), None).gold is None


@pytest.mark.parametrize(
    ("row", "verdict", "reward", "truncated"),
    [
        ({"correct": True, "reward": 0.5, "truncated": False}, "correct", "reward", "truncated"),
        ({"score": "1.0", "finish_reason": "length"}, "score", "score", "finish_reason"),
        ({"score": 0.7, "is_correct": 1}, "is_correct", "score", None),
        ({"reward": -1.0}, None, "reward", None),
        ({"metrics": {"acc": False, "reward": 0.2}}, "metrics.acc", "metrics.reward", None),
        ({"correct": "yes", "finish_reason": "?"}, None, None, None),
        ({"score": {"correct": True, "format": 0.5}}, "score.correct", None, None),
        ({"score": {"acc": 1.0, "score": 0.7}}, "score.acc", "score.score", None),
        ({"scores": {"exact_match": 0}}, "scores.exact_match", None, None),
        ({"eval": {"is_correct": "false"}, "reward": 0.3}, "eval.is_correct", "reward", None),
        ({"evaluation": {"passed": 1}}, "evaluation.passed", None, None),
        (
            {"metrics": {"exact_match": 1, "truncated": 0}},
            "metrics.exact_match",
            None,
            "metrics.truncated",
        ),
        ({"score": {"correct": True}, "correct": False}, "correct", None, None),
        ({"score": {"correctness": "partly"}}, None, None, None),
        ({"grade": "incorrect"}, "grade", None, None),
        (
            {"symbolic_correct": True, "finish_reason": "stop"},
            "symbolic_correct",
            None,
            "finish_reason",
        ),
        ({"scores": {"match": {"value": "C", "answer": "5"}}}, "scores.match.value", None, None),
        ({"Is Correct": "TRUE"}, "Is Correct", None, None),
    ],
)
def test_what_a_file_says_itself_is_found(
    row: dict[str, Any], verdict: str | None, reward: str | None, truncated: str | None
):
    found = layout({"completion": "5"} | row)
    assert (found.verdict, found.reward, found.truncated) == (verdict, reward, truncated)


@pytest.mark.parametrize(
    ("value", "cut"),
    [(True, True), ("False", False), ("length", True), ("stop", False), (["length"], True),
     (1, True), ("incomplete", True), ("completed", False), ("abort", None), (None, None)],
)  # fmt: skip
def test_a_file_says_whether_a_text_was_cut_off(value: object, cut: bool | None):
    assert Layout(name="x", text="t", truncated="cut").truncated_of({"cut": value}) is cut
