"""Faults: no text ends a run; what goes wrong is a reason, said once, and set-ups still fail."""

import warnings
from collections.abc import Iterator

import pytest

from formatlab.errors import InputError, RunError
from formatlab.observe import fault, grader
from formatlab.observe.grader import grade, grade_or_raise
from formatlab.observe.sandbox import Sandbox
from formatlab.observe.tagger import NONE, Tag, tag, tag_or_raise
from formatlab.train.reward import Reward, RewardFunction
from formatlab.world.formats import Format, Page, Reading


class Picky(Format):
    """A format of a user's own that fails on some texts, in one of two places."""

    name = "picky"

    def recognise(self, page: Page) -> bool:
        return "picky" in page.text

    def read(self, page: Page) -> Reading:
        if "deep" in page.text:
            return self.read(page)
        return Reading(content={"right": "5"}[page.text.split()[-1]])


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(fault, "_said", set())
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        yield


def test_an_error_over_a_text_is_a_reason_and_said_once() -> None:
    form = Picky()
    assert grade("picky right", "5", formats=[form]).correct
    with pytest.warns(RuntimeWarning, match=r"test_fault.py, line \d+: KeyError: 'wrong'") as told:
        first = grade("picky wrong", "5", formats=[form])
        second = tag("picky again", formats=[form])
        third = grade("picky deep", "5", formats=[form])  # of another kind
    assert first.tag == second == third.tag == Tag(format=NONE, missing="fault")
    assert (first.answer, first.correct, first.reason, third.reason) == (
        None,
        False,
        *2 * ["fault"],
    )
    assert [str(one.message).count("'picky wrong'") for one in told] == [1, 0]
    assert "RecursionError" in str(told[1].message)


def test_an_error_after_tagging_leaves_the_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(answer: str, gold: str) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(grader, "_verdict", fails)
    with pytest.warns(RuntimeWarning, match="ZeroDivisionError"):
        seen = grade("The answer is 5.", "5")
    assert (seen.tag.format, seen.answer, seen.correct, seen.reason) == (
        "prose",
        None,
        False,
        "fault",
    )


def test_whoever_names_texts_gets_the_error_itself() -> None:
    with pytest.raises(KeyError):
        tag_or_raise("picky wrong", formats=[Picky()])
    with pytest.raises(KeyError):
        grade_or_raise("picky wrong", "5", formats=[Picky()])


def test_a_set_up_that_cannot_work_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONTY_BIN", "/nonexistent/monty")
    with pytest.raises(RunError, match="does not start"):
        grade("<tool>2 + 3</tool>", "5", sandbox=Sandbox())
    with pytest.raises(InputError, match="a completion is text"):
        grade(5, "5")  # pyright: ignore[reportArgumentType] - as a user may call it
    with pytest.raises(InputError, match="not None"):
        grade("5", None)


def test_a_batch_of_hostile_texts_is_paid_like_any_other() -> None:
    texts = ['{"a":' * 520 + "5" + "}" * 520, "The answer is 5.", "\ud800", "\x00" * 3000, ""]
    paid = RewardFunction(Reward(), range)(completions=texts, gold=["5"] * 5)
    assert paid == [0.0, 1.0, 0.0, 0.0, 0.0]
