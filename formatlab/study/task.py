"""A task: a node of a study's graph, which makes one folder of the runs folder.

A task knows its address, the tasks it needs, and its facts, which give its label and its arm (the
tasks that differ from it in their seeds alone). A finished run also records the weights that it
started from: it is outdated once they were made again and differ.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from formatlab.errors import FormatlabError
from formatlab.show.wording import pretraining_text
from formatlab.store.run_folder import RunFolder
from formatlab.train.progress import Emit, Progress


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Seeds:
    """The seeds of a task: `s0`, `w1s0` in another world, `s0.2` with another sampling seed."""

    world: int = 0
    """Seed of problems and documents."""
    initialisation: int
    """Seed of a base's weights and order of documents; for a real model the sampling seed."""
    sampling: int
    """Seed of a run's prompts and samples; for a base equal to `initialisation`."""

    def __str__(self) -> str:
        """In short, without the parts that have their usual value."""
        world = f"w{self.world}" if self.world else ""
        sampling = f".{self.sampling}" if self.sampling != self.initialisation else ""
        return f"{world}s{self.initialisation}{sampling}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskFacts:
    """The facts that make a task's label."""

    kind: Literal["base", "run"]
    chain: str
    """The stages in words, as in `sft prose, grpo`; `base` of a base."""
    scale: str
    """Name of the scale, or of the real model."""
    mixture: str = ""
    """Name of the mixture of the pretraining documents; `pretrained` of a real model."""
    algorithm: str = ""
    """Name of the last stage's algorithm; empty for a base."""
    details: str = ""
    """The difference from other arms of the same chain and scale, as in `temperature 0.7`."""
    seeds: Seeds | None
    """None where they are not known."""
    after: float = 1.0
    """Fraction of its pretraining that the base has seen."""

    def named(self, seeds: str) -> str:
        """The label with another text in place of the seeds."""
        name = " ".join(filter(None, (self.chain, self.scale, seeds)))
        pretrained = pretraining_text(self.after) * (self.after < 1)
        return ", ".join(filter(None, (name, pretrained, self.details)))

    @property
    def arm(self) -> str:
        """The label without seeds, shared by all tasks that differ in their seeds alone."""
        return self.named("")

    @property
    def label(self) -> str:
        """The task's name in tables and messages."""
        return self.named("" if self.seeds is None else str(self.seeds))


class Task(ABC):
    """A base or a run, as launchers see it; an interrupted one continues where it stopped."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Its folder, relative to the runs folder: `bases/<name>` or `<study>/<name>`.

        The name ends in the hash of everything that is decided beforehand, so it is known before
        anything is made.
        """

    @property
    def needs(self) -> "tuple[Task, ...]":
        """The tasks whose folders it starts from."""
        return ()

    @property
    @abstractmethod
    def facts(self) -> TaskFacts:
        """The facts that make its label."""

    @property
    def label(self) -> str:
        """Its name in tables and messages."""
        return self.facts.label

    @property
    def steps(self) -> int | None:
        """Steps it has in all; None where that is not known beforehand."""
        return None

    @property
    def most_threads(self) -> int | None:
        """Threads beyond which the work gets slower; None where more always help."""
        return None

    def waiting_for(self, holder: str) -> Progress:
        """What is shown of it while somebody else holds its lock, or the network is away."""
        return Progress(self.label, 0, self.steps or 1, None, None, f"waiting for {holder}")

    def start_digest(self, runs: Path) -> str | None:
        """SHA-256 of the weights that it starts from; None if it needs no other task."""
        if not self.needs:
            return None
        summary = RunFolder.open(runs / self.needs[0].address).summary or {}
        return summary.get("policy_sha256") or summary.get("sha256")  # of a run, of a base

    def outdated(self, runs: Path) -> str | None:
        """Why its finished folder is not what it would make now; None if it is.

        Its start, a base or an earlier stage, may have been made again with other weights.
        """
        try:
            there = self.start_digest(runs)
            used = RunFolder.open(runs / self.address).config.get("start_sha256")
        except FormatlabError:
            return None
        if used is None or there is None or used == there:
            return None
        return "it was trained from other weights than those that are there now"

    @abstractmethod
    def execute(self, runs: Path, emit: Emit) -> None:
        """Make the folder, or continue it.

        The tasks it needs are done, and the caller holds the lock of its folder.
        """


def graph(tasks: Sequence[Task]) -> list[Task]:
    """All tasks and what they need, each once, and each after what it needs.

    Args:
        tasks: what is asked for, in the order in which it should begin.
    """
    found: dict[str, Task] = {}

    def add(task: Task) -> None:
        for need in task.needs:
            add(need)
        found.setdefault(task.address, task)

    for task in tasks:
        add(task)
    return list(found.values())
