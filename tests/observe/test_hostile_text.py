"""Texts made to break a tagger: each must come back with a grade, and none may run a pattern dry.

`regex` raises TimeoutError where a pattern takes too long, so that one that backtracks without
bound fails here by its exception and not by a clock.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatlab.observe.grader import grade
from formatlab.observe.tagger import NONE, tag
from formatlab.world.formats import FORMATS

LONG = 100_000

# Beginnings of what a pattern looks for, repeated or drawn out, with an end that fails to match.
HOSTILE = {
    "NUL": "\x00" * LONG,
    "lone surrogates": "\ud800\udfff" * (LONG // 2),
    "combining marks": "a" + "\u0301" * LONG,
    "right to left": "\u202e" * LONG,
    "one letter": "a" * LONG,
    "one word": "word " * (LONG // 5),
    "digits": "1" * LONG,
    "groups": "1" + ",000" * (LONG // 4),
    "commas": "1" + "," * LONG + "!",
    "number, space": "1" + " " * LONG + "!",
    "number, unit": "1 " + "a" * LONG,
    "number, blank units": "5 " + "a \t" * (LONG // 3) + "!",
    "slashes": "1" + "/1" * (LONG // 2),
    "exponents": "1" + "e1" * (LONG // 2),
    "dots": "1" + ".1" * (LONG // 2),
    "spaces": " " * LONG + "!",
    "line breaks": "\n" * LONG + "!",
    "tabs and breaks": "\t\n" * (LONG // 2) + "!",
    "signs": "-" * LONG,
    "answer, space": "The answer is" + " " * LONG + "!",
    "answer, stars": "The answer is" + "*" * LONG + "!",
    "answer, blank stars": "The answer is" + " *" * (LONG // 2) + "!",
    "answers": "answer is " * (LONG // 10),
    "answer without end": "answer" + " \n" * (LONG // 2),
    "answers, numbers": "answer is 1,1,1,1,.5/1e" * (LONG // 23),
    "hashes": "#" * LONG,
    "hashed lines": "####  \n" * (LONG // 7),
    "calculations": "<<" * (LONG // 2),
    "calculations, signs": ("<<" + "=" * 79) * (LONG // 81),
    "fences": "```" * (LONG // 3),
    "fence, space": "```" + " " * LONG + "!",
    "fences, space": ("```" + " " * 997) * (LONG // 1000),
    "fence, word": "```" + "a" * LONG,
    "open fences": "```\n" * (LONG // 4) + "def",
    "fenced words": "```python\n def " * (LONG // 15),
    "definition, space": "def" + " " * LONG + "f",
    "definition, name": "def " + "f" * LONG,
    "definitions": "def f " * (LONG // 6),
    "definition lines": "def f\n" * (LONG // 6),
    "blank lines, definition": " \n" * (LONG // 2) + "def f",
    "comments": "#\n" * (LONG // 2) + "def",
    "imports": "import a\n" * (LONG // 9) + "def f",
    "parentheses": "def f():\n    return " + "(" * LONG,
    "signs in code": "def f():\n    return " + "-" * LONG + "1",
    "sum": "def f():\n    return " + "1+" * (LONG // 2) + "1",
    "attributes": "def f():\n    return a" + ".a" * (LONG // 2),
    "functions": "def f(): return 1\n" * (LONG // 18),
    "tools": "<tool>" * (LONG // 6),
    "tool ends": "</tool>" * (LONG // 7),
    "tool turned": "</tool>" * (LONG // 14) + "<tool>" * (LONG // 12),
    "tool, parentheses": "<tool>" + "(" * LONG + "</tool>",
    "tool, sum": "<tool>" + "1+" * (LONG // 2) + "1</tool>",
    "boxes": r"\boxed{" * (LONG // 7),
    "closed boxes": r"\boxed{" * (LONG // 8) + "}" * (LONG // 8),
    "box, space": r"\boxed" + " " * LONG + "!",
    "braces": r"\boxed{" + "{" * LONG,
    "closing braces": r"\boxed{" + "}" * LONG,
    "dollars": "$" * LONG,
    "equations": "$=" * (LONG // 2),
    "equation signs": ("$" + "=" * 400) * (LONG // 401),
    "half equations": ("$a" + "=" * 199) * (LONG // 201),
    "objects": "{" * LONG,
    "object, space": "{" + " " * LONG + "!",
    "keys": '{"' + "a" * LONG,
    "nested objects": '{"a":' * (LONG // 5),
    "nested lists": '{"a":' + "[" * LONG,
    "object, digits": '{"answer": ' + "1" * LONG + "}",
    "object, text": '{"answer": "' + "1" * LONG + '"}',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_texts_are_graded(text: str) -> None:
    seen = grade(text, "5")
    assert not seen.correct and seen.reason
    assert seen.tag.format in (*FORMATS, NONE)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_pattern_runs_out_of_time(text: str) -> None:
    for form in FORMATS.values():
        form.recognise(text)
        form.read(text)


PIECES = (
    *("answer is", "####", "5", ",", ".", " ", "*", "<<", ">>", "\n", "é"),
    *("```", "```python\n", "def f():", "    return 5", "<tool>", "</tool>"),
    *(r"\boxed{", "}", "{", "$", "=", r"\times", '{"answer":'),
)


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_pieces_of_formats_are_graded(text: str) -> None:
    seen = grade(text, "6")
    assert not seen.correct and seen.reason
    assert seen.tag.well_formed or seen.reason == "no answer"


@given(st.text(st.characters(), max_size=200))
def test_any_text_is_tagged(text: str) -> None:
    seen = tag(text)
    assert seen.format in (*FORMATS, NONE)
    assert tag(text) == seen
