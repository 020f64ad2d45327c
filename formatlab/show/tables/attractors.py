"""What each arm ends in, over its seeds: as sentences and as rows.

Under a reward without signal no format can win by it: such arms drift, or stay.
"""

from typing import Any

from formatlab.measure import UNDECIDED, SeedInterval
from formatlab.show.arm import Arm
from formatlab.show.study import Study
from formatlab.show.tables.drift import base_share, drift_verdict
from formatlab.show.wording import name_text, percent_text

_UNRECOGNISED = {"none": " (no recognised format)"}


def attractor_rows(study: Study) -> list[dict[str, Any]]:
    """Return one row an arm and format: wins and final share over finished, counted seeds.

    Studies with another reward than correctness have its name in a column; there the format that
    an arm without signal has most of is `drifted_to`, and it has neither attractor nor wins.
    """
    rows = []
    for arm in study.arms:
        found = arm.attractor
        top, undecided = found.attractor, found.wins.get(UNDECIDED, 0)
        for tag, share in found.shares.items():
            wins = found.wins.get(tag, 0)
            row: dict[str, Any] = {"arm": arm.label}
            if not study.only_correctness:
                row["reward"] = arm.reward
            row |= {
                "parameters": arm.parameters,
                "n_seeds": found.n_seeds,
                "attractor": top if arm.has_signal else None,
                "undecided": undecided,
                "tag": tag,
                "wins": wins if arm.has_signal else None,
                "share": share.mean,
                "share_low": share.low,
                "share_high": share.high,
            }
            if study.any_without_signal:
                row["drifted_to"] = None if arm.has_signal else drift_verdict(arm).drifted_to
                row["leads"] = wins
            rows.append(row)
    return rows


def attractor_lines(study: Study) -> list[str]:
    """Return a sentence an arm: what its runs end in."""
    return [_signal_line(arm) if arm.has_signal else _drift_line(arm) for arm in study.arms]


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
