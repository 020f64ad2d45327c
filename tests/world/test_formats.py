"""Every format over every family: what it renders is recognised, read back, run and right."""

from itertools import product
from random import Random

import pytest

from formatlab.observe.grader import grade
from formatlab.observe.tagger import tag
from formatlab.world.families import FAMILIES
from formatlab.world.formats import EXECUTED, FORMATS, Page, Reading
from formatlab.world.problem import Problem

CASES = list(product(FORMATS, FAMILIES))


def problems(family: str) -> list[Problem]:
    return [
        FAMILIES[family].problem(Random(seed), steps, largest)
        for steps in (1, 2, 3, 4)
        for largest in (5, 20, 100)
        for seed in range(8)
    ]


@pytest.mark.parametrize(("form", "family"), CASES)
def test_a_rendered_solution_is_its_own_format_and_right(form: str, family: str) -> None:
    for number, problem in enumerate(problems(family)):
        text = FORMATS[form].render(problem, Random(number))
        seen = grade(text, problem.answer)
        assert (seen.tag.format, seen.tag.well_formed, seen.tag.mixed) == (form, True, False), text
        assert (seen.correct, seen.reason) == (True, ""), text


@pytest.mark.parametrize(("form", "family"), CASES)
def test_the_answer_is_the_formats_own_and_not_the_golds(form: str, family: str) -> None:
    for number, problem in enumerate(problems(family)):
        text = FORMATS[form].render(problem, Random(number))
        seen = grade(text, str(int(problem.answer) + 1))
        assert (seen.correct, seen.reason) == (False, "wrong"), text


@pytest.mark.parametrize("form", sorted(EXECUTED))
def test_executed_formats_state_no_answer_but_compute_it(form: str) -> None:
    problem = FAMILIES["comparison"].problem(Random(3), 4, 1000)
    text = FORMATS[form].render(problem, Random(0))
    assert problem.answer not in text
    reading = FORMATS[form].read(Page(text))
    assert isinstance(reading, Reading) and reading.code


@pytest.mark.parametrize("form", sorted(FORMATS.keys() - EXECUTED))
def test_written_formats_are_not_run(form: str) -> None:
    problem = FAMILIES["chain"].problem(Random(3), 2, 20)
    reading = FORMATS[form].read(Page(FORMATS[form].render(problem, Random(0))))
    assert isinstance(reading, Reading) and not reading.code
    assert reading.content.split()[0] == problem.answer


@pytest.mark.parametrize(
    ("form", "fewest"),
    [
        ("program", 9),
        ("tool_tags", 2),
        ("script", 2),
        ("code_tags", 2),
        ("code_fenced", 2),
        ("prose", 8),
        ("latex", 4),
        ("json", 6),
        ("direct", 2),
    ],
)
def test_a_format_is_a_family_of_surfaces(form: str, fewest: int) -> None:
    problem = next(p for p in problems("chain") if {s.operator for s in p.steps} > {"*"})
    renderings = {FORMATS[form].render(problem, Random(seed)) for seed in range(300)}
    assert len(renderings) >= fewest


@pytest.mark.parametrize("form", FORMATS)
def test_a_rendering_is_decided_by_the_random_numbers(form: str) -> None:
    problem = FAMILIES["chain"].problem(Random(1), 3, 20)
    render = FORMATS[form].render
    assert render(problem, Random(7)) == render(problem, Random(7))


@pytest.mark.parametrize("form", FORMATS)
def test_a_cut_solution_is_never_graded_right_by_accident_of_the_cut(form: str) -> None:
    # a budget can end a completion anywhere; what is left may lack an answer but must not raise
    problem = FAMILIES["chain"].problem(Random(5), 3, 20)
    text = FORMATS[form].render(problem, Random(2))
    for length in range(len(text)):
        seen = tag(text[:length])
        assert seen.format in (*FORMATS, "none")


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_filed_under_its_name(name: str) -> None:
    assert FORMATS[name].name == name
