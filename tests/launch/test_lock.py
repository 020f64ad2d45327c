import subprocess
import sys
from pathlib import Path

import pytest

from formatlab.errors import RunError
from formatlab.launch.lock import locked

HOLDER = """
import sys
from pathlib import Path
from formatlab.launch.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that holds the folder until its input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "run")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_folder_that_another_process_writes_to_is_refused(tmp_path: Path, holder):
    with (
        pytest.raises(RunError, match=r"another process is writing to .*run"),
        locked(tmp_path / "run"),
    ):
        pass


def test_a_killed_process_holds_nothing(tmp_path: Path, holder):
    holder.kill()
    holder.communicate()
    with locked(tmp_path / "run"):
        pass


def test_who_waits_gets_the_folder_when_it_is_free(tmp_path: Path, holder):
    waiter = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLDER.replace("sys.argv[1])", "sys.argv[1]), wait=True"),
            str(tmp_path / "run"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert waiter.poll() is None
    holder.communicate("")
    assert waiter.stdout is not None
    assert waiter.stdout.readline() == "held\n"
    waiter.communicate("")
    assert waiter.returncode == 0


def test_the_folder_need_not_exist(tmp_path: Path):
    with locked(tmp_path / "not" / "yet" / "there"):
        assert not (tmp_path / "not" / "yet" / "there").exists()
