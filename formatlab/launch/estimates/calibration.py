"""The calibration: what the lab's work costs on this machine, measured once and kept.

It lies in the runs folder as `calibration.json`. What was measured on another machine, with another
number of cores or another version of torch stands there beside it and is left alone.
"""

import json
import multiprocessing
import platform
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from importlib import metadata
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formatlab.launch.devices import Gpu, available_cores
from formatlab.launch.estimates.trial import Cost, StartTrial, Trial
from formatlab.launch.worker import start_process as start_worker
from formatlab.store.atomic_file import write_json_atomically
from formatlab.study.experiment import load_experiment

if TYPE_CHECKING:
    from rich.console import Console

FILE = "calibration.json"
"""Its name in the runs folder."""
_SCHEMA_VERSION = 1
_PACKAGES = ("torch", "transformers", "trl")

Say = Callable[[str], None]
"""Told what is being measured."""


class Calibration:
    """Costs of trials on this machine."""

    def __init__(self, runs: Path, gpus: Iterable[Gpu] = ()) -> None:
        """Read what is there; a file that cannot be read counts as none.

        Args:
            runs: the runs folder.
            gpus: that work is done on; none for the CPU.
        """
        self._path = runs / FILE
        self._machine = _machine(gpus)
        self._others: list[dict[str, Any]] = []
        self._costs: dict[str, Cost] = {}
        self.failures: dict[str, str] = {}
        """Why a trial could not be done, by its label."""
        for entry in _entries(self._path):
            if entry.get("machine") == self._machine:
                self._costs = _costs(entry.get("costs"))
            else:
                self._others.append(entry)

    def cost(self, trial: Trial) -> Cost | None:
        """What a trial costs; None if it has not been measured."""
        return self._costs.get(trial.key)

    def missing(self, trials: Iterable[Trial]) -> list[Trial]:
        """Those of some trials that have not been done on this machine, each once.

        The start of a worker, which nothing can do without, comes first among them.
        """
        wanted = {trial.key: trial for trial in trials}
        if wanted:
            wanted = {StartTrial().key: StartTrial()} | wanted
        return [trial for key, trial in wanted.items() if key not in self._costs]

    def measure(self, trials: Iterable[Trial], experiment: Path, say: Say) -> None:
        """Do the trials that have not been done on this machine, and keep what they cost.

        They are done one after the other, in a process that is like a worker. What fails is noted
        among `failures` and not kept.

        Args:
            trials: what is needed.
            experiment: the experiment file, for the formats that it may add.
            say: told what is being measured.
        """
        missing = self.missing(trials)
        child: _Child | None = None
        try:
            for number, trial in enumerate(missing, start=1):
                say(f"{trial.label} ({number} of {len(missing)})")
                if child is None or not child.alive:
                    child = _Child(experiment)
                found = child.measure(trial)
                if isinstance(found, Cost):
                    self._costs[trial.key] = found
                    self._save()
                else:
                    self.failures[trial.label] = found
        finally:
            if child:
                child.end()

    def _save(self) -> None:
        ours = {
            "machine": self._machine,
            "costs": {key: asdict(cost) for key, cost in sorted(self._costs.items())},
        }
        write_json_atomically(
            self._path, {"schema_version": _SCHEMA_VERSION, "machines": [*self._others, ours]}
        )


@contextmanager
def saying(console: "Console") -> Iterator[Say]:
    """Show what is being measured, once there is something: live on a terminal, else one line."""
    what = "measuring this machine"
    status = console.status(what)
    begun = False

    def say(words: str) -> None:
        nonlocal begun
        if console.is_terminal:
            status.update(f"{what}: {words}")
            status.start()
        elif not begun:
            console.print(f"{what} ...")
        begun = True

    try:
        yield say
    finally:
        status.stop()


class _Child:
    """The process that trials are done in."""

    def __init__(self, experiment: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(experiment, theirs), daemon=True)
        start_worker(self._process)
        theirs.close()  # so that the end of the child ends the waiting for it

    @property
    def alive(self) -> bool:
        """Whether it can do another trial."""
        return self._process.is_alive()

    def measure(self, trial: Trial) -> Cost | str:
        """The cost of a trial, or why there is none."""
        try:
            self._pipe.send(trial)
            return self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode or 0
            if code >= 0:
                return f"the process ended with status {code}"
            hint = " (often: out of memory)" if -code == signal.SIGKILL else ""
            return f"the process was ended by {signal.Signals(-code).name}{hint}"

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def _work(experiment: Path, pipe: Connection) -> None:
    """What the child does: a trial for each that it is sent."""
    from formatlab.models.model import silence_libraries

    load_experiment(experiment)
    silence_libraries()
    while True:
        trial: Trial = pipe.recv()
        try:
            pipe.send(trial.measure())
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")


def _machine(gpus: Iterable[Gpu]) -> dict[str, Any]:
    """What costs depend on, beside the work itself."""
    return {
        "cpu": _cpu(),
        "cores": available_cores(),
        "gpus": sorted({gpu.model for gpu in gpus}),
        "packages": {name: metadata.version(name) for name in _PACKAGES},
    }


def _cpu() -> str:
    """The processor's name, where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _entries(path: Path) -> list[dict[str, Any]]:
    """The machines in the file; none where it is missing, damaged or of another version."""
    try:
        there = json.loads(path.read_bytes())
        if there["schema_version"] != _SCHEMA_VERSION:
            return []
        return [entry for entry in there["machines"] if isinstance(entry, dict)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _costs(there: Any) -> dict[str, Cost]:
    """The costs in an entry that are whole."""
    names = {field.name for field in fields(Cost)}
    if not isinstance(there, dict):
        return {}
    return {
        key: Cost(**cost)
        for key, cost in there.items()
        if isinstance(cost, dict)
        and cost.keys() == names
        and all(isinstance(value, int | float) for value in cost.values())
    }
