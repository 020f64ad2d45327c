"""Foreseen tasks, with estimates that are given."""

from dataclasses import dataclass, replace
from pathlib import Path

from plain_task import facts_of

from formatlab.launch.estimates.estimate import DONE, Estimate
from formatlab.launch.estimates.foreseen import Foreseen, State
from formatlab.study.task import Task, TaskFacts
from formatlab.train.progress import Emit

MB = 2**20
ESTIMATE = Estimate(
    source="calibration",
    seconds=50.0,
    memory=900 * MB,
    gpu_memory=0,
    disk=2 * MB,
    scratch=MB,
)


@dataclass(frozen=True)
class Named(Task):
    """A task that has a label, and nothing more."""

    label: str = ""  # pyright: ignore[reportIncompatibleMethodOverride]
    needs: tuple[Task, ...] = ()  # pyright: ignore[reportIncompatibleMethodOverride]

    @property
    def address(self) -> str:
        return f"study/{self.label}"

    @property
    def facts(self) -> TaskFacts:
        return facts_of(self.label)

    @property
    def steps(self) -> int:
        return 1

    def execute(self, runs: Path, emit: Emit) -> None:
        raise AssertionError("a dry run does nothing")


def foreseen(
    task: Task, state: State = "to make", *, used_by: int = 0, **changes: object
) -> Foreseen:
    estimate = DONE if state == "done" else ESTIMATE
    return Foreseen(task=task, state=state, estimate=replace(estimate, **changes), used_by=used_by)
