"""The monitor: runs a study's tasks on an executor, and keeps and shows the account of them.

It decides which task may start, waits for the holders of locks, counts how often a task was lost,
and shows progress. The executor starts the processes (see `executor`).
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

from rich.console import Console

from formatlab.errors import FormatlabError
from formatlab.launch.executor import Busy, Executor, Lost, QueueFull, TaskEvent
from formatlab.launch.progress import ProgressDisplay
from formatlab.launch.runs_root import RunsRoot
from formatlab.launch.schedule import Outcome, Schedule
from formatlab.store.lock import Owner, Watch
from formatlab.study.task import Task
from formatlab.train.progress import Progress, Remark

LOOK_EVERY = 2.0
"""Seconds between two looks at a task whose lock another process holds."""
_ASK_EVERY = 60.0
"""Seconds until a full queue is asked again."""
_LASTING = (PermissionError, NotADirectoryError, IsADirectoryError)
"""Errors of a runs folder that no waiting mends."""


class Monitor:
    """The account of a study's tasks: what may start, what runs, how each ended."""

    def __init__(self, tasks: Sequence[Task], display: ProgressDisplay) -> None:
        """Take the tasks, each after what it needs, and where they are shown."""
        self.schedule = Schedule(tasks)
        self._display = display
        self._stages: dict[str, str] = {}

    def skip_done(self, is_done: Callable[[Task], bool]) -> None:
        """End the tasks that were done before this command."""
        self._display.done_before(self.schedule.end_done(is_done))

    def show(self, address: str, event: Progress | Remark) -> None:
        """Show a task's progress; its stage ends when the next one starts."""
        if isinstance(event, Remark):
            self._display.say(event.text)
            return
        if address in self.schedule.outcomes:  # it came late
            return
        stage = self._stages.get(address)
        if stage not in (None, event.stage):
            self._display.finish(stage)
        self._stages[address] = event.stage
        self._display.update(event)

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._display.say(text)

    def end(self, task: Task, outcome: Outcome, note: str = "") -> None:
        """Take note of how a task ended, and show it."""
        self.schedule.end(task, outcome)
        stage = self._stages.get(task.address, task.label)
        if outcome.error is None:
            self._display.finish(stage, note, task=True)
        else:
            self._display.fail(stage, outcome.reason)


def run_tasks(
    executor: Executor,
    tasks: Sequence[Task],
    root: RunsRoot,
    *,
    console: Console,
    retries: int = 0,
) -> dict[str, Outcome]:
    """Run tasks on an executor; a failed one stops only those that need it.

    Args:
        executor: where they run.
        tasks: what to do and what it needs, see `graph`; each starts as soon as it can, in order.
        root: the runs folder.
        console: where progress is shown.
        retries: how often a lost task is submitted again; it resumes from its last checkpoint.

    Returns:
        An outcome a task, by address.
    """
    with ProgressDisplay(console, tasks=len(tasks)) as display:
        monitor = Monitor(tasks, display)
        launch = _Launch(executor, root, monitor, retries)
        monitor.skip_done(root.is_done)
        try:
            while not monitor.schedule.finished:
                launch.submit_ready()
                for address, event in executor.events():
                    launch.handle(address, event)
        except BaseException:
            executor.cancel()
            raise
    return monitor.schedule.outcomes


class _Launch:
    """Submits tasks that may start, and handles the executor's events."""

    def __init__(self, executor: Executor, root: RunsRoot, monitor: Monitor, retries: int) -> None:
        self._executor, self._root, self._monitor = executor, root, monitor
        self._schedule, self._retries = monitor.schedule, retries
        self._losses: Counter[str] = Counter()
        self._watch = Watch()
        self._next_look: dict[str, float] = {}
        self._refusal, self._next_question = "", 0.0

    def submit_ready(self) -> None:
        """Submit what may start, fits, and is not locked by another process.

        Raises:
            QueueFull: the queue takes no task, and none is running.
        """
        for task in self._schedule.ready():
            now = time.monotonic()
            if self._next_question > now or self._next_look.get(task.address, 0.0) > now:
                continue
            if not self._executor.has_room(task):
                continue
            try:
                done, owner = self._root.is_done(task), self._root.owner(task)
            except FormatlabError as error:
                self._monitor.end(task, Outcome(task.label, str(error), error.exit_status))
            except _LASTING as error:
                self._monitor.end(task, Outcome(task.label, f"cannot work there: {error}", 1))
            except OSError as error:  # the network is away
                self._wait_for(task, f"the runs folder ({error})")
            else:
                if done:
                    self._monitor.end(task, Outcome(task.label), "nothing left to do")
                elif living := self._watch.living(task.address, owner):
                    self._wait_for(task, living.words)
                else:
                    self._submit(task, owner)

    def _submit(self, task: Task, silent: Owner | None) -> None:
        try:
            self._executor.submit(task, silent)
        except QueueFull as error:
            if not self._schedule.under_way:
                raise
            if str(error) != self._refusal:
                self._monitor.say(f"{error}; what is left is submitted when there is room")
            self._refusal, self._next_question = str(error), time.monotonic() + _ASK_EVERY
        else:
            self._schedule.under_way.add(task.address)

    def handle(self, address: str, event: TaskEvent) -> None:
        """Show an event and act on it."""
        if isinstance(event, Progress | Remark):
            self._monitor.show(address, event)
            return
        task = self._schedule.tasks[address]
        match event:
            case Outcome():
                self._monitor.end(task, event)
            case Busy():
                self._schedule.under_way.discard(task.address)
                self._wait_for(task, event.owner)
            case Lost():
                self._handle_loss(task, event.reason)

    def _handle_loss(self, task: Task, reason: str) -> None:
        self._losses[task.address] += 1
        lost = self._losses[task.address]
        if lost <= self._retries:
            self._schedule.under_way.discard(task.address)
            words = f"it goes on from its checkpoint (loss {lost}, {self._retries} allowed)"
            self._monitor.say(f"{task.label}: {reason}; {words}")
            return
        times = f"; it was lost {lost} times" if lost > 1 else ""
        error = f"{reason}{times}; the same command goes on"
        with suppress(FormatlabError, OSError):
            if self._root.is_done(task):  # only the outcome was not reported
                self._monitor.end(task, Outcome(task.label))
                return
            self._root.note_loss(task, error)
        self._monitor.end(task, Outcome(task.label, error, 1))

    def _wait_for(self, task: Task, holder: str) -> None:
        if task.address not in self._next_look:
            self._monitor.say(f"{task.label}: waiting for {holder}")
        self._next_look[task.address] = time.monotonic() + LOOK_EVERY
