"""The child process: replies, deadlines, replacement, and its end with its parent."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import formatlab
from formatlab.observe.answers import child as child_module
from formatlab.observe.answers.child import Child, ChildDied, ChildTimeout

LIMIT = 0.5
"""Seconds of processor time that a request may take where a test is about the limit."""

PROGRAM = """
import os, sys, time
from formatlab.observe.answers.child import serve

def answer(request):
    match request:
        case "process": return os.getpid()
        case "environment": return dict(os.environ)
        case "path": return sys.path
        case "loop":
            while True: pass
        case "long operation": return 3 ** 10 ** 9 % 7
        case "error": raise ValueError("five")
        case "exit": os._exit(3)
        case "crash": os.kill(os.getpid(), 11)
        case "noise":
            print("noise"); print("noise", file=sys.stderr); os.write(1, b"noise")
        case "memory": return len(bytearray(2 ** 32))
        case "wait": time.sleep(600)
        case ["work", seconds]:
            start = time.process_time()
            while time.process_time() - start < seconds: pass
        case "package": return sys.modules["formatlab"].__file__
        case "sleeper":
            if os.fork() == 0: time.sleep(60)
            time.sleep(60)
    return request

serve(answer, memory=2 ** 31)
"""


@pytest.fixture
def child() -> Iterator[Child]:
    with Child(("-c", PROGRAM)) as child:
        yield child


def alive(process: object) -> bool:
    return state(process) not in "ZX"


def wait_for(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.01)


def state(process: object) -> str:
    """One letter: R runs, S sleeps, Z has ended; X where there is none."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "X"


def group_of(process: str) -> list[str]:
    """The living processes of a group."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and os.getpgid(int(entry.name)) == int(process):
                found.append(entry.name)
    return [member for member in found if alive(member)]


@pytest.mark.parametrize(
    "request_", [None, 5, "five", "\ud800\x00é", ["x", {"y": 1.5}], "x" * 10**6, "noise"]
)
def test_a_request_gets_its_reply(child: Child, request_: object) -> None:
    assert child.ask(request_, seconds=30) == request_
    assert child.ask(1, seconds=30) == 1


def test_the_same_process_answers_until_it_must_be_replaced(child: Child) -> None:
    first = child.ask("process", seconds=30)
    assert child.ask("process", seconds=30) == first
    with pytest.raises(ChildTimeout, match="took too long"):
        child.ask("loop", seconds=0.2)
    assert not alive(first)
    second = child.ask("process", seconds=30)
    assert second != first and alive(second)
    child.close()
    assert not alive(second)
    assert child.ask(5, seconds=30) == 5


@pytest.mark.parametrize("request_", ["loop", "long operation"])
def test_its_own_work_ends_it(child: Child, request_: str) -> None:
    with pytest.raises(ChildTimeout, match="took too long"):
        child.ask(request_, seconds=0.2)
    assert child.ask(5, seconds=30) == 5


def test_a_child_that_waits_is_ended_too(child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "_PATIENCE", 0.5)
    assert child.ask(5, seconds=60) == 5
    with pytest.raises(ChildTimeout, match="took too long"):
        child.ask("wait", seconds=1)


def test_the_processor_time_of_others_is_not_its_own(child: Child) -> None:
    # it stands still for longer than it may work, as on a machine that has other things to do
    process = child.ask("process", seconds=30)
    assert isinstance(process, int)
    os.kill(process, signal.SIGSTOP)
    wait_for(lambda: state(process) == "T")
    replies: list[object] = []
    asking = threading.Thread(
        target=lambda: replies.append(child.ask(["work", 0.1], seconds=LIMIT))
    )
    asking.start()
    asking.join(2 * LIMIT)
    assert asking.is_alive()
    os.kill(process, signal.SIGCONT)
    asking.join()
    assert replies == [["work", 0.1]]


def test_it_works_again_and_again_within_the_limit_of_each_request(child: Child) -> None:
    process = child.ask("process", seconds=30)
    for _ in range(4):  # together more than one may take
        assert child.ask(["work", 0.4 * LIMIT], seconds=LIMIT) == ["work", 0.4 * LIMIT]
    assert child.ask("process", seconds=30) == process


def test_it_runs_the_package_of_its_parent(child: Child) -> None:
    assert child.ask("package", seconds=30) == formatlab.__file__


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ("error", "(?s)with status 1: .*ValueError: five"),
        ("memory", "(?s)with status 1: .*MemoryError"),
        ("exit", "ended with status 3"),
        ("crash", "ended by signal 11"),
    ],
)
def test_a_death_is_told_with_its_last_words(child: Child, request_: str, words: str) -> None:
    with pytest.raises(ChildDied, match=words):
        child.ask(request_, seconds=30)
    assert child.ask(5, seconds=30) == 5


def test_a_child_killed_while_idle_is_replaced(child: Child) -> None:
    process = child.ask("process", seconds=30)
    assert isinstance(process, int)
    os.kill(process, signal.SIGKILL)
    wait_for(lambda: not alive(process))
    assert child.ask(5, seconds=30) == 5


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import sys; sys.exit('no such thing here')", "status 1: no such thing here"),
        ("import nonsense", "(?s)No module named 'nonsense'"),
        ("import time; time.sleep(60)", "did not start within 0.5 s"),
    ],
)
def test_a_program_that_does_not_start(program: str, words: str) -> None:
    start_seconds = 0.5 if "sleep" in program else 60
    with (
        Child(("-c", program), start_seconds=start_seconds) as child,
        pytest.raises(ChildDied, match=words),
    ):
        child.ask(5, seconds=30)


def test_an_interpreter_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with Child(("-c", PROGRAM)) as child, pytest.raises(ChildDied, match="does not start"):
        child.ask(5, seconds=30)


def test_it_sees_neither_environment_nor_current_folder(
    child: Child, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CANARY", "secret")
    monkeypatch.chdir(tmp_path)
    assert "CANARY" not in str(child.ask("environment", seconds=30))
    path = child.ask("path", seconds=30)
    assert isinstance(path, list) and not {"", ".", str(tmp_path)} & set(path)


def test_threads_share_a_child(child: Child) -> None:
    wrong: list[object] = []

    def work(number: int) -> None:
        for place in range(50):
            if child.ask([number, place], seconds=60) != [number, place]:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes through /proc")
@pytest.mark.parametrize("request_", ["loop", "long operation", "sleeper", 5])
def test_it_dies_with_its_parent(tmp_path: Path, request_: object) -> None:
    # the parent is killed outright, in the middle of a request that nothing in Python can stop
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, threading\n"
            "from formatlab.observe.answers.child import Child\n"
            f"child = Child(('-c', {PROGRAM!r}))\n"
            "print(child.ask('process', seconds=60), flush=True)\n"
            f"child.ask({request_!r}, seconds=60)\n"
            "threading.Event().wait()\n",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    process = parent.stdout.readline().strip()
    if request_ == "sleeper":
        wait_for(lambda: len(group_of(process)) == 2)
    elif request_ != 5:
        wait_for(lambda: state(process) == "R")
    group = group_of(process)
    assert process in group
    parent.kill()
    parent.communicate()
    wait_for(lambda: not any(map(alive, group)))
