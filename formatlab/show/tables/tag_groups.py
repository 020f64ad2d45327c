"""The table of tagged rollout files by the values of a column: format shares and accuracy of each.

The numbers come from counts of rows, graded, correct, flexible_correct, judged and called_right,
each an array over clusters of prompts, groups and tags. A group is a value of the column, or
neighbouring ones.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from formatlab.measure.bootstrap import ratio_intervals
from formatlab.show.wording import name_text, percent_text

if TYPE_CHECKING:
    import numpy as np
    from rich.table import Table

Group = str | float | bool | None
"""A value of the column; None where a row has none."""

_MOST_FORMATS = 5
_NAME = 20
_WIDEST = 130
"""Characters of a line with all columns."""
_NONE = "(none)"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE]-?\d+)?")
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Values:
    """Values of the column that are shown as one group."""

    name: str
    members: tuple[Group, ...]
    middle: float | None = None
    """Their mean, if all values of the column are numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A fraction with its interval."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupRow:
    """The numbers of one group."""

    values: Values
    rows: int
    shares: dict[str, Estimate]
    """Of every tag, in their order."""
    accuracy: Estimate | None
    """Of the rows that were graded; None without any."""
    flexible: Estimate | None
    """The same, by the flexible reading."""
    called_right: Estimate | None
    """Of the rows that their file judges; None without any."""


def divided(groups: Mapping[Group, int], most: int) -> list[Values]:
    """Divide the values of a column into at most about `most` groups.

    Numbers keep their order, neighbouring ones in one group where there are too many; of other
    values the commonest keep a group each. Rows without a value are the last group.

    Args:
        groups: the values, with their numbers of rows.
        most: groups of values at most, beside those of the rest and of no value.
    """
    there: list[Group] = [value for value in groups if value is not None]
    numbers: dict[Group, float] = {
        value: number for value in there if (number := _number(value)) is not None
    }
    if there and len(numbers) == len(there):
        made = _spans(sorted(there, key=lambda value: numbers[value]), numbers, most)
    else:
        largest = sorted(there, key=lambda value: -groups[value])
        shown = sorted(largest[:most], key=lambda value: _natural(str(value)))
        names = _names(shown)
        named = zip(names, shown, strict=True)
        made = [Values(name=name, members=(value,)) for name, value in named]
        if rest := tuple(largest[most:]):
            made.append(Values(name=f"({len(rest):,} others)", members=rest))
    return [*made, Values(name=_NONE, members=(None,))] if None in groups else made


def _number(value: Group) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value) else None
    return float(value)


def _spans(values: Sequence[Group], numbers: Mapping[Group, float], most: int) -> list[Values]:
    n = min(most, len(values))
    bounds = [round(k * len(values) / n) for k in range(n + 1)]
    made = []
    for first, end in pairwise(bounds):
        members = tuple(values[first:end])
        ends = dict.fromkeys(f"{numbers[value]:.10g}" for value in (members[0], members[-1]))
        middle = sum(numbers[value] for value in members) / len(members)
        made.append(Values(name=" to ".join(ends), members=members, middle=middle))
    return made


def _names(values: Sequence[Group]) -> list[str]:
    """The values as text, without the folder that all of them lie in."""
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    folders = [text.split("/")[:-1] for text in texts]
    shared = 0
    for parts in zip(*folders, strict=False) if len(texts) > 1 else ():
        if len(set(parts)) > 1:
            break
        shared += 1
    return ["/".join(text.split("/")[shared:]) for text in texts]


def _natural(text: str) -> list[tuple[int, str]]:
    parts = _DIGITS.split(text)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def group_rows(
    values: Sequence[Values], tags: Sequence[str], counts: Mapping[str, "np.ndarray"]
) -> list[GroupRow]:
    """The numbers of each group, with intervals over clusters of prompts.

    Args:
        values: G of them.
        tags: F of them.
        counts: name -> (P, G, F).
    """
    rows = counts["rows"]
    of_group = rows.sum(axis=2)  # (P, G)
    columns = rows.reshape(len(rows), -1)  # (P, G * F)
    shares = ratio_intervals(columns, of_group.repeat(len(tags), axis=1))
    totals = rows.sum(axis=0)  # (G, F)
    accuracy = _estimates(counts["correct"], counts["graded"])
    flexible = _estimates(counts["flexible_correct"], counts["graded"])
    called_right = _estimates(counts["called_right"], counts["judged"])
    return [
        GroupRow(
            values=group,
            rows=int(totals[g].sum()),
            shares={
                tag: Estimate(
                    value=totals[g, f] / totals[g].sum(), interval=shares[g * len(tags) + f]
                )
                for f, tag in enumerate(tags)
            },
            accuracy=accuracy[g],
            flexible=flexible[g],
            called_right=called_right[g],
        )
        for g, group in enumerate(values)
    ]


def _estimates(above: "np.ndarray", below: "np.ndarray") -> list[Estimate | None]:
    """The ratio of each group over all tags; counts are (P, G, F)."""
    above, below = above.sum(axis=2), below.sum(axis=2)  # (P, G)
    intervals = ratio_intervals(above, below)
    return [
        Estimate(value=hits / n, interval=interval) if n else None
        for hits, n, interval in zip(above.sum(axis=0), below.sum(axis=0), intervals, strict=True)
    ]


def print_groups(column: str, rows: Sequence[GroupRow], *, interval: str) -> None:
    """Print shares and accuracies by a column.

    Args:
        column: its name.
        rows: its groups.
        interval: what the intervals are.
    """
    from rich.console import Console

    print(f"\nby {name_text(column, 60)}, %")
    console = Console(highlight=False, markup=False, emoji=False)
    # Numbers of which the end is cut off would mislead; a narrow terminal breaks the lines instead.
    console.width = max(console.width, _WIDEST)
    console.print(group_table(column, rows))
    if any(share.interval for row in rows for share in row.shares.values()):
        print(f"[low, high] is the {interval}; with fewer than ten of them there is none")


def group_table(column: str, rows: Sequence[GroupRow]) -> "Table":
    """Lay out a row a group; below each number stands its interval."""
    from rich.table import Table

    tags = list(rows[0].shares)
    shown = tags if len(tags) <= _MOST_FORMATS + 1 else tags[:_MOST_FORMATS]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(name_text(column, _NAME), no_wrap=True)
    names = ["rows", *(name_text(tag, 12) for tag in shown)]
    names += ["other"] if len(shown) < len(tags) else []
    names += ["right"] if any(row.accuracy for row in rows) else []
    names += ["right,\nflexible"] if (differ := readings_differ(rows)) else []
    names += ["right by\nthe file"] if any(row.called_right for row in rows) else []
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        cells = [name_text(row.values.name, _NAME), f"{row.rows:,}"]
        cells += [_cell(row.shares[tag]) for tag in shown]
        if len(shown) < len(tags):
            rest = 1 - sum(row.shares[tag].value for tag in shown)
            cells.append(_percent(max(0.0, rest)))
        cells += [_cell(row.accuracy)] if any(r.accuracy for r in rows) else []
        cells += [_cell(row.flexible)] if differ else []
        cells += [_cell(row.called_right)] if any(r.called_right for r in rows) else []
        table.add_row(*cells)
    return table


def readings_differ(rows: Sequence[GroupRow]) -> bool:
    """Whether the flexible reading finds more right answers than the strict one, in per cent."""
    return any(
        row.accuracy
        and row.flexible
        and _percent(row.accuracy.value) != _percent(row.flexible.value)
        for row in rows
    )


def _cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    if estimate.interval is None:
        return _percent(estimate.value)
    low, high = (round(100 * bound) for bound in estimate.interval)
    return f"{_percent(estimate.value)}\n[{low}, {high}]"


def _percent(share: float) -> str:
    return percent_text(0.0 if share < 1e-9 else share).removesuffix("%")
