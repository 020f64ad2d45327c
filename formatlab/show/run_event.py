"""Events of a run: what training noticed and wrote into `metrics.jsonl`, told in few sentences."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from formatlab.show.wording import name_text

_MOST_KINDS = 3
_MESSAGE_WIDTH = 320


@dataclass(frozen=True, kw_only=True, slots=True)
class RunEvent:
    """Something out of the ordinary at one step."""

    step: int
    """0-based index of the step."""
    kind: str
    """What it is, for example `truncation`; one run may have many of a kind."""
    message: str
    """What happened, for people."""


def run_events(metrics: Iterable[Mapping[str, Any]]) -> list[RunEvent]:
    """Return the events among the lines of `metrics.jsonl`, in order."""
    return [
        RunEvent(
            step=row["step"],
            kind=str(event.get("kind", "event")),
            message=str(event.get("message", "")),
        )
        for row in metrics
        for event in row.get("events") or []
    ]


def event_notes(events: Sequence[RunEvent]) -> list[str]:
    """Return a sentence for each of the first kinds of event, and one for how many more there are.

    Of each kind it tells the first message, and how often and at which steps there was one.
    """
    by_kind: dict[str, list[RunEvent]] = {}
    for event in events:
        by_kind.setdefault(event.kind, []).append(event)
    notes = []
    for kind, of_kind in list(by_kind.items())[:_MOST_KINDS]:
        first, last = of_kind[0], of_kind[-1]
        when = f"step {first.step}"
        if len(of_kind) > 1:
            when = f"{len(of_kind):,} times, steps {first.step} to {last.step}"
        message = name_text(first.message, _MESSAGE_WIDTH).rstrip(".")
        notes.append(
            f"{name_text(kind.replace('_', ' '), 40)} ({when}){f': {message}' if message else ''}."
        )
    further = len(by_kind) - _MOST_KINDS
    if further > 0:
        more = sum(len(of_kind) for of_kind in list(by_kind.values())[_MOST_KINDS:])
        kinds = "kind" if further == 1 else "kinds"
        notes.append(f"{more:,} more of {further} further {kinds}, in metrics.jsonl.")
    return notes
