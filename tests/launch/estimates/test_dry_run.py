import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from rich.console import Console

from formatlab.launch.devices import Devices
from formatlab.launch.estimates import dry_run
from formatlab.launch.estimates.dry_run import (
    Planned,
    Room,
    State,
    print_dry_run,
    size_words,
    summary,
    table_of,
    time_words,
    warnings,
)
from formatlab.launch.estimates.estimate import DONE, UNKNOWN, Estimate
from formatlab.launch.estimates.outlook import Outlook, outlook
from formatlab.launch.estimates.trial import Cost, Trial
from formatlab.launch.experiment import load_experiment
from formatlab.launch.study import LadderStudy
from formatlab.launch.task import Emit, Task, graph
from formatlab.store.run_folder import RunFolder

MB = 2**20
EXPERIMENT = Path(__file__).parents[3] / "experiments" / "scale_attractors.py"
ESTIMATE = Estimate(
    source="calibration",
    seconds=50.0,
    memory=900 * MB,
    gpu_memory=0,
    disk=2 * MB,
    scratch=MB,
)
ROOM = Room(cores=2, gpus=0, memory=8000 * MB, disk=10**11)


@dataclass(frozen=True)
class Named(Task):
    """A task that has a label, and nothing more."""

    label: str = ""  # pyright: ignore[reportIncompatibleMethodOverride]
    needs: tuple[Task, ...] = ()  # pyright: ignore[reportIncompatibleMethodOverride]

    @property
    def address(self) -> str:
        return f"study/{self.label}"

    @property
    def facts(self) -> Mapping[str, str]:
        kind = "base" if self.label.startswith("base") else "run"
        return {"kind": kind, "scale": "0.04M"}

    @property
    def steps(self) -> int:
        return 1

    def execute(self, runs: Path, emit: Emit) -> None:
        raise AssertionError("a dry run does nothing")


def planned(task: Task, state: State = "to make", **changes: object) -> Planned:
    estimate = DONE if state == "done" else ESTIMATE
    return Planned(task=task, state=state, estimate=replace(estimate, **changes), used_by=0)


def shown(tasks: Sequence[Planned], width: int = 100) -> list[str]:
    """Lines of the table, without its headings and with single spaces."""
    console = Console(file=io.StringIO(), width=width, soft_wrap=True)
    console.print(table_of(tasks))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    return [" ".join(line.split()) for line in lines[1:]]


def ahead(tasks: Sequence[Planned], jobs: int = 2) -> Outlook:
    to_do = [one for one in tasks if one.state != "done"]
    devices = Devices([], cores=2, jobs=jobs)
    estimates = [one.estimate for one in to_do]
    return outlook([one.task for one in to_do], estimates, devices, cores=8)


def test_each_task_says_what_it_starts_from_and_what_it_takes():
    base = Named("base 0.04M s0")
    lines = shown([planned(base), planned(Named("grpo 0.04M s0", (base,)))])
    assert lines == [
        "base 0.04M s0 to make 50 s 900 MiB 2 MiB",
        "grpo 0.04M s0 base to make 50 s 900 MiB 2 MiB",
    ]


def test_seeds_of_an_arm_share_a_line():
    tasks = [planned(Named(f"grpo 0.04M s{seed}, temperature 0.7")) for seed in range(200)]
    tasks += [planned(Named(f"grpo 0.04M s{seed}, temperature 1.0"), "done") for seed in range(3)]
    assert shown(tasks) == [
        "grpo 0.04M s0-s199, temperature 0.7 200 to make 50 s 900 MiB 400 MiB",
        "grpo 0.04M s0-s2, temperature 1.0 3 done",
    ]


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        (["s3"], "s3"),
        (["s1", "s2"], "s1-s2"),
        (["s0", "s7"], "2 times"),
        (["w1s0", "w2s0"], "2 times"),
        (["s0.1", "s0.2", "s0.3"], "3 times"),
    ],
)
def test_seeds_are_told_in_short(seeds: list[str], words: str):
    (line,) = shown([planned(Named(f"grpo 0.04M {seed}")) for seed in seeds])
    assert line.startswith(f"grpo 0.04M {words} ")


def test_states_of_an_arm_are_counted():
    states: list[State] = ["done", "to make", "to go on", "to make"]
    tasks = [planned(Named(f"grpo 0.04M s{seed}"), state) for seed, state in enumerate(states)]
    (line,) = shown(tasks)
    assert "1 done, 1 to go on, 2 to make" in line
    assert line.endswith("50 s 900 MiB 6 MiB")


def test_stages_that_are_shared_say_so():
    base = Named("base 0.04M s0")
    stage = replace(planned(Named("sft prose 0.04M s0", (base,))), used_by=3)
    last = Named("sft prose, grpo 0.04M s0", (stage.task,))
    lines = shown([planned(base), stage, planned(last)])
    assert lines[1].startswith("sft prose 0.04M s0 base to make 3 runs ")
    assert lines[2].startswith("sft prose, grpo 0.04M s0 sft prose to make 50 s")


def test_what_is_unknown_is_said_to_be():
    one = replace(planned(Named("grpo smollm2-135m s0")), estimate=UNKNOWN)
    assert shown([one]) == ["grpo smollm2-135m s0 to make unknown unknown unknown"]
    assert "is unknown" in list(summary([one], ahead([one]), ROOM))[1]
    both = [one, planned(Named("grpo 0.04M s0"))]
    lines = list(summary(both, ahead(both), ROOM))
    assert (
        lines[1] == "time    at least 50 s, 2 side by side on 2 cores; not all is known of 1 task"
    )
    assert lines[2].startswith("memory  at least ")


def test_it_is_summed_up():
    tasks = [planned(Named("base 0.04M s0"), "done"), planned(Named("grpo 0.04M s0"))]
    tasks += [planned(Named("grpo 0.04M s1"), "to go on")]
    assert list(summary(tasks, ahead(tasks), ROOM)) == [
        "\n1 base, 2 runs: 1 done, 1 to go on, 1 to make",
        "time    about 50 s, 2 side by side on 2 cores",
        "memory  about 2 GiB at most, of 7.8 GiB that are free",
        "disk    about 11 MiB, of 93 GiB that are free",
        "told from a calibration of this machine",
    ]
    assert list(warnings(tasks, ahead(tasks), ROOM)) == []


def test_a_study_that_is_done_needs_nothing():
    tasks = [planned(Named("grpo 0.04M s0"), "done")]
    assert list(summary(tasks, ahead(tasks), ROOM)) == ["\n1 run: 1 done"]
    assert list(warnings(tasks, ahead(tasks), ROOM)) == []


def test_too_little_memory_is_warned_of_with_the_jobs_that_fit():
    tasks = [planned(Named(f"grpo 0.04M s{seed}")) for seed in range(8)]
    (line,) = warnings(tasks, ahead(tasks, jobs=8), replace(ROOM, memory=3000 * MB))
    assert "more memory than is free" in line and "--jobs 2" in line
    (line,) = warnings(tasks, ahead(tasks, jobs=8), replace(ROOM, memory=500 * MB))
    assert "micro_batch" in line
    unknown = replace(ROOM, memory=None)
    assert list(warnings(tasks, ahead(tasks, jobs=8), unknown)) == []


def test_too_little_disk_is_warned_of():
    tasks = [planned(Named("grpo 0.04M s0"))]
    (line,) = warnings(tasks, ahead(tasks), replace(ROOM, disk=MB))
    assert "more disk than is free" in line and "--runs-dir" in line


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0.2 s"),
        (54.6, "55 s"),
        (89, "89 s"),
        (120, "2 min"),
        (3000, "50 min"),
        (9000, "2.5 h"),
        (86_400 * 4, "4 days"),
    ],
)
def test_times_are_told_in_a_fitting_unit(seconds: float, words: str):
    assert time_words(seconds) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [(1, "1 KiB"), (300 * 1024, "300 KiB"), (3 * MB, "3 MiB"), (5 * 2**30, "5 GiB")],
)
def test_sizes_are_told_in_a_fitting_unit(size: int, words: str):
    assert size_words(size) == words


class Known(dry_run.Calibration):
    """A calibration that knows everything."""

    def cost(self, trial: Trial) -> Cost:
        return Cost(seconds=1.0, memory=500 * MB, tokens=50.0)

    def missing(self, trials: Iterable[Trial]) -> list[Trial]:
        return []


def test_a_study_is_described_and_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dry_run, "Calibration", Known)
    monkeypatch.setattr(dry_run, "find_gpus", list)
    study = load_experiment(EXPERIMENT)[1]["cpu"]
    assert isinstance(study, LadderStudy)
    tasks = graph(study.runs())
    folder = RunFolder.create(tmp_path / tasks[0].address, config={}, env={})
    folder.append_metrics({"step": 0, "seconds": 1.0})
    before = sorted(tmp_path.rglob("*"))
    console = Console(file=io.StringIO(), width=80, soft_wrap=True)
    print_dry_run(tasks, tmp_path, experiment=EXPERIMENT, jobs=2, console=console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert sorted(tmp_path.rglob("*")) == before
    assert "base 0.27M s0-s4" in text and "grpo 0.04M s0-s4" in text
    assert "20 bases, 20 runs: 1 to go on, 39 to make" in text
    assert max(map(len, text.splitlines())) <= 80
