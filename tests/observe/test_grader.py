"""Grades: right answers in every format, and the reason why others are not."""

import inspect
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from formatlab.errors import InputError
from formatlab.observe.grader import grade, same_answer
from formatlab.observe.sandbox import Sandbox

FIVE = {
    "program": "def solve():\n    pens = 2\n    pens = pens + 3\n    return pens",
    "script": "pens = 2\npens = pens + 3\nprint(pens)",
    "code_tags": "<llm-code>\n2 + 3\n</llm-code>\n<llm-code-output>\n5\n</llm-code-output>\n"
    r"So \boxed{5}.",
    "code_fenced": "```python\nprint(2 + 3)\n```\n```output\n5\n```\nThe answer is 5.",
    "tool_tags": "<tool>2 + 3</tool>",
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
        ("to to to to to to to to to to to to", "no answer"),
        ("I do not know this one.", "no answer"),
        ("def f():\n    retur 5", "malformed"),
        (r"So we get \boxed{5", "malformed"),
        (r"\boxed{4} or \boxed{5}", "ambiguous"),
        ("The answer is 4. The answer is 5.", "ambiguous"),
        ("def f():\n    return None", "no answer"),
        ("def f():\n    return True", "no answer"),
        ("def f():\n    return [5]", "no answer"),
        ("def f():\n    return (5,)", "no answer"),
        ("def f():\n    return {'answer': 5}", "no answer"),
        ("def f():\n    return float('nan')", "no answer"),
        ("def f():\n    return float('inf')", "no answer"),
        ("def f():\n    return 10**4299", "no answer"),
        ("def f():\n    return 10**10000", "no answer"),
        ("def f():\n    return -10**100", "no answer"),
        ("def f():\n    return ''", "no answer"),
        ("def f():\n    return '5' * 100000", "no answer"),
        ("def f():\n    print('')\n    return", "no answer"),
        ("def f():\n    return 'five'", "wrong"),
        ("def f():\n    return 'True'", "wrong"),
        ("def f():\n    return 5.5", "wrong"),
        ("<tool>5 if</tool>", "malformed"),
        ("<tool>five</tool>", "error"),
        ("<tool>1 / 0</tool>", "error"),
        ("def f():\n    return f()", "error"),
        ("def f():\n    import os\n    return os.system('true')", "error"),
        ("<tool>10**10**10</tool>", "memory"),
        (r"\boxed{5*1}", "wrong"),
        ('{"answer": NaN}', "no answer"),
    ],
)
def test_answers_that_earn_nothing(text: str, reason: str) -> None:
    seen = grade(text, "5")
    assert (seen.correct, seen.reason) == (False, reason)


def test_code_that_does_not_end_earns_nothing() -> None:
    seen = grade("def f():\n    while True:\n        pass\n    return 5", "5")
    assert (seen.correct, seen.reason) == (False, "time")


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("print(2 + 3)", "5"),
        ("print('pens:', 2 + 3)", "5"),
        ("print(2)\nprint(2 + 3)", "5"),
        ("print('2 and 3')\nprint(5.0)\nprint()", "5"),
        ("print('Now 3 of 8 pens are gone.')\nprint('The answer is 5 of them')", "5"),
        ("print(f'She has ${5:.2f}')", "5"),
        ("pens = 5\nprint('that is all')\nanswer = pens", "5"),
    ],
)
def test_code_without_a_value_answers_with_the_last_line_it_prints(code: str, answer: str) -> None:
    seen = grade(code, "5")
    assert (seen.tag.format, seen.answer, seen.correct) == ("script", answer, True)


def test_what_a_function_prints_counts_where_it_returns_nothing() -> None:
    assert grade("def f():\n    print(5)", "5").correct
    assert not grade("def f():\n    print(5)\n    return 6", "5").correct


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
        (r"\frac{ 1}{2}", r"\frac{1}{2}", True),
        ("x  +\n1", "x + 1", True),
        (r"\sqrt{25}", "5", False),
        ("2 + 3", "5", False),
        ("5", r"\sqrt{25}", True),
        ("x", "", False),
        ("", "", False),
        ("", "x", False),
        ("5", "", False),
        ("5", "52_8", False),
        ("x = 5", "5", True),
        ("5", "x=5", True),
        ("y = 5", "x=5", False),
        ("Evelyn", r"\text{Evelyn}", True),
    ],
)
def test_same_answer(answer: str, gold: str, same: bool) -> None:
    assert same_answer(answer, gold) is same


@pytest.mark.parametrize("text", ["<tool>0.1 + 0.2</tool>", "<tool>3 / 10</tool>", "0.3"])
def test_rounding_errors_of_floats_are_not_held_against_an_answer(text: str) -> None:
    assert grade(text, "0.3").correct


def test_a_string_returned_is_read_as_a_number() -> None:
    assert grade("def f():\n    return ' 5 pens '", "5").answer == "5"
    assert grade("def f():\n    return '$5'", "5").correct


def test_mathematics_is_compared_in_its_box() -> None:
    assert grade(r"So $x = \boxed{\sqrt{117}}$.", r"3\sqrt{13}").correct
    assert grade(r"So $x = \boxed{\sqrt{118}}$.", r"3\sqrt{13}").reason == "wrong"
    endless = grade(r"It is \boxed{(9^{9^{9^9}})!}.", r"3\sqrt{13}")
    assert endless.reason in ("time", "memory")


RUN = "```python\nx = {}\nprint(x)\n```\n```output\n5\n```\n"


@pytest.mark.parametrize(
    ("text", "formats", "reason"),
    [
        ("def f():\n    return 5\n\nThe answer is 5.", ("program", "prose"), ""),
        ("def f():\n    return 5\n\nThe answer is 6.", ("program", "prose"), "ambiguous"),
        ("def f():\n    return 6\n\nThe answer is 5.", ("program", "prose"), "ambiguous"),
        ("def f():\n    return 6\n\nThe answer is 6.", ("program", "prose"), "wrong"),
        ("def f():\n    return 5\n\nSo \\boxed{999}", ("program", "latex"), "ambiguous"),
        ("def f():\n    return 5 / 0\n\nThe answer is 5.", ("program", "prose"), "error"),
    ],
)
def test_formats_that_contradict_each_other_earn_nothing(
    text: str, formats: tuple[str, ...], reason: str
) -> None:
    seen = grade(text, "5")
    assert seen.tag.mixed_formats == formats
    assert (seen.correct, seen.reason) == (not reason, reason)


def test_the_prompt_cannot_play_a_part() -> None:
    parameters = list(inspect.signature(grade).parameters)
    assert parameters == ["text", "gold", "formats", "sandbox", "truncated"]


def test_the_right_answer_does_not_reach_the_code() -> None:
    assert grade("def f():\n    return gold", "5").reason == "error"
    assert grade("<tool>answer</tool>", "5").reason == "error"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


def test_one_completion_leaves_nothing_for_the_next(sandbox: Sandbox) -> None:
    assert grade("<tool>left = int(5)\nleft</tool>", "5", sandbox=sandbox).correct
    assert grade("<tool>left + int(0)</tool>", "5", sandbox=sandbox).reason == "error"


@pytest.mark.parametrize("name", ["rho-1b-cot", "rho-1b-interpreter", "tora-70b"])
def test_verdicts_agree_with_those_of_published_graders(shared_data: Path, name: str) -> None:
    reviewed = Path(__file__).parents[2] / "benchmarks" / "reviewed_verdicts.jsonl"
    wrong = {json.loads(line)["place"] for line in reviewed.read_text().splitlines()}
    lines = (shared_data / "graded" / f"{name}.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    sound = [row for n, row in enumerate(rows) if f"{name}.jsonl:{n}" not in wrong]
    agreed = sum(
        grade(row["text"], row["gold"]).correct == row["upstream_correct"] for row in sound
    )
    assert agreed >= 0.995 * len(sound)


def test_the_solutions_that_people_wrote_are_right(shared_data: Path) -> None:
    lines = (shared_data / "gsm8k" / "test.jsonl").read_text().splitlines()
    for line in lines:
        solution = json.loads(line)["answer"]
        assert grade(solution, solution.rpartition("####")[2]).correct, solution


@pytest.mark.parametrize("gold", [5, 5.0, "5", "2 + 3 = <<2+3=5>>5\n#### 5", "5.00"])
def test_the_right_answer_may_be_a_number_or_as_gsm8k_has_it(gold: str | float) -> None:
    assert grade("The answer is 5.", gold).correct
    assert not grade("The answer is 6.", gold).correct


@pytest.mark.parametrize(
    "gold", [[5], {"answer": 5}, Decimal("5.0"), np.float32(5), np.array(["5"])]
)
def test_the_right_answer_may_be_of_any_kind(gold: object) -> None:
    assert grade("The answer is 5.", gold).correct
    assert not grade("The answer is 6.", gold).correct


@pytest.mark.parametrize("gold", [float("nan"), "", []])
@pytest.mark.parametrize("text", ["The answer is nan.", "", "The answer is 5.", "\\boxed{}"])
def test_where_the_right_answer_is_missing_nothing_is_right(text: str, gold: object) -> None:
    assert not grade(text, gold).correct


@pytest.mark.parametrize("gold", [None, True, np.True_, b"5", {"right": 5}])
def test_what_is_no_right_answer_is_refused(gold: Any) -> None:
    with pytest.raises(InputError, match="the right answer is text or a number, not"):
        grade("The answer is 5.", gold)
    with pytest.raises(InputError, match="a list of 2 different answers"):
        grade("The answer is 5.", ["5", "6"])
