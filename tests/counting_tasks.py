"""Tasks that make a base and a run in no time, and doing them at an address."""

from dataclasses import dataclass
from pathlib import Path

from fsspec.implementations.memory import MemoryFileSystem

from formatlab.launch.runs_root import RemoteRuns
from formatlab.launch.schedule import Outcome
from formatlab.store.run_folder import RunFolder
from formatlab.study.task import Task, TaskFacts
from formatlab.train.progress import Emit, Progress

ENV = {"schema_version": 1}


class Killed(BaseException):
    """The end of a process."""


@dataclass(frozen=True)
class Base(Task):
    """Makes a model."""

    version: int = 1

    @property
    def address(self) -> str:
        return "bases/base"

    @property
    def needs(self) -> tuple[Task, ...]:
        return ()

    @property
    def facts(self) -> TaskFacts:
        return TaskFacts(kind="base", chain="base", scale="", seeds=None)

    @property
    def steps(self) -> None:
        return None

    def execute(self, runs: Path, emit: Emit) -> None:
        folder = RunFolder.create(runs / self.address, config={"kind": "base"}, env=ENV)
        (folder.path / "model").mkdir()
        (folder.path / "model" / "weights").write_text(f"weights {self.version}")
        folder.mark_done({"version": self.version})


@dataclass(frozen=True)
class Run(Task):
    """Counts to four, with a checkpoint at two."""

    dies: bool = False

    @property
    def address(self) -> str:
        return "study/run"

    @property
    def needs(self) -> tuple[Task, ...]:
        return (Base(),)

    @property
    def facts(self) -> TaskFacts:
        return TaskFacts(kind="run", chain="run", scale="", seeds=None)

    @property
    def steps(self) -> int:
        return 4

    def outdated(self, runs: Path) -> str | None:
        used = RunFolder.open(runs / self.address).config["base"]
        now = (RunFolder.open(runs / "bases/base").summary or {})["version"]
        return None if used == now else "the base is another"

    def execute(self, runs: Path, emit: Emit) -> None:
        base = (RunFolder.open(runs / "bases/base").summary or {})["version"]
        weights = (runs / "bases/base/model/weights").read_text()
        env = {**ENV, "base": weights}
        folder = RunFolder.create(runs / self.address, config={"base": base}, env=env)
        checkpoint = folder.checkpoints / "step-2"
        first = 2 if checkpoint.exists() else 0
        if first:
            folder.drop_metrics_from(first)
            folder.note_resumed(step=first, lost=0)
        for step in range(first, 4):
            folder.append_metrics({"step": step})
            if step == 2 and self.dies:
                raise Killed
            if step == 1:
                checkpoint.write_text("two")
                emit(Progress("run", 2, 4, None, None))
        (folder.path / "policy").mkdir()
        (folder.path / "policy" / "weights").write_text("policy")
        folder.mark_done({})
        folder.remove_checkpoints()


def work(runs: RemoteRuns, task: Task, emit: Emit = lambda _: None) -> Outcome:
    return runs.work(task, threads=1, emit=emit)


def there(runs: RemoteRuns) -> dict[str, bytes]:
    """Every file at the address."""
    root = runs.address.removeprefix("memory://") + "/"
    fs = MemoryFileSystem()
    return {name.removeprefix(root): fs.cat_file(name) for name in fs.find(root)}
