"""Every family, over all numbers of steps and several ranges: sound, solvable, told in full."""

import re
from itertools import product
from random import Random

import pytest

from formatlab.world.families import FAMILIES, PHRASES
from formatlab.world.problem import Problem, Result, evaluate, value

# Numbers that a story tells in words.
IN_WORDS = {
    "fold": {2: "double", 3: "triple"},
    "hundredth": {100: "percent"},
}
STEPS_TOLD = {
    "chain": (1, 2, 3, 4),
    "comparison": (1, 2, 3, 4),
    "pair": (1, 2, 3, 3),
    "percent": (2, 2, 3, 3),
    "price": (1, 2, 3, 3),
    "sharing": (1, 2, 3, 3),
}
CASES = list(product(FAMILIES, (1, 2, 3, 4), (5, 10, 20, 100)))


def draw(family: str, steps: int, largest: int, count: int = 200) -> list[Problem]:
    return [FAMILIES[family].problem(Random(seed), steps, largest) for seed in range(count)]


@pytest.mark.parametrize(("family", "steps", "largest"), CASES)
def test_answers_follow_from_the_steps(family: str, steps: int, largest: int) -> None:
    for problem in draw(family, steps, largest):
        results = evaluate(problem.steps)
        assert problem.answer == str(results[-1])
        assert all(result >= 1 for result in results)
        assert problem.family == family


@pytest.mark.parametrize(("family", "steps", "largest"), CASES)
def test_difficulty_is_the_number_of_steps(family: str, steps: int, largest: int) -> None:
    expected = STEPS_TOLD[family][steps - 1]
    for problem in draw(family, steps, largest):
        assert problem.difficulty == len(problem.steps) == expected


@pytest.mark.parametrize(("family", "steps", "largest"), CASES)
def test_divisions_come_out_even(family: str, steps: int, largest: int) -> None:
    for problem in draw(family, steps, largest):
        results = evaluate(problem.steps)
        for step in problem.steps:
            if step.operator == "/":
                assert value(step.left, results) % value(step.right, results) == 0


@pytest.mark.parametrize(("family", "steps", "largest"), CASES)
def test_steps_refer_to_earlier_ones_and_none_is_idle(
    family: str, steps: int, largest: int
) -> None:
    for problem in draw(family, steps, largest, count=50):
        used = set()
        for index, step in enumerate(problem.steps):
            for operand in (step.left, step.right):
                if isinstance(operand, Result):
                    assert operand.index < index
                    used.add(operand.index)
        assert used == set(range(len(problem.steps) - 1))


@pytest.mark.parametrize(("family", "steps", "largest"), CASES)
def test_the_question_tells_every_number(family: str, steps: int, largest: int) -> None:
    for problem in draw(family, steps, largest):
        told = {int(number) for number in re.findall(r"\d+", problem.question)}
        for step in problem.steps:
            for operand in (step.left, step.right):
                if isinstance(operand, int) and operand not in told:
                    assert IN_WORDS[step.phrase][operand] in problem.question
        assert problem.question.endswith("?")
        assert not re.search(r"[{}]|\bNone\b|  ", problem.question)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_question_tells_no_number_that_plays_no_part(family: str) -> None:
    for steps in (1, 2, 3, 4):
        for problem in draw(family, steps, 20):
            told = {int(number) for number in re.findall(r"\d+", problem.question)}
            used = {o for s in problem.steps for o in (s.left, s.right) if isinstance(o, int)}
            assert told <= used


@pytest.mark.parametrize("family", FAMILIES)
def test_phrases_are_those_that_the_table_names(family: str) -> None:
    seen = {
        step.phrase
        for steps in (1, 2, 3, 4)
        for problem in draw(family, steps, 20)
        for step in problem.steps
    }
    assert seen == set(PHRASES[family])


def test_every_family_has_its_phrases_named() -> None:
    assert PHRASES.keys() == FAMILIES.keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_phrase_family_has_one_operator(family: str) -> None:
    operators: dict[str, set[str]] = {}
    for steps in (1, 2, 3, 4):
        for problem in draw(family, steps, 20):
            for step in problem.steps:
                operators.setdefault(step.phrase, set()).add(step.operator)
    assert {phrase: len(known) for phrase, known in operators.items()} == dict.fromkeys(
        PHRASES[family], 1
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_quantities_can_be_names_in_code(family: str) -> None:
    for problem in draw(family, 4, 20):
        assert all(step.quantity.isidentifier() for step in problem.steps)


@pytest.mark.parametrize(("family", "largest"), list(product(FAMILIES, (5, 20, 100))))
def test_the_range_of_numbers_follows_the_largest(family: str, largest: int) -> None:
    reach = max(int(p.answer) for steps in (1, 2, 3, 4) for p in draw(family, steps, largest))
    assert largest / 2 < reach <= 9 * largest
