"""Formats of a world that do not hold together are told before anything is pretrained."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from added_format import EXPERIMENT

from formatlab.cli.main import main
from formatlab.errors import InputError
from formatlab.observe.format_check import check_formats
from formatlab.world.families import FAMILIES
from formatlab.world.formats import FORMATS, Format, Page, Reading
from formatlab.world.mixture import Mixture
from formatlab.world.problem import Problem
from formatlab.world.world import World


@pytest.fixture(autouse=True)
def _formats(monkeypatch: pytest.MonkeyPatch):
    """Leave no added format behind."""
    for name, form in FORMATS.items():
        monkeypatch.setitem(FORMATS, name, form)
    yield
    FORMATS.pop("shout", None)


class Shout(Format):
    name = "shout"

    def render(self, problem: Problem, random: Random) -> str:
        return f"IT IS {problem.answer}!"

    def recognise(self, page: Page) -> bool:
        return page.text.startswith("IT IS ")

    def read(self, page: Page) -> Reading:
        return Reading(content=page.text.removeprefix("IT IS ").removesuffix("!"))


def world(form: Format) -> World:
    FORMATS["shout"] = form
    return World(mixture=Mixture(name="loud", shares={"shout": 0.5, "prose": 0.5}))


def refusal(form: Format) -> str:
    with pytest.raises(InputError) as caught:
        check_formats([world(form)])
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_format_that_holds_together_passes():
    check_formats([world(Shout())])


@pytest.mark.parametrize("families", [(family,) for family in FAMILIES])
def test_the_lab_s_own_formats_pass(families: tuple[str, ...]):
    own = dict.fromkeys(FORMATS, 1 / 9)
    misread = {"prose": ("times",)} if "chain" in families else {}
    mixture = Mixture(name="own", shares=own, mistranslates=misread)
    check_formats([World(mixture=mixture, families=families, seed=3)])


def test_worlds_of_the_same_problems_are_checked_once():
    class Counted(Shout):
        rendered = 0

        def render(self, problem: Problem, random: Random) -> str:
            self.rendered += 1
            return super().render(problem, random)

    form = Counted()
    one = world(form)
    other = Mixture(name="other", shares={"shout": 0.9, "prose": 0.1})
    check_formats([one, replace(one, seed=7), replace(one, mixture=other)])
    assert form.rendered == 100
    check_formats([one, replace(one, largest=9)])
    assert form.rendered == 300


def test_one_that_its_recogniser_misses_is_named_with_an_example():
    class Changed(Shout):
        def render(self, problem: Problem, random: Random) -> str:
            return f"The answer is {problem.answer}."

    said = refusal(Changed())
    assert said.startswith("format 'shout': of 100 solutions that it renders 100 are taken for pro")
    assert "One of them, with the right answer" in said
    assert "'The answer is " in said


def test_one_that_is_missed_now_and_then_is_counted():
    class Sometimes(Shout):
        def recognise(self, page: Page) -> bool:
            return super().recognise(page) and not page.text.endswith("3!")

    said = refusal(Sometimes())
    count = int(said.split("that it renders ")[1].split()[0])
    assert 0 < count < 50


def test_one_that_is_read_wrongly_is_told():
    class Cut(Shout):
        def read(self, page: Page) -> Reading:
            return Reading(content=page.text.removeprefix("IT IS ").removesuffix("!") + "0")

    assert "that it renders 100 are graded as wrong" in refusal(Cut())


def test_an_error_of_a_format_is_told_with_its_line():
    class Broken(Shout):
        def read(self, page: Page) -> Reading:
            raise KeyError("answer")

    said = refusal(Broken())
    assert f"{__file__}, line " in said
    assert "KeyError: 'answer'" in said
    assert "rendered as 'IT IS " in said


def test_a_format_that_catches_others_is_told():
    class Greedy(Shout):
        def recognise(self, page: Page) -> bool:
            return True

    assert "format 'prose': of 100 solutions that it renders 100 are taken for shout" in (
        refusal(Greedy())
    )


def test_nothing_is_pretrained_in_such_a_world(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "shouting.py"
    path.write_text(EXPERIMENT.replace("return _shouted(problem.answer)", 'return "It is 5."'))
    assert main(["run", str(path), "--runs-dir", str(tmp_path / "runs")]) == 2
    said = capsys.readouterr().err
    assert "format 'shout': of 100 solutions" in said
    assert len(said.strip().splitlines()) == 1
    assert list((tmp_path / "runs").iterdir()) == []
