"""The tally: what was broken how often, where it fell, and what came of it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.faults.command import End
from tests.faults.soundness import Comparison, compared

_EVENT = "fault"


class Tally:
    """Takes note of what happens in one test; notes travel with its report."""

    def __init__(self, item: pytest.Item, fault: str, whole: Path) -> None:
        self._item, self._fault, self._whole = item, fault, whole

    def strike(self, places: Iterable[str], *, hit: bool = True) -> None:
        """A fault was injected; `hit` says whether it fell on something."""
        self._note(injected=1, hit=int(hit), places=list(places) if hit else [])

    def repeated(self) -> None:
        """The command was run again."""
        self._note(commands=1)

    def ended(self, runs: Path, end: End, starved: Collection[str] = ()) -> None:
        """The command, run again, came to its end: the study has to equal one that ran through.

        Of the runs named, workers were short of memory; see `compared`.
        """
        assert (end.status, end.errors) == (0, ""), end.told
        comparison = compared(self._whole, runs, starved)
        self._note(
            studies=1,
            tables=comparison.tables,
            equal_tables=comparison.equal_tables,
            lost=comparison.lost,
            doubled=comparison.doubled,
        )
        assert not _wrong(comparison), "\n".join(_wrong(comparison))

    def _note(self, **numbers: Any) -> None:
        self._item.user_properties.append((_EVENT, {"fault": self._fault, **numbers}))


def _wrong(comparison: Comparison) -> Sequence[str]:
    rollouts = [
        f"{count} rollouts {word}"
        for word, count in (("lost", comparison.lost), ("doubled", comparison.doubled))
        if count
    ]
    return [*comparison.differences, *rollouts]


def summary(reports: Iterable[Any]) -> Iterator[str]:
    """Lines for people: a row a fault, and below it where it fell."""
    numbers: dict[str, Counter[str]] = defaultdict(Counter)
    places: dict[str, Counter[str]] = defaultdict(Counter)
    for report in reports:
        for name, event in report.user_properties:
            if name == _EVENT:
                fault = event["fault"]
                places[fault].update(event.get("places", ()))
                for key, value in event.items():
                    if isinstance(value, int):
                        numbers[fault][key] += value
    if not numbers:
        return
    width = max(map(len, numbers))
    yield f"{'fault':{width}}  injected  hit  commands  ends  tables equal  lost  doubled"
    total: Counter[str] = Counter()
    for fault, of in numbers.items():
        total.update(of)
        yield f"{fault:{width}}  {_row(of)}"
        for place, count in sorted(places[fault].items()):
            yield f"{'':{width}}    {count:3} x {place}"
    yield f"{'all':{width}}  {_row(total)}"
    yield (
        "injected: faults tried; hit: those that fell on work; commands: times that one was run; "
        "ends: times that the study was done and compared to one that ran through; lost, doubled: "
        "rollouts"
    )


def _row(of: Counter[str]) -> str:
    tables = f"{of['equal_tables']}/{of['tables']}"
    return (
        f"{of['injected']:8}  {of['hit']:3}  {of['commands']:8}  {of['studies']:4}  {tables:>12}  "
        f"{of['lost']:4}  {of['doubled']:7}"
    )
