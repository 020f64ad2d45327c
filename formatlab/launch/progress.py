"""The progress of a command: each stage under way with its step, leading format and time left.

Workers send `Progress` and `Remark`, and the process that owns the terminal hands them to a
`ProgressDisplay`. On a terminal the stages under way share one live table, below the count of
tasks; stages that ended and remarks stay above it as lines. Elsewhere (a file, a pipe, a batch
system) only plain lines are written, few enough to be kept.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from statistics import median
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from formatlab.show.wording import duration_text
from formatlab.train.progress import Progress

LINE_INTERVAL = 10.0
"""Seconds between two plain lines of one stage, at least."""
RATE_WINDOW = 32
"""Latest intervals from which the time left is estimated."""
SHORTEST_INTERVAL = 0.2
"""Seconds of an interval between two events, at least: events that waited in a queue arrive
together."""
LEAST_INTERVALS, LEAST_SHARE = 3, 0.02
"""No time left is shown before so many intervals and this share of the steps were measured: the
first steps load libraries and compile kernels."""


@dataclass(slots=True)
class _Stage:
    """The latest event of a stage under way, and the pace of its steps."""

    event: Progress
    started: float
    printed: float
    first_step: int
    marks: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=RATE_WINDOW + 1))
    """Time and step at the ends of the latest intervals."""

    def advance(self, event: Progress, now: float) -> None:
        # Begun again, or only now known how long it is: the old pace says nothing.
        if event.step < self.event.step or event.total != self.event.total:
            self.marks.clear()
            self.first_step = event.step
        self.event = event
        time_before, step_before = self.marks[-1] if self.marks else (-inf, -1)
        if event.step > step_before and now - time_before >= SHORTEST_INTERVAL:
            self.marks.append((now, event.step))

    def seconds_left(self) -> float | None:
        """Time left; None before there is an estimate. The median hides one slow checkpoint."""
        measured = self.marks[-1][1] - self.first_step
        if len(self.marks) <= LEAST_INTERVALS or measured < LEAST_SHARE * self.event.total:
            return None
        paces = [(end - begin) / (to - of) for (begin, of), (end, to) in pairwise(self.marks)]
        return median(paces) * max(0, self.event.total - self.event.step)


class ProgressDisplay:
    """Shows the stages under way, live on a terminal and as plain lines elsewhere.

    A context manager, used by one thread. A stage begins with its first event and ends with
    `finish` or `fail`. On the way out, also by Ctrl-C, the terminal is restored.
    """

    def __init__(
        self, console: Console, *, tasks: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Show nothing yet.

        Args:
            console: where to print; on a terminal nothing else may print there meanwhile.
            tasks: number of tasks in all; 0: they are not counted.
            clock: seconds that only grow.
        """
        self._console = console
        self._clock = clock
        self._stages: dict[str, _Stage] = {}
        self._tasks, self._done, self._failed = tasks, 0, 0
        # Elsewhere than on a terminal it shows nothing, and leaves nothing if it is transient.
        self._live = Live(console=console, transient=not console.is_terminal)

    def __enter__(self) -> Self:
        self._live.start()
        self._draw()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, event: Progress) -> None:
        """Show an event; the first one of a stage begins it."""
        now = self._clock()
        stage = self._stages.setdefault(event.stage, _Stage(event, now, -inf, event.step))
        stage.advance(event, now)
        if self._console.is_terminal:
            self._draw()
        elif now - stage.printed >= LINE_INTERVAL:
            stage.printed = now
            self.say(f"{event.stage}: {', '.join(filter(None, _cells(stage)))}")

    def say(self, text: str, style: str = "") -> None:
        """Write a line that stays."""
        # Names and notes are data: no markup, and no line breaks at the width of a terminal.
        self._console.print(
            text, style=style, markup=False, highlight=False, soft_wrap=True, emoji=False
        )

    def done_before(self, tasks: int) -> None:
        """Count tasks that were done before the command, and say how many."""
        self._done += tasks
        if tasks:
            self.say(f"{self._done} of {self._tasks} done before")
            self._draw()

    def finish(self, stage: str, note: str = "", *, task: bool = False) -> None:
        """End a stage that succeeded; `note` says what came out of it.

        With `task` it was the last one of a task, and the line says how many tasks are done.
        """
        self._done += task
        count = f" ({self._done} of {self._tasks})" if task else ""
        self._end(stage, "done", f"{f', {note}' if note else ''}{count}", "green")

    def fail(self, stage: str, reason: str) -> None:
        """End a task that failed."""
        self._failed += 1
        self._end(stage, "failed", f", {reason}", "red")

    def _end(self, name: str, outcome: str, words: str, colour: str) -> None:
        stage = self._stages.pop(name, None)
        took = "" if stage is None else f" after {duration_text(self._clock() - stage.started)}"
        self._draw()
        self.say(f"{name}: {outcome}{took}{words}", style=colour)

    def _draw(self) -> None:
        """Show the count of tasks, and as many stages under way as there is room for."""
        if not self._console.is_terminal:
            return
        # The last column, of notes, is shortened first.
        table = Table.grid(*(Column(no_wrap=True) for _ in range(5)), padding=(0, 2))
        for stage in self._stages.values():
            event = stage.event
            bar = ProgressBar(total=max(event.total, 1), completed=event.step, width=12)
            name, *cells = (Text(text, no_wrap=True) for text in (event.stage, *_cells(stage)))
            table.add_row(name, bar, *cells)
        failed = f", {self._failed} failed" if self._failed else ""
        counts = Text(f"{self._done} of {self._tasks} tasks done{failed}", style="bold")
        self._live.update(Group(counts, table) if self._tasks else table)


def _cells(stage: _Stage) -> tuple[str, str, str, str]:
    """Step, leading format, time left and note; some may be empty."""
    event, left = stage.event, stage.seconds_left()
    leader = event.leader or ""
    if event.leader is not None and event.share is not None:
        leader = f"{event.leader} {event.share:.0%}"
    told = "" if left is None else f"{duration_text(left)} left"
    return f"step {event.step}/{event.total}", leader, told, event.note
