"""How well signals warn of a collapse: the table for people, and its numbers."""

from typing import Any

from formatlab.measure.alarms import Alarms, Warnings
from formatlab.measure.statistic import NOT_DEFINED, Estimate
from formatlab.show.tables.table import interval_columns, wide_console
from formatlab.show.wording import fraction_text
from formatlab.store.alarm import FALLING

CHOSEN = "chosen by the other seeds"
"""The row of the signal and threshold that each seed's others choose."""

WORDS = {
    "share_slope": "share slope",
    "leader_share": "leader's share",
    "format_information": "I(F;X)",
    "format_entropy": "H(F)",
    "format_entropy_given_prompt": "H(F|X)",
    "token_entropy": "token entropy",
    "kl": "KL",
    "reward_spread": "reward spread",
}
"""What people call a signal."""

_NOTE = (
    "AUC: probability that a run that collapses comes closer to an alarm in its first {steps} "
    "steps than one that does not; .5 says nothing. Threshold: the best on all runs. The other "
    "columns: each seed at the threshold that the other seeds choose; warned: collapses that the "
    "alarm comes before; lead: median steps from it to the collapse. [95%]: bootstrap over {bases} "
    "bases, none below ten. Null arms: random, no and inverted reward."
)


def alarm_rows(found: Alarms, steps: int) -> list[dict[str, Any]]:
    """The numbers, a row a signal, and one of the choice by other seeds.

    Args:
        found: how well signals warn.
        steps: the first steps that were read.
    """
    rows = [
        {
            "signal": of.signal,
            "steps": steps,
            **_interval("auc", of.auc),
            **_interval("behind_best", of.behind),
            "warns_at": "or below" if of.signal in FALLING else "or above",
            "threshold": of.threshold,
            **_columns("", of.held_out),
            **_columns("fitted_", of.fitted),
        }
        for of in found.signals
    ]
    chosen = dict.fromkeys(rows[0]) | {"signal": CHOSEN, "steps": steps}
    return [*rows, chosen | _columns("", found.chosen_elsewhere)]


def curve_rows(found: Alarms, steps: int) -> list[dict[str, Any]]:
    """The curve of each signal, a row a threshold, on all runs."""
    return [
        {"signal": of.signal, "steps": steps, "threshold": threshold, **_columns("", warnings)}
        for of in found.signals
        for threshold, warnings in of.curve
    ]


def print_alarms(found: Alarms, steps: int) -> None:
    """Print a row a signal, the best first."""
    from rich.table import Table

    table = Table("signal", box=None, pad_edge=False)
    for heading in ("AUC", "less the best", "threshold", "warned", "false alarms"):
        table.add_column(heading, justify="right")
    table.add_column("in null arms", justify="right")
    table.add_column("lead", justify="right")
    for place, of in enumerate(found.signals):
        table.add_row(
            WORDS[of.signal],
            _text(of.auc),
            _text(of.behind) if place else "",
            f"{'<=' if of.signal in FALLING else '>='} {of.threshold:.3g}",
            *_cells(of.held_out),
        )
    table.add_row(CHOSEN, "", "", "", *_cells(found.chosen_elsewhere))
    wide_console().print(table)
    print(f"\n{_NOTE.format(steps=steps, bases=found.n_bases)}")


def _cells(warnings: Warnings | None) -> list[str]:
    if warnings is None:
        return ["-"] * 4
    lead = warnings.lead
    steps = f"{lead.value:.0f}" if warnings.n_detected else "-"
    return [
        f"{warnings.n_detected} of {warnings.n_collapsed}{_bounds(warnings.detected)}",
        f"{warnings.n_false} of {warnings.n_others}{_bounds(warnings.false_alarms)}",
        f"{warnings.n_null_false} of {warnings.n_null}",
        steps if lead.low is None else f"{steps} [{lead.low:.0f}, {lead.high:.0f}]",
    ]


def _bounds(of: Estimate) -> str:
    return "" if of.low is None else f" [{fraction_text(of.low)}, {fraction_text(of.high)}]"


def _text(of: Estimate) -> str:
    return f"{fraction_text(of.value)}{_bounds(of)}"


def _columns(prefix: str, warnings: Warnings | None) -> dict[str, Any]:
    counted = ("detected", "collapsed", "false", "others", "null_false", "null")
    return {
        **_interval(f"{prefix}detected", warnings and warnings.detected),
        **_interval(f"{prefix}false_alarms", warnings and warnings.false_alarms),
        **_interval(f"{prefix}lead", warnings and warnings.lead),
        **{f"{prefix}n_{of}": warnings and getattr(warnings, f"n_{of}") for of in counted},
    }


def _interval(name: str, of: Estimate | None) -> dict[str, float | None]:
    of = of or NOT_DEFINED
    value = None if of.value != of.value else of.value
    return interval_columns(name, None if value is None else (value, of.low, of.high))
