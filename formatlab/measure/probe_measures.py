"""Measures: the numbers of one probe that winners, results and exports give beside its winner."""

from collections.abc import Callable
from dataclasses import dataclass

from formatlab.measure.counts import Tally
from formatlab.measure.entropy import format_entropy, format_entropy_given_prompt


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """A number of one probe: a column of `winners.parquet`, `results.csv` and exports."""

    compute: Callable[[Tally], float | None]
    """The number; None where it is not defined."""
    meaning: str
    """For the tables of columns in cards."""
    unit: str


def _accuracy(probe: Tally) -> float | None:
    graded = probe.graded.sum()
    return float(probe.correct.sum() / graded) if graded else None


MEASURES = {
    "format_entropy": Measure(
        compute=lambda probe: format_entropy(probe.rollouts),
        meaning="H(F), plug-in, nats",
        unit="nats",
    ),
    "format_entropy_given_prompt": Measure(
        compute=lambda probe: format_entropy_given_prompt(probe.rollouts),
        meaning="H(F|X), plug-in, nats",
        unit="nats",
    ),
    "accuracy": Measure(
        compute=_accuracy,
        meaning="correct / graded rollouts, whatever the tag; null if none was graded",
        unit="fraction",
    ),
}
"""Name of the column -> measure. Stored winners without one of them are measured again."""
