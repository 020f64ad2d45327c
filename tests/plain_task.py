"""A task that makes nothing, for tests of what handles tasks, and facts from a label."""

import re
from dataclasses import dataclass
from pathlib import Path

from formatlab.study.task import Seeds, Task, TaskFacts
from formatlab.train.progress import Emit

LABEL = re.compile(r"(.+) (\S+) (?:w(\d+))?s(\d+)(?:\.(\d+))?(?:, (.+))?")


def facts_of(label: str) -> TaskFacts:
    """The facts of a task called `base 0.04M s0`, `sft, grpo 0.13M w1s2.3, detail` or so."""
    found = LABEL.fullmatch(label)
    if found is None:
        return TaskFacts(kind="run", chain=label, scale="", seeds=None)
    chain, scale, world, seed, sampling, details = found.groups()
    return TaskFacts(
        kind="base" if chain == "base" else "run",
        chain=chain,
        scale=scale,
        mixture="four",
        algorithm="" if chain == "base" else chain.split(", ")[-1].split()[0],
        details=details or "",
        seeds=Seeds(
            world=int(world or 0), initialisation=int(seed), sampling=int(sampling or seed)
        ),
    )


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
    def facts(self) -> TaskFacts:
        return facts_of(self.name)

    @property
    def steps(self) -> int | None:
        return 1

    def execute(self, runs: Path, emit: Emit) -> None:
        raise AssertionError("a schedule does nothing itself")
