"""The progress of a command: each stage under way with its step, leading format and time left.

Workers send `Progress` and `Remark`, and the process that owns the terminal hands them to a
`ProgressDisplay`. On a terminal the stages under way share one live table, with the count of tasks
below it; stages that ended and remarks stay above it as lines. Elsewhere (a file, a pipe, a batch
system) only plain lines are written, few enough to be kept.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from types import TracebackType
from typing import TYPE_CHECKING

from formatlab.train.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

LINE_INTERVAL = 10.0
"""Seconds between two plain lines of one stage, at least."""
RATE_WINDOW = 32
"""Latest intervals from which the time left is estimated."""
SHORTEST_INTERVAL = 0.2
"""Seconds of an interval between two events, at least: events that waited in a queue arrive
together."""
LEAST_INTERVALS, LEAST_SHARE = 3, 0.02
"""No time left is told before so many intervals and this share of the steps were measured: the
first steps load libraries and compile kernels."""


@dataclass(slots=True)
class _Stage:
    """The latest event of a stage under way, and the pace of its steps."""

    event: Progress
    started: float
    printed: float
    first_step: int
    measured_step: int
    measured_at: float
    seconds_per_step: deque[float] = field(default_factory=lambda: deque(maxlen=RATE_WINDOW))

    @classmethod
    def begun(cls, event: Progress, now: float) -> _Stage:
        return cls(event, now, now, event.step, event.step, now)

    def advance(self, event: Progress, now: float) -> None:
        # Begun again, or only now known how long it is: the old pace says nothing.
        if event.step < self.event.step or event.total != self.event.total:
            self.seconds_per_step.clear()
            self.first_step, self.measured_step, self.measured_at = event.step, event.step, now
        self.event = event
        steps, seconds = event.step - self.measured_step, now - self.measured_at
        if steps > 0 and seconds >= SHORTEST_INTERVAL:
            self.seconds_per_step.append(seconds / steps)
            self.measured_step, self.measured_at = event.step, now

    def seconds_left(self) -> float | None:
        """Time left; None before there is an estimate. The median hides one slow checkpoint."""
        measured = self.measured_step - self.first_step
        if (
            len(self.seconds_per_step) < LEAST_INTERVALS
            or measured < LEAST_SHARE * self.event.total
        ):
            return None
        return median(self.seconds_per_step) * max(0, self.event.total - self.event.step)


class ProgressDisplay:
    """Shows the stages under way, live on a terminal and as plain lines elsewhere.

    A context manager, used by one thread. A stage begins with its first event and ends with
    `finish`, `finish_task` or `fail`. On the way out, also by Ctrl-C, the terminal is restored.
    """

    def __init__(
        self,
        console: Console,
        *,
        tasks: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Show nothing yet.

        Args:
            console: where to print; on a terminal nothing else may print there meanwhile.
            tasks: number of tasks in all; 0: they are not counted.
            clock: seconds that only grow.
        """
        from rich.live import Live

        self._console = console
        self._clock = clock
        self._stages: dict[str, _Stage] = {}
        self._tasks, self._done, self._failed = tasks, 0, 0
        self._live: Live | None = None
        if console.is_terminal:
            self._live = Live(console=console, refresh_per_second=4)

    def __enter__(self) -> ProgressDisplay:
        if self._live is not None:
            self._live.start()
            self._draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, event: Progress) -> None:
        """Show an event; the first one of a stage begins it."""
        now = self._clock()
        stage = self._stages.get(event.stage)
        begins = stage is None
        if stage is None:
            stage = self._stages[event.stage] = _Stage.begun(event, now)
        else:
            stage.advance(event, now)
        if self._live is not None:
            self._draw()
        elif begins or now - stage.printed >= LINE_INTERVAL:
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

    def finish(self, stage: str, note: str = "") -> None:
        """End a stage that succeeded; `note` says what came out of it."""
        self._end(stage, "done", note, "green")

    def finish_task(self, stage: str, note: str = "") -> None:
        """End the last stage of a task that is done, and say how many tasks are."""
        self._done += 1
        self._end(stage, "done", note, "green", f" ({self._done} of {self._tasks})")

    def fail(self, stage: str, reason: str) -> None:
        """End a task that failed."""
        self._failed += 1
        self._end(stage, "failed", reason, "red")

    def _end(self, name: str, outcome: str, detail: str, colour: str, count: str = "") -> None:
        stage = self._stages.pop(name, None)
        took = "" if stage is None else f" after {duration(self._clock() - stage.started)}"
        self._draw()
        self.say(f"{name}: {outcome}{took}{f', {detail}' if detail else ''}{count}", style=colour)

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(self._screen())

    def _screen(self) -> RenderableType:
        """The stages under way, as many as the terminal has room for, and the count of tasks."""
        from rich.console import Group
        from rich.text import Text

        stages = list(self._stages.values())
        room = max(1, self._console.height - 2)
        more = len(stages) - room
        words = [
            f"{self._done} of {self._tasks} tasks done" if self._tasks else "",
            f"{self._failed} failed" if self._tasks and self._failed else "",
            f"{more} more under way" if more > 0 else "",
        ]
        told = Text(", ".join(filter(None, words)), style="bold")
        return Group(self._table(stages[:room]), *([told] if told else []))

    def _table(self, stages: Sequence[_Stage]) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(no_wrap=True)
        table.add_column(width=12)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(no_wrap=True, ratio=1, style="dim")
        for stage in stages:
            event = stage.event
            bar = ProgressBar(total=max(event.total, 1), completed=event.step)
            table.add_row(Text(event.stage), bar, *map(Text, _cells(stage)))
        return table


def _cells(stage: _Stage) -> tuple[str, str, str, str]:
    """Step, leading format, time left and note; some may be empty."""
    event, left = stage.event, stage.seconds_left()
    leader = event.leader or ""
    if event.leader is not None and event.share is not None:
        leader = f"{event.leader} {event.share:.0%}"
    told = "" if left is None else f"{duration(left)} left"
    return f"step {event.step}/{event.total}", leader, told, event.note


def duration(seconds: float | None) -> str:
    """Write a time in seconds as `m:ss` or `h:mm:ss`; `--` while it is unknown."""
    if seconds is None:
        return "--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
