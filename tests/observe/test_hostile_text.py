"""Texts made to break a tagger: each comes back with a grade, in time that grows with its length.

Patterns have no limit of time: one that backtracked without bound would hang here, and one that
takes the square of a text's length fails by the processor time of this thread.
"""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatlab.observe.grader import grade_or_raise
from formatlab.observe.tagger import NONE, Tag, tag_or_raise
from formatlab.world.formats import FORMATS, Page
from formatlab.world.formats.box import boxed
from formatlab.world.formats.conclusion import marked

LONG = 60_000

DEEP = {
    "objects": '{"a":' * 520 + "1" + "}" * 520,
    "answers": '{"answer":' * 520 + "6" + "}" * 520,
    "more answers": '{"answer":' * 60_000 + "6" + "}" * 60_000,
    "lists": '{"answer":' + "[" * 520 + "6" + "]" * 520 + "}",
    "lists and objects": '{"answer":[' * 300 + "6" + "]}" * 300,
    "dictionary": "{'answer':" * 300 + "6" + "}" * 300,
    "many objects": '{"a":{"b":{"c":1}}}' * 5_000,
    "code": "def f():\n    return " + "(" * 520 + "6" + ")" * 520,
    "branches": "".join(
        f"{'if' if i == 0 else 'elif'} x == {i}:\n    y = {i}\n" for i in range(3000)
    ),
    "sum": "x = " + "1 + " * 3000 + "1",
    "calls": "x = " + "abs(" * 150 + "6" + ")" * 150,
    "boxes": r"\boxed{" * 3000 + "6" + "}" * 3000,
    "tags": "<step>\n" * 3000 + "6" + "</step>\n" * 3000,
    "answers in tags": "<answer>" * 3000 + "6" + "</answer>" * 3000,
    "fractions": r"\boxed{" + r"\frac{1}{" * 90 + "x" + "}" * 90 + "}",
}

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
    "opening tags": "<think>" * (LONG // 7),
    "closing tags": "</think>" * (LONG // 8),
    "answers in tags": "<answer>5" * (LONG // 9),
    "closed answers in tags": "<answer>5</answer>" * (LONG // 18),
    "different answers": "".join(f"<answer>{i}</answer>" for i in range(LONG // 20)),
    "tags in tags": "<a1><b2>" * (LONG // 8),
    "tag without end": "<think " + "a" * LONG,
    "angles": "<" * LONG,
    "angles, names": "<ab" * (LONG // 3),
    "many names": "".join(f"<tag{i}>" for i in range(LONG // 9)),
    "many names, closed": "".join(f"<tag{i}>\n</tag{i}>\n" for i in range(LONG // 20)),
    "square tags": "[CODE]" * (LONG // 6),
    "square names": "[" + "A" * LONG,
    "listings": r"\begin{verbatim}" * (LONG // 16),
    "waves": "~~~" * (LONG // 3),
    "spans of code": "```a```" * (LONG // 7),
    "end marks": "</s>" * (LONG // 4),
    "end marks, spaces": " </s>" * (LONG // 5),
    "assignments": "x = 1\n" * (LONG // 6),
    "assignments, words": "x = a b c\n" * (LONG // 10),
    "one assignment": "x = " + "a " * (LONG // 2),
    "names": "a, " * (LONG // 3) + "= 1",
    "attributes of names": "a" + ".b" * (LONG // 2) + " =",
    "indices": "a" + "[1]" * (LONG // 3) + " =",
    "calls": "f(" * (LONG // 2),
    "equation signs in code": "x " + "= " * (LONG // 2),
    "headings": "for x in " * (LONG // 9),
    "conditions": "if " * (LONG // 3) + ":",
    "brackets": ")]}" * (LONG // 3),
    "unfinished definitions": "Words.\n" + "def f(" * (LONG // 6),
    "definitions in words": "Words.\ndef f():\n" * (LONG // 15),
    "definition, closing": "Words.\ndef f(" + ")" * LONG,
    "definition, colons": "Words.\ndef f()" + "):" * (LONG // 2),
    "special tokens": "<|code|>" * (LONG // 8),
    "channels": "<|channel|>final<|message|>5" * (LONG // 28),
    "tokens without end": "<|" + "a" * LONG,
    "answers in words": "respuesta " * (LONG // 10),
    "answer, empty lines": "Answer:" + "\n" * LONG + "5",
    "answers, empty lines": "Answer:\n" * (LONG // 8),
    "equals": "The answer is 5" + " = 5" * (LONG // 4),
    "bold": "**5** " * (LONG // 6) + ".",
    "quantities": "5 apples and " * (LONG // 13),
    "lines of return": "    x = 1\n" * (LONG // 10) + "    return 5",
    "definitions, broken": "def f():\n    return (\n" * (LONG // 23),
    "definition, arguments": "Words.\ndef f(" + "a, " * (LONG // 3),
    "definition, blank lines": "Words.\ndef f():" + "\n \n" * (LONG // 3),
    "statements": "The answer is = " * (LONG // 16),
    "statements, words": "The answer is that " * (LONG // 19),
    "answers in brackets": "answer (" * (LONG // 8),
    "several answers": "The answer is 1" + ", 1" * (LONG // 3),
    "formulas": "The answer is $x" * (LONG // 16),
    "conclusions": "So " * (LONG // 3) + ".",
    "questions": "\nQuestion: " * (LONG // 11),
    "hashed question": "\n" + "#" * LONG + "Question",
    "keys, answers": '"answer": ' * (LONG // 10),
    "broken objects": '{"answer": "5", ' * (LONG // 16),
    "lines of objects": '{"a": 1}\n' * (LONG // 9) + '"answer": 1',
    "escapes": '{"a": "' + "\\x" * (LONG // 2),
    "braces of a set": "{" + "'a', " * (LONG // 5) + "}",
    "vowels": "aeiou " * (LONG // 6),
    "bars": "<|" * (LONG // 2),
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
    "deep object": '{"a": ' * 520 + "1" + "}" * 520,
    "deep answer": '{"answer": ' * 520 + "1" + "}" * 520,
    "deep answer of nothing": '{"answer": ' * 90 + "null" + "}" * 90,
    "deep answer under other keys": '{"answer": ' + '{"a": ' * 90 + "null" + "}" * 91,
    "deep list": '{"answer": ' + "[" * 20_000 + "]" * 20_000 + "}",
    "deep dictionary": "{'answer': " * 520 + "1" + "}" * 520,
    "deep object in tags": "<answer>" + '{"answer": ' * 5000 + "1" + "}" * 5000 + "</answer>",
    "deep call": '<tool_call>{"name": "python", "arguments": ' + '{"a": ' * 5000 + "}" * 5000,
    "deep call of Mistral": "[TOOL_CALLS]" + '[{"a": ' * 5000 + "1" + "}]" * 5000,
    "deep code": "x = " + "[" * 5000 + "]" * 5000 + "\nprint(x)",
    "deep blocks": "\n".join(" " * i + "if x:" for i in range(300)),
    "deep choices": "if x:\n    y = 1\n" + "elif x:\n    y = 1\n" * 3000,
    "surrogates": '{"answer": "\\ud800", "\\udfff": 6}',
    "NUL in code": "print(6)\x00\nx = 1",
    "NUL in a block": "```python\nx = 1\x00\n```",
    "digits in an object": '{"answer": ' + "6" * 5000,
    "digits in a call": '<tool_call>{"arguments": {"code": ' + "6" * 5000 + "}}</tool_call>",
    "digits in code": "print(" + "6" * 5000 + ")",
    "exponent": r"\boxed{1e999999999} \boxed{2e999999999}",
    "turns": "a<|im_end|>\n<|im_start|>tool\n" * (LONG // 29),
    "turns of tools": "</s>[TOOL_RESULTS]" * (LONG // 18),
    "turns in tags": "<|im_end|>\n<|im_start|>user\n<tool_response>" * (LONG // 43),
    "ends, blank": "a" + "</s> " * (LONG // 5) + "b",
    "struck out": "a" + "<s></s>" * (LONG // 7) + "b",
    "questions behind an answer": "```" + "\nQuestion: " * (LONG // 11),
    "questions in braces": "answer is 4" + "{\nQuestion: " * (LONG // 12),
    "HTML comments": "<!--" * (LONG // 4),
    "C comments": "/* answer " * (LONG // 10),
    "LaTeX comments": "\n% a" * (LONG // 4) + " answer",
    "calls of Mistral": "[TOOL_CALLS]" * (LONG // 12),
    "named calls of Mistral": "[TOOL_CALLS]a[ARGS]" * (LONG // 19),
    "lists of Mistral": "[TOOL_CALLS][" * (LONG // 13),
    "parameters": "<tool_call><parameter=a>" + "<parameter=a>" * (LONG // 13) + "</tool_call>",
    "ReAct": "Thought: a\nAction: b\n" * (LONG // 21),
    "ReAct, brackets": "Action: a[" * (LONG // 10) + "\nObservation: 1",
    "ReAct, labels": "Action: a\n```\n" * (LONG // 14) + "Thought:",
    "ReAct, spaces": "Action" + " " * LONG + "Action: a",
    "code in many tags": "".join(f"<code{i}>\n" for i in range(LONG // 10)),
    "open tags of many names": "".join(f"<step{i}x>\n5" for i in range(LONG // 12)),
    "sums in lines": "n = 2k\n" * (LONG // 7) + "The answer is 4",
    "object, text": '{"answer": "' + "1" * LONG + '"}',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_texts_are_graded(text: str) -> None:
    seen = grade_or_raise(text, "5")
    assert not seen.correct and seen.reason
    assert seen.tag.format in (*FORMATS, NONE)


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP.keys())
def test_what_lies_deep_within_itself_is_graded(text: str) -> None:
    for gold in ("5", r"\frac{x}{y}"):
        seen = grade_or_raise(text, gold)
        assert not seen.correct and seen.reason


def deeper(frames: int, text: str) -> Tag:
    """The tag of a text, with so many calls of the caller's beneath."""
    return deeper(frames - 1, text) if frames else tag_or_raise(text)


@pytest.mark.parametrize("name", DEEP)
def test_the_caller_s_own_depth_changes_nothing(name: str) -> None:
    assert deeper(500, DEEP[name]) == tag_or_raise(DEEP[name])


def seconds(text: str) -> float:
    """Processor time of this thread in which every format recognises and reads a text anew."""
    boxed.cache_clear()
    marked.cache_clear()
    start = time.thread_time()
    page = Page(text)
    for form in FORMATS.values():
        form.recognise(page)
        form.read(page)
    return time.thread_time() - start


@pytest.mark.parametrize("name", HOSTILE)
def test_four_times_the_text_takes_about_four_times_as_long(name: str) -> None:
    text = HOSTILE[name][-LONG // 2 :]
    part = text[: len(text) // 8] + text[-len(text) // 8 :]  # the same beginning and end
    times = []
    for _ in range(3):  # a busy machine makes the same work take longer, now and then
        times.append((seconds(part), seconds(text)))
        if times[-1][1] < 8 * times[-1][0] + 0.01:
            return
    pytest.fail(f"a quarter and the whole take, in seconds of processor time: {times}")


PIECES = (
    *("answer is", "####", "5", ",", ".", " ", "*", "<<", ">>", "\n", "é"),
    *("```", "```python\n", "def f():", "    return 5", "<tool>", "</tool>"),
    *(r"\boxed{", "}", "{", "$", "=", r"\times", '{"answer":'),
    *("<think>", "</think>", "<answer>", "</answer>", "<tool_call>", "[TOOL_CALLS]"),
    *("[TOOL_RESULTS]", "<|im_end|>", "<|im_start|>", "user\n", "assistant\n", "</s>", "[INST]"),
    *("\nQuestion:", "\nThought:", "\nAction:", "\nObservation:", "Finish[", "]", "<!--", "-->"),
    *('"""', "#", "[", "]", "(", ")", "\x00", "\ud800", "9" * 5000, "1e999999999"),
)


@given(st.lists(st.sampled_from(PIECES), max_size=16).map("".join))
def test_any_pieces_of_formats_are_graded(text: str) -> None:
    seen = grade_or_raise(text, "6")
    assert not seen.correct and seen.reason
    assert seen.tag.well_formed or seen.reason == seen.tag.missing


@given(st.lists(st.sampled_from(PIECES), max_size=4).map("".join), st.integers(1, 2000))
def test_any_pieces_over_and_over_are_tagged(text: str, times: int) -> None:
    assert tag_or_raise((text * times)[:LONG]).format in (*FORMATS, NONE)


@given(
    st.recursive(
        st.integers() | st.text(max_size=5) | st.none() | st.booleans() | st.floats(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    ),
    st.sampled_from(("answer", "result", "a", "code")),
    st.sampled_from((1, 50, 120, 700)),
    st.sampled_from(("{}", "<tool_call>{}</tool_call>", "[TOOL_CALLS]{}", "```json\n{}\n```")),
)
def test_any_object_at_any_depth_is_tagged(value: object, key: str, depth: int, form: str) -> None:
    inner = json.dumps(value)
    text = f'{{"{key}": ' * depth + inner + "}" * depth
    seen = tag_or_raise(form.replace("{}", text))
    assert seen.format in (*FORMATS, NONE)
    assert depth < 100 or not seen.well_formed


@given(st.text(st.characters(), max_size=200))
def test_any_text_is_tagged(text: str) -> None:
    seen = tag_or_raise(text)
    assert seen.format in (*FORMATS, NONE)
    assert tag_or_raise(text) == seen
