from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from foreseen_tasks import ESTIMATE, MB, Named, foreseen

from formatlab.launch.devices import Devices
from formatlab.launch.estimates.dry_run_summary import (
    Room,
    summary,
    summary_elsewhere,
    tasks_line,
    warnings,
)
from formatlab.launch.estimates.estimate import UNKNOWN
from formatlab.launch.estimates.foreseen import Foreseen
from formatlab.launch.estimates.outlook import Outlook, outlook
from formatlab.launch.options import LaunchOptions
from formatlab.study.experiment import load_experiment

EXPERIMENT = Path(__file__).parents[3] / "experiments" / "stages.py"
ROOM = Room(cores=2, gpus=0, memory=8000 * MB, disk=10**11)
RAY = LaunchOptions(launcher="ray")


def ahead(tasks: Sequence[Foreseen], jobs: int = 2) -> Outlook:
    to_do = [one for one in tasks if one.state != "done"]
    devices = Devices([], cores=2, jobs=jobs)
    estimates = [one.estimate for one in to_do]
    return outlook([one.task for one in to_do], estimates, devices, cores=8)


def here(tasks: Sequence[Foreseen]) -> list[str]:
    return list(summary(tasks, ahead(tasks), ROOM))


def test_it_is_summed_up():
    tasks = [foreseen(Named("base 0.04M s0"), "done"), foreseen(Named("grpo 0.04M s0"))]
    tasks += [foreseen(Named("grpo 0.04M s1"), "to go on")]
    assert tasks_line(tasks) == "1 base, 2 runs: 1 done, 1 to go on, 1 to make"
    assert here(tasks) == [
        "time    about 50 s, 2 side by side on 2 cores; in all about 1.7 min of work",
        "memory  about 2 GiB at most, of 7.8 GiB that are free: the 2 largest tasks, and 250 MiB "
        "of the launcher",
        "disk    about 11 MiB, of 93 GiB that are free: 4 MiB of results, 2 MiB of checkpoints "
        "while tasks are under way, 5 MiB of report",
        "told from a calibration of this machine",
    ]
    assert list(warnings(tasks, ahead(tasks), ROOM)) == []


def test_elsewhere_only_work_and_disk_are_told():
    tasks = [foreseen(Named(f"grpo 0.04M s{seed}")) for seed in range(300)]
    assert list(summary_elsewhere(tasks, RAY, 0)) == [
        "time    in all about 4.2 h of work, each task as on this machine; how many tasks go side "
        "by side, and so how long it takes, is for Ray to say",
        "disk    about 605 MiB: 600 MiB of results, 5 MiB of report; and up to 1 MiB of "
        "checkpoints for each task under way",
        "told from a calibration of this machine",
    ]
    time, *_ = summary_elsewhere(tasks, replace(RAY, launcher="slurm"), 8)
    assert "side by side, at most 8, and so how long it takes, is for Slurm to say" in time


def test_what_is_unknown_is_said_to_be():
    one = replace(foreseen(Named("grpo 0.04M s0")), estimate=UNKNOWN)
    assert here([one]) == [
        "time    unknown: only models of the ladder are tried out beforehand, and not with vLLM"
    ]
    time, *rest = summary_elsewhere([one], RAY, 0)
    assert time.startswith("time    unknown: ") and not rest
    time, memory, disk, _ = here([one, foreseen(Named("grpo 0.04M s1"))])
    assert time == (
        "time    at least 50 s, 2 side by side on 2 cores; in all at least 50 s of work; not known "
        "of 1 task"
    )
    assert memory.startswith("memory  at least ")
    assert disk.startswith("disk    at least ")


def test_a_time_that_is_known_alone_is_told():
    time = replace(UNKNOWN, source="finished runs", seconds=60.0)
    assert here([replace(foreseen(Named("grpo m s0")), estimate=time)]) == [
        "time    about 60 s, 1 side by side on 2 cores; in all about 60 s of work",
        "told from finished runs",
    ]


def test_a_study_that_is_done_needs_nothing():
    tasks = [foreseen(Named("grpo 0.04M s0"), "done")]
    assert tasks_line(tasks) == "1 run: 1 done"
    assert here(tasks) == list(summary_elsewhere(tasks, RAY, 0)) == []
    assert list(warnings(tasks, ahead(tasks), ROOM)) == []


def test_too_little_memory_is_warned_of_with_the_jobs_that_fit():
    tasks = [foreseen(Named(f"grpo 0.04M s{seed}")) for seed in range(8)]
    (line,) = warnings(tasks, ahead(tasks, jobs=8), replace(ROOM, memory=3000 * MB))
    assert "more memory than is free" in line and "--jobs 2" in line
    unknown = replace(ROOM, memory=None)
    assert list(warnings(tasks, ahead(tasks, jobs=8), unknown)) == []


def test_where_not_one_fits_the_options_of_the_largest_are_named():
    runs = load_experiment(EXPERIMENT)[1]["demo"].runs()
    large = replace(ESTIMATE, memory=5000 * MB)
    tasks = [
        replace(foreseen(run), estimate=large if run.facts.algorithm == "dpo" else ESTIMATE)
        for run in runs
    ]
    (line,) = warnings(tasks, ahead(tasks), replace(ROOM, memory=2000 * MB))
    assert line == (
        "This needs more memory than is free: not even one fits; lower --dpo.micro-batch and "
        "--probe.batch (or what the experiment's file says of them), or free some."
    )


def test_too_little_disk_is_warned_of():
    tasks = [foreseen(Named("grpo 0.04M s0"))]
    (line,) = warnings(tasks, ahead(tasks), replace(ROOM, disk=MB))
    assert "more disk than is free" in line and "--runs-dir" in line
