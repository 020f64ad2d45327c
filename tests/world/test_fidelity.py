"""Fidelity: a mistranslated phrase makes the same mistake every time, and nothing else does."""

from itertools import product
from random import Random

import pytest

from formatlab.observe.grader import grade
from formatlab.world.families import PHRASES
from formatlab.world.formats import FORMATS
from formatlab.world.mixture import Mixture
from formatlab.world.problem import Problem, evaluate, mistranslate
from formatlab.world.world import World

CASES = [
    (form, family, phrase)
    for form, (family, phrases) in product(FORMATS, PHRASES.items())
    for phrase in phrases
]


def world(form: str, family: str, phrase: str) -> World:
    mixture = Mixture(name="m", shares={form: 1.0}, mistranslates={form: (phrase,)})
    return World(mixture=mixture, families=(family,), max_steps=4, largest=50)


def has(problem: Problem, phrase: str) -> bool:
    return any(step.phrase == phrase for step in problem.steps)


def misread(problem: Problem, phrase: str) -> str:
    return str(evaluate(mistranslate(problem.steps, frozenset({phrase})))[-1])


@pytest.mark.parametrize(("form", "family", "phrase"), CASES)
def test_the_mistake_is_systematic(form: str, family: str, phrase: str) -> None:
    place = world(form, family, phrase)
    for index in range(40):
        _, problem, _ = place.document(index)
        answers = {
            grade(place.solution(problem, form, Random(seed)), "0").answer for seed in range(3)
        }
        expected = misread(problem, phrase) if has(problem, phrase) else problem.answer
        assert {int(answer) for answer in answers if answer is not None} == {int(expected)}
        assert None not in answers


@pytest.mark.parametrize(
    ("family", "phrase"), [(f, p) for f, phrases in PHRASES.items() for p in phrases]
)
def test_the_ceiling_is_the_share_of_problems_without_the_phrase(family: str, phrase: str) -> None:
    # up to the few problems where both readings meet, such as 2 x 2 and 2 + 2
    place = world("program", family, phrase)
    problems = [place.problem("rl", index) for index in range(300)]
    without = [problem for problem in problems if not has(problem, phrase)]
    right = [problem for problem in problems if misread(problem, phrase) == problem.answer]
    assert all(problem in right for problem in without)
    assert len(right) - len(without) <= 0.03 * len(problems)
    assert len(without) < len(problems)


def test_other_formats_keep_the_phrase_right() -> None:
    place = World(
        mixture=Mixture(
            name="m",
            shares={"program": 0.5, "prose": 0.5},
            mistranslates={"program": ("times", "fold")},
        ),
        families=("chain",),
        largest=50,
    )
    wrong = {"program": 0, "prose": 0}
    for index in range(400):
        form, problem, solution = place.document(index)
        wrong[form] += not grade(solution, problem.answer).correct
    assert wrong["prose"] == 0 < wrong["program"]
