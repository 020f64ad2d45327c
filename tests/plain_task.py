"""A task that makes nothing, for tests of what handles tasks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from formatlab.study.task import Task
from formatlab.train.progress import Emit


@dataclass(frozen=True)
class Node(Task):
    """A task that makes nothing."""

    name: str
    before: "tuple[Node, ...]" = ()

    @property
    def address(self) -> str:
        return f"study/{self.name}"

    @property
    def needs(self) -> tuple[Task, ...]:
        return self.before

    @property
    def label(self) -> str:
        return self.name

    @property
    def facts(self) -> Mapping[str, str]:
        return {"kind": "run"}

    @property
    def steps(self) -> int | None:
        return 1

    def execute(self, runs: Path, emit: Emit) -> None:
        raise AssertionError("a schedule does nothing itself")
