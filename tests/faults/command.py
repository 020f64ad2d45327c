"""The command under test: `formatlab run` on the small study, in a process group of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
EXPERIMENT = Path(__file__).with_name("small_study.py")
PATIENCE = 1800.0
"""Seconds after which a command is taken to hang; the machine may be busy."""


@dataclass(frozen=True, slots=True)
class End:
    """How a command ended."""

    status: int
    """Exit status; minus the signal that ended it."""
    output: str
    errors: str

    @property
    def told(self) -> str:
        """Everything that it said."""
        return self.output + self.errors


class Command:
    """A command that runs; its workers are in its process group."""

    def __init__(
        self, runs: Path, *words: object, jobs: int = 2, planted: Mapping[str, str] | None = None
    ) -> None:
        """Start it.

        Args:
            runs: the runs folder.
            words: further words of the command line.
            jobs: processes side by side.
            planted: faults that its processes do to themselves, see `planted_faults`.
        """
        options = ["--runs-dir", str(runs), "--jobs", str(jobs), *map(str, words)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "formatlab", "run", str(EXPERIMENT), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, **(planted or {})},
            start_new_session=True,
        )
        self.launcher = self._process.pid

    def __enter__(self) -> "Command":
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind, whatever went wrong."""
        self.send_to_all(signal.SIGKILL)
        self._process.communicate()

    @property
    def running(self) -> bool:
        """Whether the launcher runs."""
        return self._process.poll() is None

    @property
    def status(self) -> int | None:
        """As of `End`; None while it runs."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the launcher."""
        os.kill(self.launcher, number)

    def send_to_all(self, number: signal.Signals) -> None:
        """Send a signal to launcher and workers, as a terminal does."""
        with suppress(ProcessLookupError):
            os.killpg(self.launcher, number)

    def workers(self) -> list[int]:
        """The worker processes that run now."""
        return [pid for pid in self.group() if b"spawn_main" in _command_line(pid)]

    def group(self) -> list[int]:
        """All processes of the group that run now."""
        return [pid for pid in _processes() if _group(pid) == self.launcher]

    def wait(self) -> End:
        """Wait for its end."""
        output, errors = self._process.communicate(timeout=PATIENCE)
        return End(self._process.returncode, output, errors)

    def ends_within(self, seconds: float) -> bool:
        """Wait so long for its end, and say whether it came."""
        try:
            self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def sees(self, file: Path, patience: float = PATIENCE) -> bool:
        """Wait for a file, and say whether it came in time and before the command's end."""
        deadline = time.monotonic() + patience
        while self.running and not file.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return file.exists()

    def wait_for_group(self) -> None:
        """Wait until the last process of the group is gone, by itself."""
        deadline = time.monotonic() + PATIENCE
        while (left := self.group()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left, f"processes {left} live on without their launcher"


def run(runs: Path, *words: object, planted: Mapping[str, str] | None = None) -> End:
    """Run the command to its end."""
    with Command(runs, *words, planted=planted) as command:
        end = command.wait()
        command.wait_for_group()
        return end


def _processes() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _group(pid: int) -> int | None:
    """Process group of a process; None if it is gone, a zombie too."""
    try:
        state, _, group, *_ = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else int(group)


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
