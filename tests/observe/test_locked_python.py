"""Locked Python, the second tier: what it gives, what goes there, and that it never pretends."""

import math
import platform
import threading
from collections.abc import Iterator
from decimal import Decimal

import pytest

from formatlab.errors import RunError
from formatlab.observe.sandbox import kernel_lock
from formatlab.observe.sandbox.execution import Opaque
from formatlab.observe.sandbox.kernel_lock import KernelLock, LockError
from formatlab.observe.sandbox.locked_python import LockedPython
from formatlab.observe.sandbox.sandbox import Sandbox, TierCount


def start(**settings: int) -> LockedPython:
    try:
        return LockedPython(**settings)
    except RunError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def python() -> Iterator[LockedPython]:
    python = start(seconds=2)
    yield python
    python.close()


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("2 + 3", 5),
        ("", None),
        ("x = 5", None),
        ("def f():\n    yield 5\nlist(f())", [5]),
        ("class A(int): pass\nA(2) + 3", 5),
        ("import math\nmath.isqrt(25)", 5),
        ("from fractions import Fraction\nFraction(1, 2) + Fraction(1, 3)", "5/6"),
        ("from decimal import Decimal\nDecimal('1.50')", "1.50"),
        ("import statistics\nstatistics.median([1, 5, 9])", 5),
        ("import datetime\n(datetime.date(2020, 3, 1) - datetime.date(2020, 2, 25)).days", 5),
        ("from datetime import datetime\ndatetime.strptime('5 May 2020', '%d %B %Y').month", 5),
        ("import itertools\nlen(list(itertools.permutations('abc')))", 6),
        ("from collections import Counter\nCounter('aab').most_common(1)", [("a", 2)]),
        ("import heapq\nheapq.nsmallest(1, [9, 5])[0]", 5),
        ("import numpy as np\nint(np.array([2, 3]).sum())", 5),
        ("import numpy as np\nnp.float64(2.5)", "2.5"),
        ("import sympy as s\nx = s.symbols('x')\ns.solve(x**2 - 10*x + 25, x)[0]", "5"),
        ("from sympy import *\nx = symbols('x')\nintegrate(2*x, (x, 0, 3))", "9"),
        ("'\\ud800'", "\ud800"),
        ("{1: (2.5, {3}), 'x': [None, True]}", {1: (2.5, {3}), "x": [None, True]}),
        ("float('inf')", math.inf),
        ("10**1000", 10**1000),
        ("object()", Opaque(kind="object")),
        ("x = 5\ndel x\n(5).bit_length()", 3),
    ],
)
def test_real_python_gives_the_value_of_the_last_expression(
    python: LockedPython, code: str, value: object
) -> None:
    execution = python.run(code)
    assert execution.failure is None, execution
    assert execution.value == value
    assert type(execution.value) is type(value)
    assert execution.tier == 2


@pytest.mark.parametrize(
    ("code", "output", "failure"),
    [
        ("print(5)", "5\n", None),
        ("import sys\nprint(5, file=sys.stderr)", "5\n", None),
        ("print(5)\n1 / 0", "5\n", "error"),
        ("print('é' * 2**15)", "é" * 2**15, "memory"),
        ("5 if", "", "error"),
        ("'\ud800'", "", "error"),
        ("5\x00", "", "error"),
        ("'x' * 10**6", "", "memory"),
        ("list(range(10**5))", "", "memory"),
        ("while True: pass", "", "time"),
        ("[0] * 10**9", "", "memory"),
        ("import os\nos.write(0, b'{}')\nos._exit(0)", "", "error"),
        ("import os\nos.write(0, b'[' * 10**5)\nos._exit(0)", "", "error"),
        (
            'import os\nos.write(0, b\'{"value": {"int": 5}, "output": 5}\')\nos._exit(0)',
            "",
            "error",
        ),
    ],
)
def test_output_and_failures(
    python: LockedPython, code: str, output: str, failure: str | None
) -> None:
    execution = python.run(code)
    assert (execution.output, execution.failure) == (output, failure)
    assert bool(execution.message) == (failure is not None)
    assert python.run("2 + 3").value == 5


@pytest.mark.parametrize(
    ("poison", "question", "answer"),
    [
        ("left = 5", "'left' in globals()", False),
        ("import builtins\nbuiltins.left = 5", "import builtins\nhasattr(builtins, 'left')", False),
        ("import math\nmath.floor = lambda x: 6", "import math\nmath.floor(5.5)", 5),
        ("import sys\nsys.setrecursionlimit(50)", "import sys\nsys.getrecursionlimit()", 1000),
        ("import random\nrandom.random()", "import random\nrandom.random()", 0.8444218515250481),
        ("import decimal\ndecimal.getcontext().prec = 1", "import decimal\n"
         "decimal.getcontext().prec", 28),
    ],
)  # fmt: skip
def test_a_program_leaves_nothing_to_the_next(
    python: LockedPython, poison: str, question: str, answer: object
) -> None:
    assert python.run(poison).failure is None
    assert python.run(question).value == answer


def test_threads_share_it() -> None:
    python = start(processes=2)
    values: list[object] = []

    def work(number: int) -> None:
        values.extend(python.run(f"{number} + 1").value for _ in range(5))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    python.close()
    assert sorted(map(str, values)) == sorted(str(n + 1) for n in range(3) for _ in range(5))


@pytest.mark.parametrize(
    ("system", "machine", "words"),
    [("darwin", "arm64", "no kernel locks"), ("linux", "riscv64", "no kernel locks")],
)
def test_a_system_without_locks_is_refused(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, words: str
) -> None:
    monkeypatch.setattr(kernel_lock.sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(LockError, match=words):
        KernelLock()


def test_a_sandbox_whose_second_tier_does_not_start_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = ("-c", "raise SystemExit('this kernel has no Landlock')")
    monkeypatch.setattr("formatlab.observe.sandbox.locked_python._PROGRAM", program)
    with pytest.raises(RunError, match=r"cannot be locked, so it does not start.*no Landlock"):
        Sandbox(locked_python=True)


@pytest.mark.parametrize(
    ("code", "value", "tier"),
    [
        ("2 + 3", 5, 1),
        ("import math\nmath.floor(5.5)", 5, 1),
        ("import numpy as np\n5", 5, 1),
        ("from decimal import Decimal\nDecimal(5)", Decimal(5), 1),
        ("import numpy as np\nint(np.array([5])[0])", 5, 2),
        ("from fractions import Fraction\nint(Fraction(10, 2))", 5, 2),
        ("def f():\n    yield 5\nmax(f())", 5, 2),
        ("class A(int): pass\nA(5) + 0", 5, 2),
        ("(5.0).is_integer()", True, 2),
        ("len(vars()) >= 0", True, 2),
        ("1 / 0", None, 1),
        ("five", None, 1),
        ("5 if", None, 1),
        ("raise NotImplementedError('x')", None, 1),
        ("while True: pass", None, 1),
        ("'x' * 10**12", None, 1),
        ("import nonsense", None, 2),
        ("open('/etc/passwd')", None, 1),
    ],
)
def test_only_what_the_first_tier_lacks_goes_to_the_second(
    both: Sandbox, code: str, value: object, tier: int
) -> None:
    before = both.count
    execution = both.run(code)
    assert (execution.value, execution.tier) == (value, tier)
    second = tier == 2
    assert both.count == TierCount(
        programs=before.programs + 1,
        second=before.second + second,
        second_values=before.second_values + (second and value is not None),
    )


@pytest.fixture(scope="module")
def both() -> Iterator[Sandbox]:
    start().close()
    sandbox = Sandbox(locked_python=True)
    yield sandbox
    sandbox.close()


def test_without_being_asked_there_is_no_second_tier() -> None:
    sandbox = Sandbox()
    try:
        execution = sandbox.run("from fractions import Fraction\nFraction(10, 2)")
        assert (execution.failure, execution.tier) == ("unsupported", 1)
        assert sandbox.count == TierCount(programs=1, second=1)
    finally:
        sandbox.close()
