"""Draws: the seed of each rollout of a step, whatever process or algorithm draws it."""

from collections.abc import Iterable
from typing import Literal

from formatlab.world.problem import digest


def row_seeds(
    kind: Literal["train", "reward"], *, seed: int, step: int, rows: Iterable[int]
) -> list[int]:
    """A seed for each of some rows of a step.

    Args:
        kind: what is drawn: completions, or what a reward leaves to chance.
        seed: of the run.
        step: 0-based index of the step.
        rows: places in the step's whole batch.
    """
    stream = digest(kind, seed, step)
    return [(stream + row) % 2**63 for row in rows]
