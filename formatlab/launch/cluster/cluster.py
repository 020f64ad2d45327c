"""A cluster: machines that take tasks, with a queue of their own (Ray, Slurm)."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console

from formatlab.errors import FormatlabError, RunError
from formatlab.launch.cluster.assignment import Assignment, Busy
from formatlab.launch.cluster.options import ClusterOptions, is_address
from formatlab.launch.cluster.place import Place
from formatlab.launch.progress import ProgressDisplay
from formatlab.launch.schedule import Outcome, Schedule
from formatlab.store.lock import Watch
from formatlab.study.task import Task
from formatlab.train.progress import Progress, Remark

_LOOK_EVERY = 5.0
"""Seconds between two looks at a task that another launcher is at."""
_ASK_EVERY = 60.0
"""Seconds until a queue that took no more is asked again."""


class NoRoom(RunError):
    """The queue of a cluster takes no more now."""


@dataclass(frozen=True, slots=True)
class Lost:
    """An assignment that ended without a word, with the process or the machine that was at it."""

    reason: str


Event = Progress | Outcome | Busy | Lost | Remark


class Cluster(Protocol):
    """What takes assignments."""

    def submit(self, task: Task, assignment: Assignment) -> None:
        """Queue an assignment; it begins when there is room for it.

        Raises:
            NoRoom: the queue takes no more now.
        """
        ...

    def events(self) -> list[tuple[str, Event]]:
        """What happened since, by a task's address; waits for up to a second."""
        ...

    def cancel(self) -> None:
        """End everything that was submitted and has not ended."""
        ...


@contextmanager
def cluster_of(options: ClusterOptions, runs_dir: str, study: str, jobs: int) -> Iterator[Cluster]:
    """The cluster that `--launcher` names, as long as it lasts.

    Args:
        options: which one, and what each run asks for.
        runs_dir: the runs folder; jobs of Slurm keep their logs there, if it is no address.
        study: name of the study.
        jobs: CPUs of a Ray cluster that is started on this machine.

    Raises:
        InputError: what it needs is not installed, or not there.
        RunError: it cannot be joined.
    """
    if options.launcher == "ray":
        from formatlab.launch.cluster.ray_cluster import ray_cluster

        with ray_cluster(options, jobs) as cluster:
            yield cluster
    else:
        from formatlab.launch.cluster.slurm import SlurmCluster

        here = Path("formatlab-slurm") if is_address(runs_dir) else Path(runs_dir)
        yield SlurmCluster(options, here.absolute() / study / "slurm", study)


def run_on(
    cluster: Cluster,
    tasks: Sequence[Task],
    place: Place,
    *,
    experiment: Path,
    options: ClusterOptions,
    jobs: int,
    console: Console,
) -> dict[str, Outcome]:
    """Do tasks on a cluster; a failed one stops only those that need it.

    A task that was lost is submitted again and goes on from its checkpoint.

    Args:
        cluster: what does them.
        tasks: what to do and what it needs, see `graph`; submitted in order, as soon as it can be.
        place: the runs folder.
        experiment: the experiment file.
        options: threads of each task, and how often it may be lost.
        jobs: most tasks submitted at a time; 0 for all, which the cluster's queue then orders.
        console: where progress is shown.

    Returns:
        An outcome a task, by address.
    """
    with ProgressDisplay(console, tasks=len(tasks)) as display:
        study = _Study(cluster, tasks, place, experiment, options, jobs, display)
        display.done_before(study.schedule.end_done(place.is_done))
        try:
            while not study.schedule.finished:
                study.submit()
                for address, event in cluster.events():
                    study.note(address, event)
        except BaseException:
            cluster.cancel()
            raise
    return study.schedule.outcomes


class _Study:
    """The launcher's account of a study."""

    def __init__(
        self,
        cluster: Cluster,
        tasks: Sequence[Task],
        place: Place,
        experiment: Path,
        options: ClusterOptions,
        jobs: int,
        display: ProgressDisplay,
    ) -> None:
        self.schedule = Schedule(tasks)
        self._cluster, self._place, self._display = cluster, place, display
        self._experiment, self._threads = experiment, options.cpus_per_run
        self._room, self._retries = jobs or len(tasks), options.retries
        self._tasks = {task.address: task for task in tasks}
        self._stages: dict[str, str] = {}
        self._losses: Counter[str] = Counter()
        self._watch = Watch()
        self._next_look: dict[str, float] = {}
        self._refusal, self._next_question = "", 0.0

    def submit(self) -> None:
        """Submit what may begin and nobody is at.

        Raises:
            NoRoom: the queue takes none, and nothing is under way.
        """
        if self._next_question > time.monotonic():
            return
        for task in self.schedule.ready():
            if self._room == 0:
                return
            if self._next_look.get(task.address, 0.0) > time.monotonic():
                continue
            try:
                done, owner = self._place.is_done(task), self._place.owner(task)
            except FormatlabError as error:
                self._end(task, Outcome(task.label, str(error), error.exit_status))
                continue
            except OSError as error:  # a network that is away
                self._wait_for(task, f"the runs folder ({error})")
                continue
            if done:
                self.schedule.end(task, Outcome(task.label))
                self._display.finish_task(task.label, "nothing left to do")
            elif living := self._watch.living(task.address, owner):
                self._wait_for(task, living.words)
            else:
                assignment = Assignment.of(
                    task,
                    self._place,
                    experiment=self._experiment,
                    threads=self._threads,
                    silent=owner,
                )
                try:
                    self._cluster.submit(task, assignment)
                except NoRoom as error:
                    if self.schedule.idle:
                        raise
                    self._ask_again(str(error))
                    return
                self.schedule.begin(task)
                self._room -= 1

    def note(self, address: str, event: Event) -> None:
        """Show an event, and heed it."""
        if isinstance(event, Remark):
            self._display.say(event.text)
            return
        task = self._tasks[address]
        if isinstance(event, Progress):
            if address in self.schedule.outcomes:  # it came late
                return
            stage = self._stages.get(address)
            if stage not in (None, event.stage):
                self._display.finish(stage)
            self._stages[address] = event.stage
            self._display.update(event)
            return
        self._room += 1
        match event:
            case Outcome():
                self._end(task, event)
            case Busy():
                self.schedule.give_back(task)
                self._wait_for(task, event.owner)
            case Lost():
                self._losses[address] += 1
                lost = self._losses[address]
                if lost > self._retries:
                    words = f"it was lost {lost} times; the same command goes on with it"
                    self._end(task, Outcome(task.label, f"{event.reason}; {words}", 1))
                    return
                self.schedule.give_back(task)
                words = f"it goes on from its checkpoint (loss {lost}, {self._retries} allowed)"
                self._display.say(f"{task.label}: {event.reason}; {words}")

    def _ask_again(self, refusal: str) -> None:
        if refusal != self._refusal:
            self._display.say(f"{refusal}; what is left is submitted when there is room")
        self._refusal = refusal
        self._next_question = time.monotonic() + _ASK_EVERY

    def _wait_for(self, task: Task, owner: str) -> None:
        if task.address not in self._next_look:
            self._display.say(f"{task.label}: waiting for {owner}")
        self._next_look[task.address] = time.monotonic() + _LOOK_EVERY

    def _end(self, task: Task, outcome: Outcome) -> None:
        self.schedule.end(task, outcome)
        stage = self._stages.get(task.address, task.label)
        if outcome.error is None:
            self._display.finish_task(stage)
        else:
            self._display.fail(stage, outcome.reason)
