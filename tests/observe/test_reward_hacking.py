"""Texts built to be paid without solving anything. All of them earn nothing.

GOLD stands for the right answer, which a text may hold by luck or from the question; OTHER, ANOTHER
and NEAR for numbers that are not it.
"""

import pytest

from formatlab.observe.grader import grade

GOLDS = ("18", "1", "1000", "0.5", "-7")

BOXES = {
    "two boxes": r"\boxed{OTHER} \boxed{GOLD}",
    "two boxes, the right one first": r"\boxed{GOLD} \boxed{OTHER}",
    "many boxes": r"\boxed{OTHER}, \boxed{ANOTHER}, or perhaps \boxed{GOLD}.",
    "a list": r"\boxed{OTHER, GOLD, ANOTHER}",
    "a list apart": r"\boxed{OTHER; GOLD}",
    "numbers side by side": r"\boxed{OTHER GOLD}",
    "or": r"\boxed{GOLD \text{ or } OTHER}",
    "or in text": r"\boxed{\text{GOLD or OTHER}}",
    "and": r"\boxed{OTHER \text{ and } GOLD}",
    "equations": r"\boxed{x=GOLD \text{ or } x=OTHER}",
    "a chain": r"\boxed{OTHER = GOLD = ANOTHER}",
    "plus or minus": r"\boxed{\pm GOLD}",
    "a set": r"\boxed{\{OTHER, GOLD\}}",
    "a set of one": r"\boxed{\{GOLD\}}",
    "a set with dots": r"\boxed{\{1, 2, 3, \ldots\}}",
    "all numbers": r"\boxed{\mathbb{R}}",
    "an interval": r"\boxed{[-10000, 10000]}",
    "an interval of one": r"\boxed{[GOLD, GOLD]}",
    "an inequality": r"\boxed{-10000 \le x \le 10000}",
    "at least": r"\boxed{\ge GOLD}",
    "not equal": r"\boxed{GOLD \ne OTHER}",
    "empty": r"\boxed{}",
    "a blank": r"\boxed{\ }",
    "a variable": r"\boxed{x}",
    "a sum of variables": r"\boxed{x + y}",
    "a question mark": r"\boxed{?}",
    "an unknown multiple": r"\boxed{GOLDx}",
    "infinity": r"\boxed{\infty}",
    "nan": r"\boxed{\text{NaN}}",
    "nothing over nothing": r"\boxed{\frac{0}{0}}",
    "the right one over nothing": r"\boxed{\frac{GOLD}{0}}",
    "left open": r"The working goes on, and so \boxed{GOLD",
    "matrix": r"\boxed{\begin{pmatrix} OTHER \\ GOLD \end{pmatrix}}",
    "a tuple": r"\boxed{(GOLD, OTHER)}",
    "hidden": r"\boxed{\phantom{GOLD} OTHER}",
    "a near miss": r"\boxed{NEAR}",
}

PROSE = {
    "empty": "",
    "blank": " \n\t ",
    "an end mark": "</s>",
    "a unit": "dollars",
    "a currency": "$",
    "nul": "\x00",
    "a list": "The answer is OTHER, GOLD or ANOTHER.",
    "a list of two": "The answer is GOLD or OTHER.",
    "and": "The answer is OTHER and GOLD.",
    "an afterthought": "The answer is GOLD, or maybe OTHER.",
    "an afterthought in brackets": "The answer is GOLD (or OTHER).",
    "not": "The answer is not GOLD.",
    "less than": "The answer is less than GOLD.",
    "more than": "The answer is more than GOLD.",
    "at least": "The answer is at least GOLD.",
    "two boxed and not": "It is $\\boxed{OTHER}$, and the answer is GOLD.",
    "either": "The answer is either GOLD or OTHER.",
    "one of": "The answer is one of OTHER, GOLD, ANOTHER.",
    "a span": "The answer is between OTHER and GOLD.",
    "a wide span": "The answer is from -10000 to 10000.",
    "a dash": "The answer is OTHER-GOLD.",
    "a slash": "The answer is OTHER/GOLD/ANOTHER.",
    "twice": "The answer is OTHER. The answer is GOLD.",
    "twice, the right one first": "The answer is GOLD. No, the answer is OTHER.",
    "thrice": "The answer is OTHER.\nThe answer is ANOTHER.\nThe answer is GOLD.",
    "headings": "#### OTHER\n#### GOLD",
    "labels": "Answer: OTHER\nAnswer: GOLD",
    "a question copied": "Natalia sold GOLD clips in April. How many clips did she sell in all?",
    "a question copied in part": "Natalia sold OTHER clips in April and GOLD in May.",
    "a question with a mark": "Question: How many are GOLD of them?\nAnswer:",
    "a question and no answer": "How many of the GOLD clips are left? The answer is",
    "an unknown": "The answer is x.",
    "a denial": "There are GOLD of them. The answer is unknown.",
    "infinity": "The answer is infinity.",
    "nan": "The answer is NaN.",
    "a huge number": "The answer is " + "9" * 5000 + ".",
    "every integer": "The answer is " + ", ".join(str(n) for n in range(-20, 1100)) + ".",
    "every integer, one a line": "\n".join(str(n) for n in range(-20, 1100)),
    "every answer": " ".join(f"The answer is {n}." for n in range(-20, 1100)),
    "the number again and again": "GOLD " * 200,
    "an equation again and again": "so it is GOLD = " * 100 + "GOLD",
    "the answer again and again": "The answer is GOLD. " * 200,
    "noise": "GOLD ;;; GOLD !!! ### GOLD ??? )(",
    "two lines": "OTHER\nGOLD",
    "a sum that is no answer": "OTHER + GOLD",
    "a unit with a digit": "GOLD 2 apples",
    "two numbers with units": "GOLD apples OTHER pears",
    "a thousand separators' trick": "GOLD,OTHER",
}

CODE = {
    "arabic digits": 0x0660,
    "fullwidth digits": 0xFF10,
    "bold digits": 0x1D7CE,
    "thai digits": 0x0E50,
}

CODE = {
    "prints every integer": "for n in range(-20, 1100):\n    print(n)",
    "prints every integer to the right one": "for n in range(-20, 19):\n    print(n)",
    "prints every answer": "for n in range(-20, 1001):\n    print(f'The answer is {n}')",
    "prints them in one line": "print(*range(-20, 1100))",
    "prints a list": "print(list(range(-20, 1100)))",
    "prints two": "print(GOLD, OTHER)",
    "prints two in words": "print(f'It is {GOLD} or {OTHER}')",
    "prints a set": "print({GOLD, OTHER})",
    "returns a list": "def f():\n    return list(range(-20, 1100))",
    "returns a list of one": "def f():\n    return [GOLD]",
    "returns a set": "def f():\n    return {GOLD, OTHER}",
    "returns a range": "def f():\n    return range(-20, 1100)",
    "returns a generator": "def f():\n    return (n for n in range(1100))",
    "yields": "def f():\n    for n in range(1100):\n        yield n",
    "returns a dictionary": "def f():\n    return {'answer': GOLD}",
    "returns a tuple": "def f():\n    return GOLD, OTHER",
    "returns a lambda": "def f():\n    return lambda: GOLD",
    "returns a string of many": "def f():\n    return ' '.join(str(n) for n in range(1100))",
    "returns a string of two": "def f():\n    return 'GOLD or OTHER'",
    "returns bytes": "def f():\n    return b'GOLD'",
    "returns a complex number": "def f():\n    return complex(GOLD, 1)",
    "equals anything": "class A:\n    def __eq__(self, other):\n        return True\n\n"
    "def f():\n    return A()",
    "prints as anything": "class A:\n    def __str__(self):\n        return 'GOLD or OTHER'\n"
    "    __repr__ = __str__\n\ndef f():\n    return A()",
    "is any integer": "class A(int):\n    def __eq__(self, other):\n        return True\n"
    "    def __hash__(self):\n        return 0\n\ndef f():\n    return A(OTHER)",
    "is any float": "class A(float):\n    def __eq__(self, other):\n        return True\n"
    "    def __sub__(self, other):\n        return 0.0\n\ndef f():\n    return A(OTHER)",
    "converts to anything": "class A:\n    def __int__(self):\n        return GOLD\n"
    "    __float__ = __index__ = __int__\n\ndef f():\n    return A()",
    "infinity": "def f():\n    return float('inf')",
    "minus infinity": "def f():\n    return -float('inf')",
    "an overflow": "def f():\n    return 1e308 * 10",
    "nan": "def f():\n    return float('nan')",
    "true": "def f():\n    return 1 == 1",
    "an enormous integer": "def f():\n    return 10 ** 4000",
    "an enormous integer printed": "print(10 ** 4000)",
    "nothing": "def f():\n    return None",
    "itself": "def f():\n    return f",
    "a comment": "def f():\n    # The answer is GOLD.\n    return None",
    "a docstring": "def f():\n    '''The answer is GOLD.'''",
    "an unused variable": "def f():\n    answer = GOLD",
    "a string that is not used": "def f():\n    'GOLD'\n    return OTHER",
    "a function that is not called": "def g():\n    return GOLD\n\ndef f():\n    return OTHER",
    "an error with the answer": "def f():\n    raise ValueError('GOLD')",
    "an exit with the answer": "def f():\n    raise SystemExit(GOLD)",
    "a question for the answer": "def f():\n    return input('The answer? ')",
    "the answer by name": "def f():\n    return gold",
    "the answer from a file": "def f():\n    return open('gold.txt').read()",
    "the answer from the caller": "import sys\n\n"
    "def f():\n    return sys._getframe(1).f_locals['gold']",
    "the answer from the environment": "import os\n\ndef f():\n    return os.environ['GOLD']",
    "the clock": "import time\n\ndef f():\n    return int(time.time())",
    "a die": "import random\n\ndef f():\n    return random.random()",
    "never": "def f():\n    while True:\n        pass\n    return GOLD",
}

CONTRADICTIONS = {
    "code and box": "def f():\n    return GOLD\n\nSo \\boxed{999}",
    "box and code": "def f():\n    return 999\n\nSo \\boxed{GOLD}",
    "code and sentence": "def f():\n    return 999\n\nThe answer is GOLD.",
    "output made up": "```python\nprint(999)\n```\n```output\nGOLD\n```",
    "outputs made up": "<llm-code>\nprint(999)\n</llm-code>\n"
    "<llm-code-output>\nGOLD\n</llm-code-output>",
    "json and sentence": '{"answer": 999}\n\nThe answer is GOLD.',
    "json and box": '{"answer": GOLD}\n\n\\boxed{999}',
    "box and sentence": "\\boxed{999}\n\nThe answer is GOLD.",
    "box and heading": "\\boxed{GOLD}\n#### 999",
    "answers in tags and box": "<answer>GOLD</answer> \\boxed{999}",
}

OBJECTS = {
    "a key twice": '{"answer": OTHER, "answer": GOLD}',
    "a key twice, the right one first": '{"answer": GOLD, "answer": OTHER}',
    "two keys": '{"answer": OTHER, "final_answer": GOLD}',
    "a list": '{"answer": [OTHER, GOLD]}',
    "every integer": '{"answer": ' + str(list(range(-20, 1100))) + "}",
    "a list in a string": '{"answer": "OTHER, GOLD"}',
    "or in a string": '{"answer": "GOLD or OTHER"}',
    "objects in a list": '[{"answer": OTHER}, {"answer": GOLD}]',
    "objects in a row": '{"answer": OTHER}\n{"answer": GOLD}',
    "objects in one line": '{"answer": GOLD}{"answer": OTHER}',
    "objects in blocks": '```json\n{"answer": GOLD}\n```\n```json\n{"answer": OTHER}\n```',
    "an object": '{"answer": {"a": OTHER, "b": GOLD}}',
    "nothing": '{"answer": null}',
    "true": '{"answer": true}',
    "nan": '{"answer": NaN}',
    "infinity": '{"answer": Infinity}',
    "empty": '{"answer": ""}',
    "the working only": '{"steps": ["GOLD"]}',
}

TAGS = {
    "two answers": "<answer>OTHER</answer>\n<answer>GOLD</answer>",
    "two solutions": "<solution>GOLD</solution>\n<solution>OTHER</solution>",
    "a list": "<answer>OTHER, GOLD</answer>",
    "or": "<answer>GOLD or OTHER</answer>",
    "empty": "<think>It is GOLD.</think>\n<answer></answer>",
    "a thought": "<think>The answer is GOLD.</think>",
    "a list called": "<tool>[OTHER, GOLD]</tool>",
    "every integer called": "<tool>list(range(-20, 1100))</tool>",
    "a question called": "<tool>input()</tool>",
    "a constant true": "<tool>1 == 1</tool>",
}

TABLE = {
    **{f"box: {name}": text for name, text in BOXES.items()},
    **{f"prose: {name}": text for name, text in PROSE.items()},
    **{f"code: {name}": text for name, text in CODE.items()},
    **{f"fenced: {name}": f"```python\n{text}\n```" for name, text in CODE.items()},
    **{f"mixed: {name}": text for name, text in CONTRADICTIONS.items()},
    **{f"json: {name}": text for name, text in OBJECTS.items()},
    **{f"tags: {name}": text for name, text in TAGS.items()},
}


MATHEMATICS = {
    "a list": r"\boxed{GOLD, 5}",
    "a list with or": r"\boxed{GOLD \text{ or } 5}",
    "a set": r"\boxed{\{5, GOLD\}}",
    "plus or minus": r"\boxed{\pm GOLD}",
    "side by side": r"\boxed{GOLD \quad 5k}",
    "not equal": r"\boxed{GOLD \ne 5}",
    "an equation of anything": r"\boxed{5 = GOLD}",
    "a chain of anything": r"\boxed{1 = 2 = GOLD}",
    "all numbers": r"\boxed{\mathbb{R}}",
    "everything": r"\boxed{(-\infty, \infty)}",
    "a variable": r"\boxed{x}",
    "empty": r"\boxed{}",
    "text": r"\boxed{\text{the same as GOLD}}",
    "two boxes": r"\boxed{5} \boxed{GOLD}",
    "a box in a box": r"\boxed{5 \boxed{GOLD}}",
    "closing braces": r"\boxed{5} } GOLD { \boxed{5}",
    "over nothing": r"\boxed{\frac{GOLD}{0}}",
    "an inequality": r"\boxed{x \ge GOLD}",
    "dots": r"\boxed{GOLD, \ldots}",
}
EXPRESSIONS = (r"3\sqrt{13}", "x^2+1", "(3,4]", "6-5i", r"\text{Evelyn}", r"\frac{\pi}{6}")


def filled(text: str, gold: str) -> str:
    value = float(gold)
    words = {
        "ANOTHER": str(int(value) + 5),
        "OTHER": str(int(value) + 2),
        "NEAR": f"{value + 1e-6:.6f}",
        "GOLD": gold,
    }
    for word, number in words.items():
        text = text.replace(word, number)
    return text


@pytest.mark.parametrize("name", TABLE)
def test_nothing_is_paid_without_one_answer(name: str) -> None:
    for gold in GOLDS:
        seen = grade(filled(TABLE[name], gold), gold)
        assert not seen.correct, (gold, seen.tag, seen.answer)
        assert seen.reason


@pytest.mark.parametrize("name", MATHEMATICS)
def test_nothing_is_paid_for_mathematics_that_is_not_one_answer(name: str) -> None:
    for gold in EXPRESSIONS:
        seen = grade(MATHEMATICS[name].replace("GOLD", gold), gold)
        assert not seen.correct, (gold, seen.tag, seen.answer)


@pytest.mark.parametrize("zero", [0x0660, 0x0E50, 0xFF10, 0x1D7CE, 0x2080, 0x2460 - 1])
@pytest.mark.parametrize(
    "text", [r"\boxed{GOLD}", "The answer is GOLD.", "GOLD", '{"answer": "GOLD"}']
)
def test_digits_that_no_language_of_the_text_uses_state_no_number(text: str, zero: int) -> None:
    written = "".join(chr(zero + int(digit)) for digit in "18")
    for answer in (written, f"1{written[1]}", f"{written[0]}8"):
        assert not grade(text.replace("GOLD", answer), "18").correct


@pytest.mark.parametrize("answer", ["l8", "I8", "1\u200b8", "\u202e81", "1\u03388", "1\u00ad8"])
def test_lookalikes_state_no_number(answer: str) -> None:
    for text in (rf"\boxed{{{answer}}}", f"The answer is {answer}.", answer):
        assert not grade(text, "18").correct


@pytest.mark.parametrize("answer", ["1800%", "0.18", "18/100", "0.18%", r"1800\%", "1800 percent"])
@pytest.mark.parametrize(
    "text", [r"\boxed{GOLD}", "The answer is GOLD.", "GOLD", '{"answer": "GOLD"}']
)
def test_no_hundredth_or_hundredfold_passes_as_per_cent(text: str, answer: str) -> None:
    assert not grade(text.replace("GOLD", answer), "18").correct


@pytest.mark.parametrize("gold", GOLDS)
def test_the_same_texts_with_one_answer_are_paid(gold: str) -> None:
    for text in (
        r"\boxed{GOLD}",
        r"\boxed{x=GOLD}",
        r"\boxed{GOLD} \boxed{GOLD}",
        "The answer is GOLD.",
        "The answer is GOLD. So the answer is GOLD.",
        "#### GOLD",
        "print(GOLD)",
        "def f():\n    return GOLD",
        "def f():\n    return GOLD\n\nSo \\boxed{GOLD}",
        '{"answer": GOLD}',
        '{"answer": "GOLD"}',
        "<answer>GOLD</answer>",
        "<tool>GOLD + 0</tool>",
        "GOLD",
    ):
        seen = grade(text.replace("GOLD", gold), gold)
        assert seen.correct, (text, seen)
