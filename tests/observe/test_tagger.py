"""The tagger, over texts of every format, well and badly made, and over what looks like one."""

import json
from collections import Counter
from pathlib import Path

import pytest

from formatlab.observe.tagger import _PRECEDENCE, NONE, tag
from formatlab.world.formats import FORMATS

FENCED = "```python\ndef solve():\n    return 5\n```"

TAGS = {
    "program": [
        "def solve():\n    return 5",
        "\n def solve():\n    return 5\n",
        FENCED,
        f"Here is the code:\n{FENCED}\nIt returns 5.",
        f"{FENCED}\n```output\n5\n```",
        "import math\nfrom fractions import Fraction\n\n# halves\ndef f() -> int:\n    return 5",
        "def solve(:\n    return",
        "def solve():\n    return 5\n\nThe answer is 5.",
    ],
    "tool": [
        "<tool>2 + 3</tool>",
        "<tool>2 + 3",
        "I use the calculator: <tool>2 + 3</tool> and the answer is 5.",
        "<tool>a = 2\na + 3</tool>",
    ],
    "latex": [
        r"\boxed{5}",
        r"$2 + 3 = 5$, \boxed{5}",
        r"\[2 + 3 = 5\]",
        r"Two times three is $2 \times 3$.",
        r"The answer is \(5\).",
        "So $x = 5$.",
    ],
    "json": [
        '{"steps": ["2 + 3 = 5"], "answer": 5}',
        '{"steps": ["2 + 3',
        "{",
        '```json\n{"answer": 5}\n```',
        '```json\n{"answer": 5}\n```</s>',
    ],
    "direct": ["5", " 5 \n", "$5", "-5", "5 apples", "1,234.50 US dollars.", "50%", "3/4"],
    "prose": [
        "2 plus 3 is 5. The answer is 5.",
        "The answer is 5.",
        "Answer: 5",
        "She has 2 and gets 3, so she has five.",
        "2 + 3 = <<2+3=5>>5\n#### 5",
        # money is no mathematics
        "It costs $5 x 3 = $15 and $2 more, which is $15 + $2 = $17.\n#### 17",
        # words that contain or quote a keyword are words
        "The undefeated team has to define(5) its goal and import players in return.",
        "We define the total as 5. To return it, import nothing.",
        "A function such as def f(): return 5 could do it, but I count on my fingers.",
        "def is short for define, so the answer is 5.",
        "The set {1, 2} has two members: that is all.",
    ],
    "none": [
        "",
        " \n\t",
        "?",
        "+++ === ---",
        "to to to to to to to to to to to to",
        "\x00\x01",
        "if",
    ],
}


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in TAGS.items() for text in texts]
)
def test_texts_get_the_tag_of_their_structure(name: str, text: str) -> None:
    assert tag(text).format == name


def test_every_format_has_its_place_in_the_order() -> None:
    assert sorted(_PRECEDENCE) == sorted(FORMATS)
    assert NONE not in FORMATS


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("The answer is 5, so she has 5.", "5"),
        ("The answer is 5. No, the answer is 1,234.5.", "1,234.5"),
        ("**The answer is:** **$18**", "18"),
        ("The answer is -$18.", "-$18"),
        ("the ANSWER is \u22127", "\u22127"),
        ("Answer: 3/4 of it", "3/4"),
        ("2 + 3\nA: 5", "5"),
        ("2 + 3\n#### $5,000", "5,000"),
        ("The answer is 1,2345", "1,2345"),
        (r"\boxed{5}", "5"),
        (r"\boxed{4} no, \boxed {5}", "5"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed{5} \boxed{6", "5"),
        (r"} \boxed{5}", "5"),
        ('{"answer": 5}', "5"),
        ('{"work": [], "result": "5 pens"} and more', "5 pens"),
        ('{"result": 4, "answer": 5.0}', "5.0"),
        ('```json\n{"final_answer": 5}\n```</s>', "5"),
        ("$5 dollars", "5"),
        ("<tool>1+1</tool> <tool> 2+3\n</tool>", "2+3"),
        ("<tool>2+3</tool> <tool>1+1", "2+3"),
        ("<tool>2+3</tool></tool>", "2+3"),
        ("def f():\n    return 5", "def f():\n    return 5\nf()"),
        ("def f():\r\n    return 5\r\nf = f()\r\nprint(f)", "def f():\n    return 5\nf()"),
        ("A = 2\ndef f(): return A", None),
        ("def f(n=5): return n", "def f(n=5): return n\nf()"),
        ("def f(n=5, /, *, m=1): return n", "def f(n=5, /, *, m=1): return n\nf()"),
        (f"```\ndef g(): pass\n```\n{FENCED}\nDone.", "def solve():\n    return 5\nsolve()"),
    ],
)
def test_the_answer_is_found_where_the_format_puts_it(text: str, content: str | None) -> None:
    reading = tag(text).reading
    assert (reading.content if reading else None) == content


@pytest.mark.parametrize(
    "text",
    [
        "The answer is five.",
        r"$2 + 3 = 5$",
        r"\boxed{}",
        r"\boxed{5",
        '{"answer": 5',
        '{"answer": true}',
        '{"answer": null}',
        '{"answer": [5]}',
        '{"total": 5}',
        '{"answer": " "}',
        '{"answer": ' + "9" * 5000 + "}",
        '{"a": ' + "[" * 100_000,
        "<tool></tool>",
        "<tool> </tool>",
        "</tool><tool>",
        "def f(n): return n",
        "def f(n, /): return n",
        "def f(*, n): return n",
        "def f():\n    return 5\n  return 6",
        "def f():\n    return '\x00'",
        "def f():\n    return " + "(" * 5000,
        "def f():\n    return " + "-" * 20_000 + "1",
        "def f():\n    return " + "a." * 20_000 + "a",
        "def f():\n    return " + "9" * 10_000,
    ],
)
def test_badly_made_texts_keep_their_tag_and_have_no_answer(text: str) -> None:
    seen = tag(text)
    assert seen.format != NONE
    assert (seen.well_formed, seen.reading) == (False, None)


@pytest.mark.parametrize(
    ("text", "mixed"),
    [
        ("The answer is 5.", False),
        (r"$2 + 3 = 5$, \boxed{5}", False),
        (r"$2 + 3 = 5$, \boxed{5}. The answer is 5.", True),
        ("<tool>2 + 3</tool> So the answer is 5.", True),
        ("<tool>2 + 3</tool> so she has five apples", False),
        ("def f():\n    answer = 5\n    return answer", False),
    ],
)
def test_mixed_is_two_formats_with_an_answer_each(text: str, mixed: bool) -> None:
    assert tag(text).mixed is mixed


def test_a_pattern_that_runs_out_of_time_leaves_a_text_untagged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def late(text: str) -> bool:
        raise TimeoutError("regex timed out")

    for method in ("recognise", "read"):
        with monkeypatch.context() as patch:
            patch.setattr(FORMATS["prose"], method, late, raising=True)
            seen = tag("The answer is 5.")
        assert (seen.format, seen.reading, seen.mixed) == (NONE, None, False)


@pytest.mark.filterwarnings("error")
def test_dubious_escapes_of_a_model_warn_nobody() -> None:
    assert tag("def f():\n    '\\d'\n    return 5").well_formed


@pytest.mark.parametrize(
    ("label", "least"), [("prose", 0.98), ("latex", 1.0), ("program", 0.98), ("json", 0.95)]
)
def test_real_answers_get_the_tag_of_their_source(
    shared_data: Path, label: str, least: float
) -> None:
    rows = map(json.loads, (shared_data / "format_samples.jsonl").read_text().splitlines())
    tags = Counter(tag(row["text"]).format for row in rows if row["label"] == label)
    assert tags[label] >= least * tags.total() > 0
