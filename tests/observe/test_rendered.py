"""Texts that are tagged by one pattern have the tag that the formats give them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formatlab.observe import tagger
from formatlab.observe.rendered import _LATEX, _PROGRAM, _PROSE, _TOOL, rendered
from formatlab.observe.tagger import Tag, is_loop, tag
from formatlab.world.formats import FORMATS, Format, Page, Reading
from formatlab.world.four_formats import FOUR_FORMATS

PATTERNS = {"program": _PROGRAM, "tool_tags": _TOOL, "latex": _LATEX, "prose": _PROSE}

NAMES = st.one_of(
    st.sampled_from(
        "a b ans answer result final_answer solve solution total question print output code "
        "python sum def_ return1 yields import_ py json user a_b x1 none not_ or_ the so".split()
    ),
    st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
)
NUMBERS = st.one_of(st.integers(-20, 120), st.integers(-(10**9) + 1, 10**9 - 1)).map(str)
TERMS = st.one_of(NAMES, NUMBERS)
OPERATORS = st.sampled_from((" + ", " - ", " * ", " // "))
OPERATIONS = st.tuples(TERMS, OPERATORS, TERMS).map("".join)
NESTED = st.recursive(
    TERMS, lambda inner: st.tuples(inner, OPERATORS, inner).map("({0[0]}{0[1]}{0[2]})".format)
)


def lines(line: st.SearchStrategy[str], most: int) -> st.SearchStrategy[str]:
    return st.lists(line, max_size=most).map("".join)


def shaped(shape: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda found: shape.format(*found))


WORDS = st.sampled_from(("plus", "minus", "times", "divided by"))
OPENINGS = st.sampled_from(("", "First, ", "Then, ", "Next, ", "After that, ", "Last, "))
SIGNS = st.sampled_from(("+", "-", "*", "/"))
TEX_SIGNS = st.sampled_from(("+", "-", r"\times", r"\cdot", r"\div"))
SENTENCES = st.one_of(
    shaped("{}{} {} {} = {}. ", OPENINGS, NUMBERS, SIGNS, NUMBERS, NUMBERS),
    shaped("{}{} {} {} is {}. ", OPENINGS, NUMBERS, WORDS, NUMBERS, NUMBERS),
)
INLINE = shaped("${} {} {} = {}$, ", NUMBERS, TEX_SIGNS, NUMBERS, NUMBERS)
DISPLAYED = shaped("\\[{} {} {} = {}\\]\n", NUMBERS, TEX_SIGNS, NUMBERS, NUMBERS)
TEXTS = {
    "program": shaped(
        "def {}():\n{}    return {}",
        NAMES,
        lines(shaped("    {} = {}\n", NAMES, st.one_of(TERMS, OPERATIONS)), 12),
        NAMES,
    ),
    "tool_tags": shaped(
        "<tool>{}{}{}{}</tool>",
        lines(shaped("{} = {}\n", NAMES, OPERATIONS), 8),
        NESTED,
        OPERATORS,
        NESTED,
    ),
    "latex": shaped("{}\\boxed{{{}}}", st.one_of(lines(INLINE, 8), lines(DISPLAYED, 8)), NUMBERS),
    "prose": shaped(
        "{}{} answer is {}.", lines(SENTENCES, 8), st.sampled_from(("The", "So the")), NUMBERS
    ),
}


def of_the_formats(text: str) -> Tag:
    """The tag of a text by the formats, without the patterns."""
    return tagger._tag(Page(text), ())


@pytest.mark.parametrize("form", TEXTS)
@settings(max_examples=150)
@given(data=st.data())
def test_the_formats_give_the_same_tag(form: str, data: st.DataObject) -> None:
    text = data.draw(TEXTS[form])
    known = rendered(text)
    if known is not None and not is_loop(text):
        assert known[0] == form
        assert tag(text) == of_the_formats(text) == Tag(format=form, carriers=(known,))


@pytest.mark.parametrize("form", PATTERNS)
@settings(max_examples=60)
@given(data=st.data())
def test_the_formats_give_the_same_tag_to_whatever_matches(form: str, data: st.DataObject) -> None:
    text = data.draw(st.from_regex(PATTERNS[form], fullmatch=True))
    assert tag(text) == of_the_formats(text)


def test_all_of_the_world_is_tagged_by_a_pattern() -> None:
    for index in range(400):
        form, _, solution = FOUR_FORMATS.document(index)
        known = rendered(solution)
        assert known is not None and known[0] == form
        assert tag(solution) == of_the_formats(solution)


@pytest.mark.parametrize(
    "text",
    [
        "def if():\n    return a",
        "def f():\n    return return",
        "def f():\n    a = 07\n    return a",
        "def f():\n  a = 7\n  return a",
        "def f():\n    return a\n",
        "<tool>12</tool>",
        "<tool>a = 3</tool>",
        "<tool>3 + 4</tool> 7",
        "$3 + 4 = 7$, \\boxed{7}.",
        "$3 + 4 = 7$, \\boxed{7",
        "3 + 4 = 7. The answer is 7. Wait, no.",
        "3 + 4 = 7. The answer is not 7.",
        "The answer is 7.",
        "٣ + ٤ = ٧. The answer is ٧.",
    ],
)
def test_every_other_text_is_left_to_the_formats(text: str) -> None:
    assert rendered(text) is None


def test_a_loop_is_none_however_well_it_is_written() -> None:
    text = "3 + 4 = 7. " * 8 + "The answer is 7."
    assert rendered(text) is not None
    assert tag(text) == of_the_formats(text)
    assert tag("5 plus 5 is 5. " * 8 + "The answer is 5.").missing == "no answer"


class Shout(Format):
    name = "shout"

    def recognise(self, page: Page) -> bool:
        return "answer" in page.text

    def read(self, page: Page) -> Reading:
        return Reading(content="shout")


def test_formats_of_others_are_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "3 + 4 = 7. The answer is 7."
    assert tag(text, formats=[Shout()]).format == "shout"
    monkeypatch.setitem(FORMATS, "shout", Shout())
    assert tag(text).format == "shout"
