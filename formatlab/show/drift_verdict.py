"""The verdict on an arm without signal: whether it drifted, and to which format."""

from dataclasses import dataclass

from formatlab.measure import UNDECIDED, attractor
from formatlab.show.arm import Arm


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftVerdict:
    """What became of the formats of an arm that no reward pushed."""

    verb: str
    """`unchanged`, `stays with`, `drifts to`, `drifts further to`, `ends with`, or, without a
    format that leads in most seeds, `drifts to no one format`, `stays` or `ends undecided`."""
    end: str
    """The format that leads in most seeds at the end, or `undecided`."""
    start: str
    """The format that led in most seeds at the start, or `undecided`."""
    moved: int
    """Finished seeds in which the formats moved beyond chance."""
    measured: int
    """Finished seeds in which that could be told."""

    @property
    def drifted_to(self) -> str | None:
        """The format that it drifted to, None if it did not."""
        return self.end if self.verb in ("drifts to", "drifts further to") else None


def drift_verdict(arm: Arm) -> DriftVerdict:
    """Return what became of the formats of an arm's finished runs.

    They drifted if in more than half of the seeds they moved beyond chance, and to the format that
    leads in more than half and has gained.
    """
    drifts = [run.drift for run in arm.finished if run.drift]
    moved = sum(drift.beyond_chance for drift in drifts)
    start = attractor([run.base for run in arm.finished if run.base]).attractor
    end = arm.attractor.attractor
    most = 2 * moved > len(drifts)
    if drifts and not moved:
        verb = "unchanged"
    elif end == UNDECIDED:
        verb = "drifts to no one format" if most else "stays undecided"
        # A lead that was lost without most seeds moving is neither.
        verb = "ends undecided" if not most and start != UNDECIDED else verb
    elif most and arm.attractor.shares[end].mean > base_share(arm, end):
        verb = "drifts further to" if start == end else "drifts to"
    else:
        verb = "stays with" if start == end else "ends with"
    return DriftVerdict(verb=verb, end=end, start=start, moved=moved, measured=len(drifts))


def base_share(arm: Arm, tag: str) -> float:
    """Return the mean share of a format at the start of the finished runs."""
    bases = [
        sum(of["share"] for of in run.base["formats"] if of["tag"] == tag)
        for run in arm.finished
        if run.base
    ]
    return sum(bases) / len(bases) if bases else 0.0
