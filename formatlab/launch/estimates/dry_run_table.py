"""The table of a dry run: a line a corpus and an arm, as wide as the terminal."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from statistics import mean
from typing import TYPE_CHECKING

from formatlab.launch.estimates.estimate import Estimate
from formatlab.launch.estimates.foreseen import Foreseen, State
from formatlab.launch.estimates.quantity import number_words, size_words, time_words
from formatlab.launch.estimates.seed_range import seed_range
from formatlab.study.ladder_run import BaseTask
from formatlab.study.task import SEEDS, Task
from formatlab.train.pretraining.base import Base, corpus_name

if TYPE_CHECKING:
    from rich.text import Text

STYLES: dict[State, str] = {
    "done": "green",
    "to go on": "yellow",
    "to make again": "yellow",
    "to make": "",
}
"""States in the order in which they are told, with their colours."""

_SEEDS = re.compile(rf" ({SEEDS})\b")
_HEADINGS = (
    ("task", ""),
    ("starts from", ""),
    ("state", ""),
    ("shared by", ""),
    ("time", "each"),
    ("memory", "each"),
    ("disk", "in all"),
)
_TASK, _START, _STATE = range(3)
_NUMBERS = 4
"""Columns from here on are numbers."""
_GAP = "  "
_NARROWEST = 16
"""Columns that long names of tasks get at least."""
_BETWEEN = re.compile(r"(?<=[ +])(?=[^ ])")
"""Where a cell may be broken."""
_UNBROKEN = "\u00a0"
"""A space at which it may not."""
_INDENT = "  "
"""What the further lines of a cell begin with."""


@dataclass(frozen=True, slots=True)
class _Row:
    cells: tuple[str, ...]
    style: str


def table_text(tasks: Sequence[Foreseen], *, width: int | None) -> "Text":
    """Return the table.

    Args:
        tasks: each after what it needs.
        width: columns of the terminal, in which long names get several lines. None: a line an arm,
            however long.
    """
    from rich.text import Text

    arms: dict[str, list[Foreseen]] = {}
    for one in tasks:
        arms.setdefault(_without_seeds(one.task), []).append(one)
    rows = [*_corpus_rows(tasks), *map(_row, arms.values())]
    columns = [[cells[i] for cells in (row.cells for row in rows)] for i in range(len(_HEADINGS))]
    there = [index for index, column in enumerate(columns) if any(column)]
    widths = {
        index: max(map(len, (*_HEADINGS[index], *columns[index])), default=0) for index in there
    }
    if width is not None:
        widths = _fitted(widths, columns, width)
    text = Text(no_wrap=width is None)
    lines = zip(*(_HEADINGS[index] for index in widths), strict=True)
    for line in filter(any, lines):
        text.append(f"{_joined(line, widths)}\n", style="bold")
    for row in rows:
        folded = [_folded(row.cells[index], width) for index, width in widths.items()]
        for line in zip_longest(*folded, fillvalue=""):
            text.append(f"{_joined(line, widths)}\n", style=row.style)
    text.rstrip()
    return text


def counted_words(states: Counter[State]) -> str:
    """How many are in each state."""
    return ", ".join(f"{states[state]} {state}" for state in STYLES if states[state])


def _state_cell(states: Counter[State]) -> str:
    """The same, of one alone just the state; to be broken between states alone."""
    words = counted_words(states) if states.total() > 1 else next(iter(states))
    return ", ".join(map(_unbroken, words.split(", ")))


def _row(arm: Sequence[Foreseen]) -> _Row:
    """What is said of an arm: its own times and sizes, without the corpora that it writes."""
    to_do = [one.estimate for one in arm if one.state != "done"]
    states = Counter[State](one.state for one in arm)
    task = arm[0].task
    scale = f" {task.facts.scale}"  # it is that of the task itself
    shared = max(one.used_by for one in arm)
    cells = (
        _with_seeds([one.task.label for one in arm]),
        ", ".join(_without_seeds(need).replace(scale, "") for need in task.needs),
        _state_cell(states),
        number_words(shared, "run") if shared > 1 else "",
        _words([_less(of.seconds, of.corpus_seconds) for of in to_do], mean, time_words),
        _words([of.memory for of in to_do], max, size_words),
        _words([_less(of.disk, of.corpus_disk) for of in to_do], sum, size_words),
    )
    return _Row(cells, STYLES[next(iter(states))] if len(states) == 1 else "")


def _corpus_rows(tasks: Sequence[Foreseen]) -> Iterator[_Row]:
    """A row for the corpora of each mixture that have to be written."""
    bases: dict[str, list[tuple[Base, Estimate]]] = {}
    for one in tasks:
        if isinstance(one.task, BaseTask):
            base = one.task.base
            bases.setdefault(corpus_name(base.config), []).append((base, one.estimate))
    mixtures: dict[str, list[list[tuple[Base, Estimate]]]] = {}
    for users in bases.values():
        if any(of.corpus_disk for _, of in users):
            mixtures.setdefault(users[0][0].world.mixture.name, []).append(users)
    for mixture, corpora in mixtures.items():
        costs = [of for users in corpora for _, of in users if of.corpus_disk]
        worlds = [f"w{users[0][0].world.seed}" for users in corpora]
        seeds = f" {seed_range(worlds)}" if worlds != ["w0"] else ""
        cells = (
            f"corpus {mixture}{seeds}",
            "",
            _state_cell(Counter[State]({"to make": len(corpora)})),
            number_words(max(map(len, corpora)), "base"),
            time_words(mean(of.corpus_seconds for of in costs)),
            "",
            size_words(sum(of.corpus_disk for of in costs)),
        )
        yield _Row(cells, STYLES["to make"])


def _words(
    numbers: Sequence[float | None],
    gathered: Callable[[list[float]], float],
    words: Callable[[float], str],
) -> str:
    """What numbers come to; nothing of none, and unknown if one of them is."""
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers):
        return "unknown"
    return words(gathered(known)) if known else ""


def _less(whole: float | None, part: float) -> float | None:
    return None if whole is None else whole - part


def _without_seeds(task: Task) -> str:
    """What an arm is called."""
    return _SEEDS.sub("", task.label)


def _with_seeds(labels: Sequence[str]) -> str:
    """The label of an arm, with its seeds in short."""
    seeds = [found[1] for label in labels if (found := _SEEDS.search(label))]
    if len(seeds) < len(labels):
        return labels[0] if len(labels) == 1 else f"{labels[0]} {len(labels)} times"
    return _SEEDS.sub(_unbroken(f" {seed_range(seeds)}"), labels[0], count=1)


def _fitted(widths: dict[int, int], columns: Sequence[Sequence[str]], width: int) -> dict[int, int]:
    """Column -> characters within a width: names are folded last, and never to almost nothing."""
    if _whole(widths) > width:
        parts = [part for cell in columns[_STATE] for part in _BETWEEN.split(cell)]
        most = max(len(part.rstrip()) for part in [_HEADINGS[_STATE][0], *parts])
        widths = widths | {_STATE: most}
    if _whole(widths) > width:
        widths = {index: wide for index, wide in widths.items() if index != _START}
    room = widths[_TASK] - max(0, _whole(widths) - width)
    return widths | {_TASK: max(room, min(_NARROWEST, widths[_TASK]))}


def _whole(widths: Mapping[int, int]) -> int:
    """Characters of a line."""
    return sum(widths.values()) + len(_GAP) * (len(widths) - 1)


def _folded(cell: str, width: int) -> list[str]:
    """The lines of a cell, broken between words and between what is joined with a plus."""
    lines = [""]
    for part in _BETWEEN.split(cell):
        if lines[-1].strip() and len(lines[-1] + part.rstrip()) > width:
            lines.append(_INDENT)
        lines[-1] += part
    return [line.rstrip(" ") for line in lines]


def _joined(cells: Sequence[str], widths: Mapping[int, int]) -> str:
    aligned = [
        cell.rjust(width) if index >= _NUMBERS else cell.ljust(width)
        for cell, (index, width) in zip(cells, widths.items(), strict=True)
    ]
    return _GAP.join(aligned).rstrip().replace(_UNBROKEN, " ")


def _unbroken(words: str) -> str:
    return words.replace(" ", _UNBROKEN)
