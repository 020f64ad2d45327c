"""The sandbox: what model-written code may do, what it costs, and that the worker outlives it."""

import fcntl
import os
import signal
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import formatlab.observe.sandbox as sandbox_module
from formatlab.errors import RunError
from formatlab.observe.sandbox import Execution, Sandbox, shared_sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


def children() -> list[int]:
    """Numbers of the processes that this one started."""
    return [
        int(child)
        for task in Path("/proc/self/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def state(process: int) -> str:
    """One letter: T stands still; X where there is no process."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "X"


def workers() -> list[int]:
    """Process numbers of this process's interpreters."""
    found = []
    for child in children():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
            if b"monty" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[0]:
                found.append(child)
    return found


def unread(process: int) -> int:
    """Bytes that a process was sent on its standard input and has not read."""
    pipe = os.open(f"/proc/{process}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
    try:
        return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)
    finally:
        os.close(pipe)


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("2 + 3", 5),
        ("7 // 2", 3),
        ("6 / 2", 3.0),
        ("x = 5\nx", 5),
        ("def f():\n    return 5\nf()", 5),
        ("import math\nmath.floor(5.5)", 5),
        ("print('words')\n5", 5),
        ("import numpy as np\nimport pandas as pd\n5", 5),
        ("x = 5", None),
        ("", None),
        ("# nothing", None),
        ("print(5)", None),
    ],
)
def test_code_gives_the_value_of_its_last_expression(
    sandbox: Sandbox, code: str, value: object
) -> None:
    execution = sandbox.run(code)
    assert (execution.value, execution.failure) == (value, None)


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("rows = []\nwhile True:\n    rows.append('x' * 1000)", "memory"),
        ("10**10**10", "memory"),
        ("'x' * 10**12", "memory"),
        ("[0] * 10**7", "memory"),
        ("1 << 10**9", "memory"),
        ("def f(n):\n    return f(n + 1)\nf(0)", "error"),
        ("(" * 5000 + ")" * 5000, "error"),
        ("-" * 20000 + "1", "error"),
        ("1 / 0", "error"),
        ("five", "error"),
        ("5 if", "error"),
        ("raise SystemExit", "error"),
        ("raise KeyboardInterrupt", "error"),
        ("raise ValueError('MemoryError TimeoutError')", "error"),
        ("exit()", "unsupported"),
        ("input()", "unsupported"),
        ("2 + 3\x00", "error"),
        ("'\ud800'", "error"),
        ("open('/etc/passwd').read()", "error"),
        ("open('made', 'w').write('x')", "error"),
        ("from pathlib import Path\nPath('/etc/passwd').read_text()", "error"),
        ("import os\nos.system('true')", "error"),
        ("import os\nos.listdir('/')", "error"),
        ("import os\nos.environ['HOME']", "error"),
        ("import subprocess", "unsupported"),
        ("import socket", "unsupported"),
        ("import numpy\nnumpy.array([5])", "unsupported"),
        ("from numpy import array", "unsupported"),
        ("import nonsense", "unsupported"),
        ("().__class__.__bases__[0].__subclasses__()", "error"),
    ],
)
def test_what_fails_fails_alone(sandbox: Sandbox, code: str, failure: str) -> None:
    execution = sandbox.run(code)
    assert (execution.value, execution.failure) == (None, failure)
    assert execution.message
    assert sandbox.run("2 + 3").value == 5


@pytest.mark.parametrize(
    ("code", "output", "failure"),
    [
        ("while True:\n    pass", "", "time"),
        (
            "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
            "",
            "time",
        ),
        ("import time\nwhile True:\n    time.sleep(1)", "", "time"),
        ("print(5)\nwhile True:\n    pass", "5\n", "time"),
        ("while True:\n    print('x' * 63)", ("x" * 63 + "\n") * 2**10, "memory"),
    ],
)
def test_what_does_not_end_is_stopped(
    sandbox: Sandbox, code: str, output: str, failure: str
) -> None:
    execution = sandbox.run(code)
    assert (execution.value, execution.failure) == (None, failure)
    assert execution.output == output
    assert execution.message
    assert sandbox.run("2 + 3").value == 5


@pytest.mark.parametrize(
    "code",
    [
        "10**10000",
        "rows = []\nrows.append(rows)\nrows",
        "rows = []\nfor _ in range(50000):\n    rows = [rows]\nrows",
        "class A:\n    pass\na = A()\na.a = a\na",
        "'x' * 10**7",
        "float('nan')",
        "'\\ud800'",
        "def f():\n    pass\nf",
        "ValueError('x')",
        "range(3)",
    ],
)
def test_odd_values_come_back_as_values(sandbox: Sandbox, code: str) -> None:
    execution = sandbox.run(code)
    assert execution.failure is None
    assert execution.value is not None
    assert sandbox.run("2 + 3").value == 5


@pytest.mark.parametrize(
    ("code", "output", "failure"),
    [
        ("print(5)\nprint('x', 6)", "5\nx 6\n", None),
        ("5", "", None),
        ("print(5)\n1 / 0", "5\n", "error"),
        ("print(5)\n'x' * 10**12", "5\n", "memory"),
        ("import numpy\nprint(5)", "5\n", None),
        ("print('x' * 2**16)", "x" * 2**16, "memory"),  # the line end is one too many
        ("print('é' * 2**15, end='')", "é" * 2**15, None),
    ],
)
def test_what_is_printed_is_kept_within_the_cap(
    sandbox: Sandbox, code: str, output: str, failure: str | None
) -> None:
    execution = sandbox.run(code)
    assert (execution.output, execution.failure) == (output, failure)


@pytest.mark.parametrize(
    "code",
    [
        "x = 5\n" * 2**18,
        "[" + "1," * 2**19 + "]",
        "1 + " * 2**18 + "1",
        "(" * 2**20,
        "if x:\n" + " if x:\n" * 2**17,
    ],
)
def test_programs_of_a_megabyte_fail_alone(sandbox: Sandbox, code: str) -> None:
    assert sandbox.run(code).failure in ("error", "memory")
    assert sandbox.run("2 + 3").value == 5


def test_a_long_text_is_no_hardship(sandbox: Sandbox) -> None:
    assert sandbox.run(f"len('{'x' * 2**20}')").value == 2**20


def test_a_worker_at_its_memory_limit_says_nothing(
    sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    assert sandbox.run("('a' * 50000000).upper().lower() + 'b'").failure == "memory"
    assert sandbox.run("2 + 3").value == 5
    assert capfd.readouterr() == ("", "")


def test_sleeping_code_holds_nothing_up(sandbox: Sandbox) -> None:
    # the host would sit through up to 1,000 sleeps of 10 s: this test would not end
    assert sandbox.run("import time\nfor _ in range(900):\n    time.sleep(10)\n5").value == 5


@pytest.mark.parametrize(
    "code",
    [
        "import random\nrandom.random()",
        "import random\nrandom.Random().random()",
        "import time\ntime.time()",
        "import datetime\ndatetime.datetime.now()",
        "hash('word')",
        "list({'a', 'b', 'c', 'd', 'e'})",
    ],
)
def test_code_gives_the_same_value_every_time(sandbox: Sandbox, code: str) -> None:
    first = sandbox.run(code)
    assert first.failure is None
    other = Sandbox()
    try:
        assert sandbox.run(code).value == other.run(code).value == first.value
    finally:
        other.close()


def test_a_program_leaves_no_state(sandbox: Sandbox) -> None:
    assert sandbox.run("left = 5\nleft").value == 5
    assert sandbox.run("left").failure == "error"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers through /proc")
def test_a_worker_killed_while_idle_is_replaced() -> None:
    before = set(workers())
    sandbox = Sandbox()
    try:
        assert sandbox.run("2 + 3").value == 5
        (worker,) = set(workers()) - before
        os.kill(worker, signal.SIGKILL)
        for _ in range(3):
            assert sandbox.run("2 + 3").value == 5
    finally:
        sandbox.close()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers through /proc")
def test_a_worker_killed_at_work_is_replaced_and_asked_again() -> None:
    # sound code must not be graded wrong because something outside killed its worker
    before = set(workers())
    sandbox = Sandbox()
    try:
        assert sandbox.run("2 + 3").value == 5
        new = set(workers()) - before  # two where a second try has not ended yet
        for worker in new:
            os.kill(worker, signal.SIGSTOP)  # it stands still over the next program
        executions: list[Execution] = []
        caller = threading.Thread(target=lambda: executions.append(sandbox.run("2 + 3")))
        caller.start()
        asked: list[int] = []
        while caller.is_alive() and not asked:
            asked = [worker for worker in new if unread(worker)]
            time.sleep(0.01)
        for worker in new:
            os.kill(worker, signal.SIGKILL)
        caller.join()
        (execution,) = executions
        assert asked
        assert (execution.value, execution.failure) == (5, None)
        assert not new & set(workers())
    finally:
        sandbox.close()


LOOP = "total = 0\nfor number in range({}):\n    total += number\ntotal"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers through /proc")
def test_the_processor_time_of_others_is_not_the_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    # the worker of a second try stands still for longer than the program may work
    stopped = sandbox_module._TIMER.replace("os.execv", "os.kill(os.getpid(), 19); os.execv")
    monkeypatch.setattr(sandbox_module, "_TIMER", stopped)
    monkeypatch.setattr(sandbox_module, "_FIRST_SECONDS", 1e-6)
    sandbox = Sandbox()
    executions: list[Execution] = []
    caller = threading.Thread(target=lambda: executions.append(sandbox.run(LOOP.format(10**5))))
    try:
        caller.start()
        while not (still := [child for child in children() if state(child) == "T"]):
            time.sleep(0.01)
        caller.join(2 * sandbox_module._SECONDS)
        assert caller.is_alive()
        os.kill(still[0], signal.SIGCONT)
        caller.join()
        assert (executions[0].value, executions[0].failure) == (4999950000, None)
    finally:
        sandbox.close()


def test_a_first_try_without_time_or_memory_decides_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sandbox_module, "_FIRST_SECONDS", 1e-6)
    sandbox = Sandbox()
    try:
        for code, value in (("2 + 3", 5), (LOOP.format(10**5), 4999950000), ("print(5)", None)):
            execution = sandbox.run(code)
            assert (execution.value, execution.failure) == (value, None)
        assert sandbox.run(LOOP.format(10**5)).value == 4999950000  # nothing is added up
        assert sandbox.run(LOOP.format(10**9)).failure == "time"
    finally:
        sandbox.close()


def test_a_program_ends_without_a_timer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_module, "_script", lambda place, command: None)
    sandbox = Sandbox()
    try:
        assert sandbox.run(LOOP.format(10**9)).failure == "time"
        assert sandbox.run("2 + 3").value == 5
    finally:
        sandbox.close()


@pytest.mark.parametrize("broken", ["exit 3", None])
def test_workers_that_cannot_work_are_no_fault_of_the_program(broken: str | None) -> None:
    sandbox = Sandbox()
    script = Path(sandbox._folder.name) / "timed"
    try:
        _ = script.unlink() if broken is None else script.write_text(f"#!/bin/sh\n{broken}\n")
        with pytest.raises(RunError, match="does not start"):
            sandbox.run("while True:\n    pass")
    finally:
        sandbox.close()


def test_threads_share_a_sandbox(sandbox: Sandbox) -> None:
    values: list[object] = []

    def work(number: int) -> None:
        for _ in range(20):
            values.append((number, sandbox.run(f"{number} + 1").value))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(values) == sorted((n, n + 1) for n in range(4) for _ in range(20))  # pyright: ignore[reportArgumentType] - pairs of numbers


def test_a_fork_is_told_to_spawn_instead_of_hanging(sandbox: Sandbox) -> None:
    assert sandbox.run("2 + 3").value == 5
    process = os.fork()
    if process == 0:
        told = 0
        for use in (lambda: sandbox.run("2 + 3"), Sandbox):
            try:
                use()
            except RunError as error:
                told += "have processes spawned" in str(error)
        sandbox.close()
        os._exit(told)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 2
    assert sandbox.run("2 + 3").value == 5


def test_the_shared_sandbox_is_one() -> None:
    assert shared_sandbox() is shared_sandbox()


def test_an_interpreter_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONTY_BIN", "/nonexistent/monty")
    with pytest.raises(RunError, match=r"does not start .*; install pydantic-monty anew"):
        sandbox_module.Sandbox()
