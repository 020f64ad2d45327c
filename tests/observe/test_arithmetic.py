"""Programs that are calculated here have the outcome that the sandbox gives them."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from formatlab.observe.arithmetic import calculated
from formatlab.observe.grader import grade
from formatlab.observe.sandbox import Execution, Sandbox
from formatlab.observe.tagger import tag
from formatlab.world.four_formats import FOUR_FORMATS
from formatlab.world.mixture import Mixture
from formatlab.world.world import World


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


def outcome(execution: Execution) -> tuple[object, ...]:
    value = execution.value
    return type(value), value, execution.output, execution.failure


def is_the_same(code: str, sandbox: Sandbox) -> bool:
    """Whether a program is calculated here; it has to come to what the sandbox says."""
    here = calculated(code)
    if here is not None:
        assert outcome(here) == outcome(sandbox.run(code)), code
    return here is not None


NAMES = st.sampled_from("a b eggs solve print return sum def _ match __name__ input".split())
NUMBERS = st.one_of(st.integers(0, 30), st.integers(0, 10**18)).map(str)
SIGNS = st.sampled_from("+ - * // % / ** == ( ) = += : , . \n".split(" "))
OPERATORS = st.sampled_from((" + ", "-", "*", " // ", " % ", "-"))


def operations(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, OPERATORS, inner).map("".join),
        inner.map("({})".format),
        inner.map("-{}".format),
    )


EXPRESSIONS = st.recursive(
    st.one_of(st.sampled_from("a b eggs".split()), st.integers(0, 12).map(str), NUMBERS),
    operations,
    max_leaves=6,
)
STATEMENTS = st.one_of(
    st.tuples(
        st.sampled_from("a b eggs".split()), st.sampled_from((" = ", " += ", "//=")), EXPRESSIONS
    ).map("".join),
    EXPRESSIONS,
    EXPRESSIONS.map("print({})".format),
)


@st.composite
def programs(draw: st.DrawFn) -> str:
    lines: list[str] = []
    for name in draw(st.lists(st.sampled_from("solve f eggs".split()), max_size=2)):
        body = draw(st.lists(STATEMENTS, max_size=3))
        last = draw(st.one_of(EXPRESSIONS.map("return {}".format), STATEMENTS))
        lines += [f"def {name}():", *(f"    {line}" for line in (*body, last))]
        if draw(st.booleans()):
            lines.append(f"{name}()")
    lines += draw(st.lists(STATEMENTS, max_size=3))
    return "\n".join(lines)


IN_TURNS = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@IN_TURNS
@given(code=programs())
def test_programs_come_to_the_same(code: str, sandbox: Sandbox) -> None:
    is_the_same(code, sandbox)


@IN_TURNS
@given(code=programs(), at=st.integers(0, 200), length=st.integers(0, 3), other=st.text(max_size=3))
def test_broken_programs_come_to_the_same(
    code: str, at: int, length: int, other: str, sandbox: Sandbox
) -> None:
    is_the_same(code[:at] + other + code[at + length :], sandbox)


@IN_TURNS
@given(
    tokens=st.lists(st.one_of(NAMES, NUMBERS, SIGNS), max_size=12), space=st.sampled_from(("", " "))
)
def test_tokens_in_any_order_come_to_the_same(
    tokens: list[str], space: str, sandbox: Sandbox
) -> None:
    is_the_same(space.join(tokens), sandbox)


@pytest.mark.parametrize(
    "code",
    [
        "7 // -2",
        "-7 % 3",
        "2 - 3 - 4 * -(5 - 1) // 3",
        "a = 3\na += 4\na *= a\na //= 5\na",
        "a",
        "1 // 0",
        "1 // 0\nprint(3)",
        "print(3)\nprint(4 - 9)",
        "print(3)\nb",
        "def f():\n    a = 1\n\n    return a + 1\n\nf()",
        "def f():\n    a = 1\nf()",
        "def f():\n    print(1 + 1)\nf()",
        "def f():\n    a = a + 1\n    return a\nf()",
        "def f():\n    return b\nf()",
        "def f():\n    return 1\ndef g():\n  return 2\ng()\nf()",
        "x = 0",
        "",
        "+".join("1" * 60)[:59],
        "(" * 20 + "1" + ")" * 20,
        "\n".join(f"a{n} = {n}" for n in range(100)),
    ],
)
def test_what_is_calculated_here(code: str, sandbox: Sandbox) -> None:
    assert is_the_same(code, sandbox)


@pytest.mark.parametrize(
    "code",
    [
        "sum + 1",
        "input",
        "__name__",
        "1 / 2",
        "2 ** 3",
        "1.0 + 1",
        "0b11 + 1",
        "1_0",
        "09",
        "٣ + 1",
        "a = b = 3",
        "return 3",
        "import math\n3",
        "def f():\n    return f\nf()",
        "def f():\n    return f()\nf()",
        "def f():\n    return 1\n    a = 2\nf()",
        "def f(x):\n    return x\nf(3)",
        "def f():\n    return 1",
        "a = 1\ndef f():\n    return a\nf()",
        "999999999999999999 * 999999999999999999",
        "1234567890123456789",
        "+".join("1" * 200),
        "(" * 30 + "1" + ")" * 30,
        "print(3) + (4)",
        "if 1:\n    3",
        "a = 1;a",
        "a\t= 1",
    ],
)
def test_what_is_left_to_the_sandbox(code: str) -> None:
    assert calculated(code) is None


def test_solutions_of_the_world_are_calculated_here(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = World(mixture=Mixture(name="code", shares={"script": 0.5, "code_fenced": 0.5}))
    worlds = (FOUR_FORMATS, codes)
    found = [world.document(index).solution for world in worlds for index in range(200)]
    monkeypatch.setattr("formatlab.observe.grader.shared_sandbox", lambda: pytest.fail("is run"))
    for text in found:
        assert grade(text, "1").reason in ("", "wrong"), text


def test_a_number_that_is_printed_or_returned_is_the_answer() -> None:
    assert tag("print(3 + 4)").format == "script"
    assert grade("print(3 + 4)", "7").correct
    assert grade("def f():\n    return 3 + 4", "7").correct
    assert grade("def f():\n    return 3 + eggs", "7").reason == "error"
