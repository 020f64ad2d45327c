"""Steps, their evaluation, systematic misreading, and the hash that seeds are made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatlab.world.problem import (
    MISREADING,
    Operator,
    Result,
    Step,
    apply,
    digest,
    evaluate,
    mistranslate,
    solved,
)
from formatlab.world.prompt import plain_prompt, prompt_id


def step(operator: Operator, left: int | Result, right: int | Result, phrase: str = "p") -> Step:
    return Step(operator=operator, left=left, right=right, phrase=phrase, quantity="pens")


@pytest.mark.parametrize(("operator", "result"), [("+", 15), ("-", 9), ("*", 36), ("/", 4)])
def test_each_operator_does_its_arithmetic(operator: Operator, result: int) -> None:
    assert apply(operator, 12, 3) == result


def test_a_division_that_does_not_come_out_even_rounds_as_python_does() -> None:
    assert apply("/", -7, 2) == -7 // 2


def test_steps_use_the_results_of_earlier_ones() -> None:
    steps = (step("+", 2, 3), step("*", Result(0), 4), step("-", Result(1), Result(0)))
    assert evaluate(steps) == [5, 20, 15]
    problem = solved(question="?", family="f", steps=steps)
    assert (problem.answer, problem.difficulty) == ("15", 3)


def test_misreading_changes_the_named_phrases_alone() -> None:
    steps = (step("*", 2, 3, "times"), step("+", Result(0), 4, "gain"))
    read = mistranslate(steps, frozenset({"times"}))
    assert [s.operator for s in read] == ["+", "+"]
    assert read[1] == steps[1]
    assert mistranslate(steps, frozenset()) is steps


@pytest.mark.parametrize("operator", MISREADING)
def test_no_operator_is_misread_as_itself(operator: Operator) -> None:
    assert MISREADING[operator] != operator


@given(st.lists(st.one_of(st.integers(), st.text()), max_size=4))
def test_a_digest_is_64_bits_and_repeatable(parts: list[object]) -> None:
    assert 0 <= digest(*parts) < 2**64
    assert digest(*parts) == digest(*parts)


def test_a_digest_is_the_same_on_every_machine() -> None:
    assert digest("prompt", 0, "Mia") == 8721540263851992176


def test_a_digest_depends_on_where_parts_are_split() -> None:
    assert digest("1", "23") != digest("12", "3") != digest("123")


def test_a_prompt_is_the_question_and_a_line_break() -> None:
    problem = solved(question="How many?", family="chain", steps=(step("+", 2, 3),))
    prompt = plain_prompt(problem)
    assert (prompt.text, prompt.gold, prompt.family) == ("How many?\n", "5", "chain")
    assert prompt.id == prompt_id("How many?") != prompt_id("How many??")
    assert len(prompt.id) == 16
