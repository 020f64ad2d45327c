"""Grades: right answers in every format, and the reason why others are not."""

import inspect
import json
from pathlib import Path

import pytest

from formatlab.observe.grader import grade, same_answer
from formatlab.observe.sandbox import Sandbox

FIVE = {
    "program": "def solve():\n    pens = 2\n    pens = pens + 3\n    return pens",
    "tool": "<tool>2 + 3</tool>",
    "prose": "2 plus 3 is 5. The answer is 5.",
    "latex": r"$2 + 3 = 5$, \boxed{5}",
    "json": '{"steps": ["2 + 3 = 5"], "answer": 5}',
    "direct": "5 pens",
}


@pytest.mark.parametrize("form", FIVE)
def test_right_and_wrong_answers_of_every_format(form: str) -> None:
    right, wrong = grade(FIVE[form], "5"), grade(FIVE[form], "6")
    assert right.tag.format == wrong.tag.format == form
    assert (right.answer, right.correct, right.reason) == ("5", True, "")
    assert (wrong.answer, wrong.correct, wrong.reason) == ("5", False, "wrong")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no answer"),
        ("to to to to to to", "no answer"),
        ("I do not know this one.", "no answer"),
        ("def f():\n    retur 5", "no answer"),
        ("def f():\n    pass", "no answer"),
        ("def f():\n    print(5)", "no answer"),
        ("def f():\n    return None", "no answer"),
        ("def f():\n    return True", "no answer"),
        ("def f():\n    return [5]", "no answer"),
        ("def f():\n    return (5,)", "no answer"),
        ("def f():\n    return {'answer': 5}", "no answer"),
        ("def f():\n    return float('nan')", "no answer"),
        ("def f():\n    return float('inf')", "no answer"),
        ("def f():\n    return 10**4299", "no answer"),
        ("def f():\n    return 10**10000", "no answer"),
        ("def f():\n    return -10**40", "no answer"),
        ("def f():\n    return ''", "no answer"),
        ("def f():\n    return '5' * 100000", "no answer"),
        ("def f():\n    return f", "wrong"),
        ("<tool>x = 5</tool>", "no answer"),
        ("<tool>print(5)</tool>", "no answer"),
        ("def f():\n    return 'five'", "wrong"),
        ("def f():\n    return 'True'", "wrong"),
        ("def f():\n    return 5.5", "wrong"),
        ("<tool>5 if</tool>", "error"),
        ("<tool>five</tool>", "error"),
        ("<tool>1 / 0</tool>", "error"),
        ("def f():\n    return f()", "error"),
        ("def f():\n    import os\n    return os.system('true')", "error"),
        ("def f():\n    while True:\n        pass", "time"),
        ("<tool>10**10**10</tool>", "memory"),
        (r"\boxed{4 \text{ or } 5}", "wrong"),
        (r"\boxed{5*1}", "wrong"),
        ('{"answer": NaN}', "wrong"),
    ],
)
def test_answers_that_earn_nothing(text: str, reason: str) -> None:
    seen = grade(text, "5")
    assert (seen.correct, seen.reason) == (False, reason)


@pytest.mark.parametrize(
    ("answer", "gold", "same"),
    [
        ("5", "5", True),
        ("5.0", "5", True),
        ("$1,000", "1000", True),
        ("1000", "1,000.00", True),
        ("50%", "50", True),
        ("0.5", "1/2", True),
        ("-5", "5", False),
        ("5 and 6", "5", False),
        ("", "5", False),
        ("0.3333", "1/3", False),
        (r"\frac{ 1}{2}", r"\frac{1}{2}", False),
        ("x  +\n1", "x + 1", True),
        ("x", "", False),
        ("", "", False),
        ("", "x", False),
        ("nan", "nan", True),
    ],
)
def test_same_answer(answer: str, gold: str, same: bool) -> None:
    assert same_answer(answer, gold) is same


@pytest.mark.parametrize("text", ["<tool>0.1 + 0.2</tool>", "<tool>3 / 10</tool>", "0.3"])
def test_rounding_errors_of_floats_are_not_held_against_an_answer(text: str) -> None:
    assert grade(text, "0.3").correct


def test_a_string_returned_is_read_as_a_number() -> None:
    assert grade("def f():\n    return ' 5 pens '", "5").answer == "5 pens"
    assert grade("def f():\n    return '$5'", "5").correct


def test_the_prompt_cannot_play_a_part() -> None:
    assert list(inspect.signature(grade).parameters) == ["text", "gold", "sandbox"]


def test_the_right_answer_does_not_reach_the_code() -> None:
    assert grade("def f():\n    return gold", "5").reason == "error"
    assert grade("<tool>answer</tool>", "5").reason == "error"


def test_one_completion_leaves_nothing_for_the_next() -> None:
    sandbox = Sandbox()
    try:
        assert grade("<tool>left = 5\nleft</tool>", "5", sandbox=sandbox).correct
        assert grade("<tool>left</tool>", "5", sandbox=sandbox).reason == "error"
    finally:
        sandbox.close()


@pytest.mark.parametrize("name", ["rho-1b-cot", "rho-1b-interpreter", "tora-70b"])
def test_verdicts_agree_with_those_of_published_graders(shared_data: Path, name: str) -> None:
    lines = (shared_data / "graded" / f"{name}.jsonl").read_text().splitlines()[:400]
    rows = [json.loads(line) for line in lines]
    agreed = sum(
        grade(row["text"], str(row["gold"])).correct == row["upstream_correct"] for row in rows
    )
    assert agreed >= 0.96 * len(rows)
