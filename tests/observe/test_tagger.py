"""The tagger, over texts of every format, well and badly made, and over what looks like one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formatlab.errors import InputError
from formatlab.observe.tagger import _PRECEDENCE, NONE, Tag, tag
from formatlab.world.formats import FORMATS, Format, Missing, Page, Reading
from formatlab.world.formats.limits import LONGEST

FENCED = "```python\ndef solve():\n    return 5\n```"
RUN = "```python\nx = 2 + 3\nprint(x)\n```"

TAGS = {
    "program": [
        "def solve():\n    return 5",
        "\n def solve():\n    return 5\n",
        FENCED,
        "```python\ndef solve():\n    return 5",
        f"Here is the code:\n{FENCED}\nIt returns the number of apples that are left.",
        f"**Reasoning:**\nShe has 2 + 3 = 5.\n\n**Solution:**\n{FENCED}",
        "import math\nfrom fractions import Fraction\n\n# halves\ndef f() -> int:\n    return 5",
        "import math\nx = 5\n\ndef f():\n    return x\n\nprint(f())",
        "def solve(:\n    return",
        "def solve():\n    return 5\n\nThe answer is 5.",
        "Here is the solution:\n\ndef solve():\n    return 5",
        '### User:\nHow many?\n\ndef solve():\n"""\nHow many?\n"""\nx = 5\nreturn x',
        "class Solution:\n    def solve(self):\n        return 5",
        '    """How many?"""\n    x = 2\n    return x + 3',
        "```javascript\nfunction solve() { return 5; }\n```",
        "```cpp\n#include <iostream>\nint main() {\n  std::cout << 5;\n}\n```",
    ],
    "script": [
        "a = 2 + 3\nans = a",
        "print(2 + 3)",
        "# apples\napples = 2\napples += 3\nprint(apples)",
        RUN,
        f"Here is the code:\n{RUN}",
        "from sympy import symbols, solve\nx = symbols('x')\nprint(solve(x - 5))",
        "for i in range(5):\n    n = i\nprint(n)",
        "a = 2\nb = (3 +\nprint(a",
        "if True:\n    x = 5\nprint(x)",
        "python\nx = 5\nprint(x)",
        "eggs = 16; left = eggs - 11; print(left)",
        "let x = 5;\nconsole.log(x);",
        ">>> 2 + 3\n5",
        "a = 2\nb = (3 +",
        "a = 2\nprint(a + 3)\nThe answer is 5.",
        "# The answer is 5\npass",
    ],
    "code_fenced": [
        f"{RUN}\n```output\n5\n```\nShe has $\\boxed{{5}}$ apples.",
        f"Let us compute.\n{RUN}\nThe answer is 5.",
        f"{FENCED}\n```output\n5\n```",
        f"{FENCED}\nOutput: 5\n\nTherefore the answer is \\boxed{{5}}.",
        f"{RUN}\nThis gives what we were looking for.",
        "```tool_code\nprint(2 + 3)\n```\n```tool_output\n5\n```\nFive apples.",
        "~~~python\nx = 5\nprint(x)\n~~~\nSo the answer is 5.",
        "Code: [PYTHON]\nx = 5\nprint(x)\n[/PYTHON]\n[OUTPUT]\n5\n[/OUTPUT]\nThe answer is 5.",
    ],
    "code_tags": [
        "We add.\n<llm-code>\n2 + 3\n</llm-code>\n<llm-code-output>\n5\n</llm-code-output>\n"
        "Thus \\boxed{5}.",
        "<llm-code>\n2 + 3\n</llm-code>",
        "<llm-code>\n2 +",
        "<code>\nx = 5\nprint(x)\n</code>",
        "I ask Python: <python>2 + 3</python> The answer is 5.",
        "<|python_tag|>x = 5\nprint(x)",
        "<|assistant|><|code|>x = 2\nx + 3<|endofblock|><|execution|>5<|endofblock|>"
        "<|text|>It is 5.<|endofblock|>",
        "<code>2 + 3</code>\n<output>5</output>\nThe answer is 5.",
        "<thought> I add. </thought>\n<llm-code>\n2 + 3\n</llm-code>\n<solution> 5 </solution>",
    ],
    "tool_tags": [
        "<tool>2 + 3</tool>",
        "<tool>2 + 3",
        "I use the calculator: <tool>2 + 3</tool> and the answer is 5.",
        "<tool>a = 2\na + 3</tool>",
        "<thought> I add. </thought>\n<execute>\nprint(2 + 3)\n</execute>",
        "<thought> I add. <execute>\nprint(2 + 3)",
        "<think>2 and 3</think>\nThe answer is \\boxed{5}.",
        "2 and 3, I think.\n</think>\nThe answer is 5.",
        "<think>2 and 3</think> <answer> 5 </answer>",
        "<think>2 and",
        '<tool_call>\n{"name": "add", "arguments": {"answer": 1}}\n</tool_call>',
        '[TOOL_CALLS] [{"name": "add", "arguments": {}}]',
        "[THINK]2 and 3[/THINK]The answer is 5.",
        "<|begin_of_thought|>\n2 and 3\n<|end_of_thought|>\nThe answer is 5.",
        "◁think▷2 and 3◁/think▷The answer is 5.",
        "<solution><step>2 + 3</step><answer>5</answer></solution>",
        "<|channel|>analysis<|message|>2 + 3<|end|><|channel|>final<|message|>5<|return|>",
        '<think>2 and 3</think>\n{"answer": 5}',
        "<search>apples</search>\n<information>5</information>\nThe answer is 5.",
        "Thought: add\nAction: Calculator[2+3]\nObservation: 5\nFinal Answer: 5",
        "Thought: add\nAction: calculator\nAction Input: 2+3\nObservation: 5\nIt is 5.",
        "**Thought 1:** add\n**Action 1:** Finish[5]",
        '[TOOL_CALLS]add[ARGS]{"a": 2}</s>[TOOL_RESULTS]5[/TOOL_RESULTS]The answer is 5.</s>',
    ],
    "json": [
        '{"steps": ["2 + 3 = 5"], "answer": 5}',
        '{"steps": ["2 + 3',
        "{",
        '```json\n{"answer": 5}\n```',
        '```json\n{"answer": 5}\n```</s></s>',
        'Sure! Here it is:\n{"steps": "2 + 3", "answer": 5}',
        'Sure:\n```json\n{\n  "answer": "5"\n}\n```\nI hope this helps.',
        "{'steps': '2 + 3', 'answer': 5}",
        '{"code": "def f(): return 5", "answer": 5}',
        '[{"step": "2 + 3"}, {"answer": 5}]',
        'The result is {"answer": 5}.',
        '## Reasoning\n\n{\n    "reasoning": "2 + 3",\n    "answer": "5"\n}',
    ],
    "latex": [
        r"\boxed{5}",
        r"$2 + 3 = 5$, \boxed{5}",
        r"\[2 + 3 = 5\]",
        r"Two times three is $2 \times 3$.",
        "So $x = 5$.",
        "x = \\boxed{6}\n\n### Final answer\n\\boxed{6}",
        "a = 3\nb = 5\nx = a + b\n\\boxed{8}",
        "## Step 1\nWe have $2 + 3$.\n\nThe final answer is: $\\boxed{5}$",
        "\\begin{align*} x &= 2 \\\\ y &= \\boxed{5} \\end{align*}",
    ],
    "prose": [
        "2 plus 3 is 5. The answer is 5.",
        "The answer is 5.",
        "Answer: 5",
        "A: 5",
        "She has 2 and gets 3, so she has five.",
        "2 + 3 = <<2+3=5>>5\n#### 5",
        "A = <<2=2>>2 floors\nB = 2 + 3 = <<2+3=5>>5 floors\n#### 5",
        "2 + 3 = 5\n5 x 2 = 10",
        "A = 2\nB = 3\nC = A + B\nAnswer: 5",
        "a = 2\nb = 3\na + b = 5\n#### 5",
        "Ans: 5",
        "### Answer\n5",
        "She makes $5.",
        "答案：5",
        "Ответ: 5",
        "Sie hat 2 und bekommt 3. Die Antwort ist 5.",
        "The variable <code>x</code> means apples. The answer is 5.",
        "Final Answer: The final answer is $5$. I hope it is correct.",
        "#### Step 1: add\n2 + 3 = 5\n#### Step 2: say it\nTherefore, she has **5**.",
        # money is no mathematics
        "It costs $5 x 3 = $15 and $2 more, which is $15 + $2 = $17.\n#### 17",
        "A student wrote\n```python\ndef f():\n    return 3\n```\nThis is wrong. The answer is 5.",
        "A common wrong way:\n```python\nprint(3)\n```\nInstead, 2 + 3 = 5. The answer is 5.",
        # lines of sums are code only where something in them can be nothing else
        "n = 2k\nk = 4\nn = 8\nThe answer is 8.",
        "x = 5 apples\ny = 3 pears\nSo there are 8 pieces of fruit.",
        "n = 8\nk = 4\nSo there are 12.",
        "a = 3\nb = 5\nc = a + b\nThe answer is 8.",
        "Thought: two and three are five.\nThe answer is 5.",
        # a fence around words holds words
        "```\nThe answer is 5.\n```",
    ],
    "direct": [
        *(
            "5",
            " 5 \n",
            " \n\n5",
            "\ufeff5",
            "$5",
            "-5",
            "5 apples",
            "1,234.50 US dollars.",
            "50%",
            "3/4",
            "1 1/2 cups",
        ),
        *("**5**", "$5$", r"\$5", "x = 5", r"\(5\)", "5 €", "USD 5", "5 km/h", "5 cm^2", "about 5"),
        *("(B)", "D.", "Yes", "B) 5 apples", "3:45 PM", "5 hours and 30 minutes"),
    ],
    "none": [
        "",
        " \n\t",
        "?",
        "...",
        "+++ === ---",
        "to to to to to to to to to to to to",
        "\x00\x01",
        "if",
        "D \ufffd<\ufffdk0 \ufffdu4\ufffd n\ufffd eq\ufffdw vp \ufffd3_\ufffd=a X,",
        '9L,:ivWk8_-uQE`_"InSD"49Ih1KV;Bv,PfLwd^d>(|%*155d;BJl`@OKK.E',
        "asdkj qwlkjz xmcnb wqplk lskdjf qpwrt zmxncb",
    ],
}


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in TAGS.items() for text in texts]
)
def test_texts_get_the_tag_of_their_structure(name: str, text: str) -> None:
    assert tag(text).format == name


@given(
    st.sampled_from([text for texts in TAGS.values() for text in texts]),
    st.text(" \t\n\r\u00a0\u2028", max_size=8),
)
def test_whitespace_at_the_end_changes_nothing(text: str, space: str) -> None:
    assert tag(text + space) == tag(text)


def test_every_format_has_its_place_in_the_order() -> None:
    assert sorted(_PRECEDENCE) == sorted(FORMATS)
    assert NONE not in FORMATS


@pytest.mark.parametrize(
    ("text", "formats"),
    [
        ("The answer is 5.", ()),
        (r"$2 + 3 = 5$, \boxed{5}", ()),
        (r"The answer is $\boxed{5}$.", ()),
        (r"$2 + 3 = 5$, \boxed{5}. The answer is 5.", ("latex", "prose")),
        ("def f():\n    return 5\n\n\\boxed{999}", ("program", "latex")),
        (f"The answer is 5.\n{FENCED}", ("program", "prose")),
        ('{"answer": 5}\nThe answer is 6.', ("json", "prose")),
        ("<think>4</think> <answer>5</answer> The answer is 6.", ("tool_tags", "prose")),
        ("<tool>2 + 3</tool> So the answer is 5.", ()),
        (f"{FENCED}\n\\boxed{{6}}", ("code_fenced", "program")),
        ("<think>2 and 3</think> The answer is \\boxed{5}.", ()),
        ('{"reason": "The answer is 4.", "answer": 5}', ()),
        ("def f():\n    return 4\nThe result is 5.", ("program", "prose")),
        ("**5**", ()),
        ("<tool>2 + 3</tool> so she has five apples", ()),
        (f"{RUN}\n```output\n5\n```\n$\\boxed{{5}}$", ()),
        ("def f():\n    answer = 5\n    return answer", ()),
    ],
)
def test_mixed_is_two_formats_with_an_answer_each(text: str, formats: tuple[str, ...]) -> None:
    seen = tag(text)
    assert (seen.mixed_formats, seen.mixed) == (formats, bool(formats))


@pytest.mark.parametrize(
    ("text", "truncated"),
    [
        ("The answer is 5.", False),
        ("The answer is 5", False),
        ("She has 2 and gets", True),
        (f"{FENCED}", False),
        ("```python\ndef solve():\n    return 5", False),  # stopped at the closing fence
        ("```python\ndef solve():\n    x = 5", True),
        ("```python\ndef solve():\n    return (5", True),
        ("```python\nx = 5\nx", False),
        ("```python\nx = 5\ny", True),
        ("```python\nprint(5)\n```\n```output\n5", True),
        ('```json\n{"answer": 5}', False),
        ('```json\n{"steps": ["2 + 3"', True),
        ("def solve():\n    x = (2 +", True),
        ("def solve(:\n    return 5", False),
        ('{"steps": ["2 + 3', True),
        ('{"steps": ["2 + 3"]}', False),
        ("<think>2 and", True),
        ("<think>2 and 3</think> <answer>5", False),  # stopped at the closing tag
        ("<think>2 and 3</think> <answer>5,", True),
        ("<think>2 and 3</think> <answer>The answer is", True),
        ("<think>2 and 3</think> <answer>She has five apples of the", True),
        ("<think>2 and 3</think> <answer>\\frac{1}", True),
        ("<think>2 and 3</think> <answer>(2, 3", True),
        ("<think>So the answer is \\boxed{5}.", True),
        ("[THINK]So the answer is 5.", True),
        ("<|begin_of_thought|>So the answer is 5.", True),
        ("<|channel|>analysis<|message|>So the answer is 5.", True),
        ("<think>2 and 3\n<answer>5</answer>", False),
        ('<tool_call>\n{"name": "add", "arguments": {"a": 2}}', False),
        ('<tool_call>\n{"name": "add", "argu', True),
        ("<execute>\nprint(5)", False),
        ("<execute>\nx = 2 +", True),
        ("<think>2 and 3</think> <answer>5</answer>", False),
        (r"We have $2 + 3 = 5$ and \boxed{5", True),
        ("<|python_tag|>print(5)", False),  # its end is a token that decoding drops
        ("def f():\n    return 5\n```", False),
    ],
)
def test_truncated_is_ending_inside_something_opened(text: str, truncated: bool) -> None:
    assert tag(text).truncated is truncated


class Shout(Format):
    """`IT IS 5!`."""

    name = "shout"

    def recognise(self, page: Page) -> bool:
        return page.text.startswith("IT IS")

    def read(self, page: Page) -> Reading | Missing:
        return Reading(content=page.text[5:].strip(" !")) if "!" in page.text else "malformed"


def test_formats_of_ones_own_come_first() -> None:
    assert tag("IT IS 5! The answer is 5.").format == "prose"
    seen = tag("IT IS 5!", formats=(Shout(),))
    assert (seen.format, seen.reading) == ("shout", Reading(content="5"))
    assert tag("The answer is 5.", formats=(Shout(),)).format == "prose"
    assert tag("IT IS 5", formats=(Shout(),)).missing == "malformed"


def test_a_pattern_that_runs_out_of_time_leaves_a_text_untagged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def late(page: Page) -> bool:
        raise TimeoutError("regex timed out")

    for method in ("recognise", "read"):
        with monkeypatch.context() as patch:
            patch.setattr(FORMATS["prose"], method, late, raising=True)
            seen = tag("The answer is 5.")
        assert (seen.format, seen.reading, seen.mixed) == (NONE, None, False)
        assert seen.missing == "time"


def test_a_text_that_is_too_long_is_not_read() -> None:
    words = " ".join(f"word{number}" for number in range(LONGEST // 5))[:LONGEST]
    end = ". The answer is 5."
    assert tag(words[: -len(end)] + end).well_formed
    assert tag(words + end) == Tag(format=NONE, missing="time")


@pytest.mark.filterwarnings("error")
def test_dubious_escapes_of_a_model_warn_nobody() -> None:
    assert tag("def f():\n    '\\d'\n    return 5").well_formed
    assert tag("{'a': '\\d', 'answer': 5}").well_formed


@pytest.mark.parametrize(
    ("text", "formats", "message"),
    [
        (None, (), "a completion is text, not NoneType"),
        ([{"role": "assistant", "content": "5"}], (), "a completion is text, not list"),
        ("5", Shout(), "give a list of instances of Format"),
        ("5", [Shout], "give a list of instances of Format"),
        ("5", "formats.toml", "give a list of instances of Format"),
    ],
)
def test_what_is_no_text_and_no_format_is_refused(text: Any, formats: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tag(text, formats=formats)


def test_a_format_that_reads_something_else_is_named() -> None:
    class Wrong(Shout):
        def read(self, page: Page) -> Any:
            return 5

    with pytest.raises(InputError, match="format 'shout': read gave 5"):
        tag("IT IS 5!", formats=[Wrong()])
