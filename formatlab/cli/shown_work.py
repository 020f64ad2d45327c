"""Shown work: what a verb is doing, with what is done and what is left.

On a terminal it is a line that goes away with the work. Elsewhere a plain line is written once the
work has taken `FIRST` seconds, and then now and then, so that quick work writes nothing.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from formatlab.store.track import Track

if TYPE_CHECKING:
    from rich.console import Console

FIRST, NEXT = 2.0, 10.0
"""Seconds until the first plain line, and between two."""

T = TypeVar("T")


@contextmanager
def shown_work(verb: str, console: "Console | None" = None) -> Iterator[Track]:
    """Show the work of a `with` block, which goes through items by the track that it is given.

    Args:
        verb: of the command line.
        console: where to show it; on stderr if not given.
    """
    from rich.console import Console

    console = console or Console(stderr=True)
    with _on_terminal(console) if console.is_terminal else _in_lines(verb, console) as track:
        yield track


@contextmanager
def _on_terminal(console: "Console") -> Iterator[Track]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeLeft())
    bars = Progress(*columns, console=console, transient=True)

    def track(items: Sequence[T], what: str) -> Iterator[T]:
        bar = bars.add_task(what, total=len(items))
        bars.start()
        for item in items:
            yield item
            bars.advance(bar)
        bars.remove_task(bar)
        bars.stop()  # so that others may print there

    try:
        yield track
    finally:
        bars.stop()


@contextmanager
def _in_lines(verb: str, console: "Console") -> Iterator[Track]:
    now, over = "", threading.Event()

    def say() -> None:
        wait = FIRST
        while not over.wait(wait):
            if now:  # between two of them there is nothing to say
                console.print(
                    f"formatlab {verb}: {now}", markup=False, highlight=False, soft_wrap=True
                )
                wait = NEXT

    def track(items: Sequence[T], what: str) -> Iterator[T]:
        nonlocal now
        for done, item in enumerate(items):
            now = f"{what}, {done} of {len(items)} done"
            yield item
        now = ""

    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    try:
        yield track
    finally:
        over.set()
        thread.join()
