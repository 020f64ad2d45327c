"""What a person sees while a study runs: each stage, its step, the leading format, time left.

Workers tell of `Progress`, and now and then make a `Remark`; the process that owns the terminal
hands both to a `ProgressDisplay`. On a terminal the stages under way share one live table, below
which stands how many tasks are done; what has ended stays above it as a line, and so does a remark.
Elsewhere (a file, a pipe, a batch system) only plain lines are written, few enough to be kept.
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
"""Least time between two plain lines of one stage under way, in seconds."""
RATE_WINDOW = 32
"""How many of the latest measurements the time left is estimated from."""
SHORTEST_MEASURE = 0.2
"""Least time over which the pace of a stage is measured, in seconds."""


@dataclass(slots=True)
class _Stage:
    """The latest event of a stage under way, and what its time left is estimated from."""

    event: Progress
    started: float
    printed: float
    measured_step: int
    measured_at: float
    seconds_per_step: deque[float] = field(default_factory=lambda: deque(maxlen=RATE_WINDOW))

    def advance(self, event: Progress, now: float) -> None:
        if event.step < self.event.step:  # begun again: the old pace says nothing
            self.seconds_per_step.clear()
            self.measured_step, self.measured_at = event.step, now
        self.event = event
        steps, seconds = event.step - self.measured_step, now - self.measured_at
        # Events that waited in the queue arrive together; their spacing is no pace of work.
        if steps > 0 and seconds >= SHORTEST_MEASURE:
            self.seconds_per_step.append(seconds / steps)
            self.measured_step, self.measured_at = event.step, now

    def seconds_left(self) -> float | None:
        """Estimate the time left; the median keeps one slow step (a checkpoint) from showing."""
        if not self.seconds_per_step:
            return None
        return median(self.seconds_per_step) * max(0, self.event.total - self.event.step)


class ProgressDisplay:
    """Shows the stages under way, live on a terminal and as plain lines elsewhere.

    Used as a context manager by one thread, which calls `update` for each event it takes from
    the workers' queue. A stage begins with its first event and ends with `finish`, `finish_task` or
    `fail`. Leaving the context, by Ctrl-C as well, gives the terminal back as it was.

    Args:
        console: Where to show it. On a terminal nothing else should print past this console
            while the display is up.
        interactive: Whether to draw live; by default when `console` is a terminal.
        tasks: How many tasks there are in all; 0 where they are not counted.
        clock: Seconds that only grow; replaced by tests.
    """

    def __init__(
        self,
        console: Console,
        interactive: bool | None = None,
        *,
        tasks: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        from rich.live import Live

        self._console = console
        self._clock = clock
        self._stages: dict[str, _Stage] = {}
        self._tasks, self._done, self._failed = tasks, 0, 0
        self._live: Live | None = None
        if console.is_terminal if interactive is None else interactive:
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
            stage = _Stage(
                event=event,
                started=now,
                printed=now,
                measured_step=event.step,
                measured_at=now,
            )
            self._stages[event.stage] = stage
        else:
            stage.advance(event, now)
        if self._live is not None:
            self._draw()
        elif begins or now - stage.printed >= LINE_INTERVAL:
            stage.printed = now
            self._line(_describe(stage))

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._line(text)

    def done_before(self, tasks: int) -> None:
        """Count tasks in whose folders there was nothing left to do, and say how many."""
        self._done += tasks
        if tasks:
            self._line(f"{self._done} of {self._tasks} done before")
            self._draw()

    def finish(self, stage: str, note: str = "") -> None:
        """End a stage that did what it had to; `note` says what came out of it."""
        self._end(stage, "done", note, "green")

    def finish_task(self, stage: str, note: str = "") -> None:
        """End the last stage of a task, which is done, and say how many are."""
        self._done += 1
        self._end(stage, "done", note, "green", f" ({self._done} of {self._tasks})")

    def fail(self, stage: str, reason: str) -> None:
        """End a task whose stage could not go on, because of `reason`."""
        self._failed += 1
        self._end(stage, "failed", reason, "red")

    def _end(self, name: str, outcome: str, detail: str, colour: str, count: str = "") -> None:
        stage = self._stages.pop(name, None)
        took = "" if stage is None else f" after {duration(self._clock() - stage.started)}"
        self._draw()
        self._line(f"{name}: {outcome}{took}{f', {detail}' if detail else ''}{count}", style=colour)

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(self._screen())

    def _line(self, text: str, style: str = "") -> None:
        # Names and notes are data: no markup, and no line breaks at the width of a terminal.
        self._console.print(
            text, style=style, markup=False, highlight=False, soft_wrap=True, emoji=False
        )

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
        table.add_column(no_wrap=True, ratio=1)
        for stage in stages:
            event = stage.event
            table.add_row(
                Text(event.stage),
                ProgressBar(total=max(event.total, 1), completed=event.step),
                Text(f"{event.step}/{event.total}"),
                Text(_leading(event)),
                Text(f"{duration(stage.seconds_left())} left"),
                Text(event.note, style="dim"),
            )
        return table


def _describe(stage: _Stage) -> str:
    event = stage.event
    parts = [
        f"step {event.step}/{event.total}",
        _leading(event),
        f"{duration(stage.seconds_left())} left",
        event.note,
    ]
    return f"{event.stage}: {', '.join(part for part in parts if part)}"


def _leading(event: Progress) -> str:
    if event.leader is None:
        return ""
    return event.leader if event.share is None else f"{event.leader} {event.share:.0%}"


def duration(seconds: float | None) -> str:
    """Write a time in seconds as `m:ss` or `h:mm:ss`; `--` while it is unknown."""
    if seconds is None:
        return "--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
