"""The attractor of each arm over its seeds, as sentences and as rows.

Under a reward without signal no format can win by it. Such an arm has a drift verdict instead.
"""

from dataclasses import dataclass
from typing import Any

from formatlab.measure import UNDECIDED, SeedInterval, attractor
from formatlab.show.arm import Arm
from formatlab.show.study import Study
from formatlab.show.wording import name_text, percent_text

_UNRECOGNISED = {"none": " (no recognised format)"}


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftVerdict:
    """How the formats of an arm without signal moved."""

    verb: str
    """`unchanged`, `stays with`, `drifts to`, `drifts further to`, `ends with`; if no format leads
    in most seeds `drifts to no one format`, `stays undecided` or `ends undecided`."""
    end: str
    """The format that leads in most seeds at the end, or `undecided`."""
    start: str
    """The format that led in most seeds at the start, or `undecided`."""
    moved: int
    """Finished seeds in which the formats moved beyond chance."""
    measured: int
    """Finished seeds with a probe of the start and of the end."""

    @property
    def drifted_to(self) -> str | None:
        """The format that it drifted to, None if it did not."""
        return self.end if self.verb in ("drifts to", "drifts further to") else None


def drift_verdict(arm: Arm) -> DriftVerdict:
    """Return how the formats of an arm's finished runs moved.

    They drifted if they moved beyond chance in more than half of the seeds, and to the format that
    leads in more than half of the seeds and has gained.
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
        if not most and start != UNDECIDED:
            verb = "ends undecided"
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


def attractor_rows(study: Study) -> list[dict[str, Any]]:
    """Return one row an arm and format: wins and final share over finished, counted seeds.

    The reward has a column if the study has another one than correctness. An arm without signal
    has the format that it drifted to in `drifted_to`, and neither attractor nor wins.
    """
    rows = []
    for arm in study.arms:
        found = arm.attractor
        top, undecided = found.attractor, found.wins.get(UNDECIDED, 0)
        for tag, share in found.shares.items():
            wins = found.wins.get(tag, 0)
            row: dict[str, Any] = {"arm": arm.label}
            if not study.only_correctness:
                row["reward"] = arm.reward.name
            row |= {
                "parameters": arm.parameters,
                "n_seeds": found.n_seeds,
                "attractor": top if arm.reward.has_signal else None,
                "undecided": undecided,
                "tag": tag,
                "wins": wins if arm.reward.has_signal else None,
                "share": share.mean,
                "share_low": share.low,
                "share_high": share.high,
            }
            if study.any_without_signal:
                row["drifted_to"] = None if arm.reward.has_signal else drift_verdict(arm).drifted_to
                row["leads"] = wins
            rows.append(row)
    return rows


def attractor_lines(study: Study) -> list[str]:
    """Return a sentence an arm: the format that its runs end in."""
    return [_signal_line(arm) if arm.reward.has_signal else _drift_line(arm) for arm in study.arms]


def _signal_line(arm: Arm) -> str:
    found = arm.attractor
    if not found.n_seeds:
        return f"{arm.label}: no finished run that counts."
    top = found.attractor
    if top == UNDECIDED:
        return f"{arm.label}: no format wins in most seeds ({_counts(arm)})."
    return (
        f"{arm.label}: {name_text(top)}{_UNRECOGNISED.get(top, '')} wins in "
        f"{found.wins[top]} of {_seeds(found.n_seeds)}; its final share is "
        f"{_share(found.shares[top])}."
    )


def _drift_line(arm: Arm) -> str:
    found = arm.attractor
    if not found.n_seeds:
        return f"{arm.label}: no finished run that counts."
    verdict = drift_verdict(arm)
    chance = f"The formats moved beyond chance in {verdict.moved} of {_seeds(verdict.measured)}."
    top = found.attractor
    if top == UNDECIDED:
        return f"{arm.label}: {verdict.verb}; none leads in most seeds ({_counts(arm)}). {chance}"
    name = f"{name_text(top)}{_UNRECOGNISED.get(top, '')}"
    which = f", {name} leads" if verdict.verb == "unchanged" else f" {name}, which leads"
    start = ""
    if verdict.start != top:
        led = "no format" if verdict.start == UNDECIDED else name_text(verdict.start)
        start = f" At the start {led} led."
    return (
        f"{arm.label}: {verdict.verb}{which} in {found.wins[top]} of "
        f"{_seeds(found.n_seeds)}; its share goes from {percent_text(base_share(arm, top))} to "
        f"{_share(found.shares[top])}.{start} {chance}"
    )


def _counts(arm: Arm) -> str:
    return ", ".join(f"{name_text(tag)} {number}" for tag, number in arm.attractor.wins.items())


def _seeds(number: int) -> str:
    return f"{number} seed{'' if number == 1 else 's'}"


def _share(share: SeedInterval) -> str:
    if share.low is None or share.high is None:
        return f"{percent_text(share.mean)} (one seed)"
    return (
        f"{percent_text(share.mean)} (95% interval over {share.n_seeds} seeds: "
        f"{percent_text(share.low)} to {percent_text(share.high)})"
    )
