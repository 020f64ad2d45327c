"""Studies as jobs of submitit, whose local executor stands in for Slurm."""

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cluster_study import ended, launch, run_folders, same_results, wait_until, worker
from plain_task import Node

from formatlab.errors import InputError
from formatlab.launch.cluster.slurm import SlurmCluster
from formatlab.launch.executor import TaskEvent
from formatlab.launch.options import LaunchOptions, SlurmOptions
from formatlab.launch.packed_task import PackedTask
from formatlab.launch.runs_root import SharedFolder
from formatlab.launch.schedule import Outcome
from formatlab.store.run_folder import RunFolder
from formatlab.train.progress import Progress, Remark

pytest.importorskip("submitit", reason="needs submitit: pip install 'formatlab[slurm]'")


def slurm(options: LaunchOptions, folder: Path) -> SlurmCluster:
    pack = partial(
        PackedTask.of,
        root=SharedFolder(folder),
        experiment=folder / "experiment.py",
        threads=1,
    )
    return SlurmCluster(options, pack, most=9, folder=folder, study="study")


@pytest.mark.slow
def test_jobs_that_are_preempted_or_lost_go_on_and_end_like_the_local_launcher(
    experiment: Path, hold: Path, reference: Path, tmp_path: Path
):
    runs = tmp_path / "runs"

    def begun() -> list[Path]:
        folders = run_folders(runs)
        return [of for of in folders if list(of.glob("checkpoints/checkpoint-*/WHOLE"))]

    study = launch(experiment, runs, "--launcher", "slurm", "--slurm.cluster", "local")
    wait_until(lambda: len(begun()) == 2, study)
    preempted, lost = begun()
    os.kill(worker(preempted), signal.SIGUSR2)
    os.kill(worker(lost), signal.SIGKILL)
    hold.unlink()
    status, said = ended(study)
    assert status == 0, said
    assert said.count("ended without a word") == 1
    assert "(loss 1, 3 allowed)" in said
    for folder in run_folders(runs):
        (resumed,) = RunFolder.open(folder).resumes()
        assert resumed["step"] > 0
    assert same_results(runs, reference)
    assert list((runs / "side_by_side" / "slurm").glob("*_log.out"))


def test_a_machine_without_slurm_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="there is no Slurm on this machine"):
        slurm(LaunchOptions(launcher="slurm"), tmp_path / "slurm")


def test_sbatch_is_asked_for_what_the_options_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("srun", "sbatch"):  # an sbatch that takes every job
        (tmp_path / name).write_text("#!/bin/sh\necho Submitted batch job 7\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    options = LaunchOptions(
        launcher="slurm",
        gpus_per_run=2,
        memory_gb_per_run=16,
        slurm=SlurmOptions(partition="small", account="lab", minutes=90, options=("qos=low",)),
    )
    cluster = slurm(options, tmp_path / "logs")
    cluster._executor.submit(print)
    (script,) = (tmp_path / "logs").glob("*submission.sh")
    lines = script.read_text().splitlines()
    for line in (
        "--job-name=formatlab-study",
        "--partition=small",
        "--account=lab",
        "--time=90",
        "--gpus-per-node=2",
        "--mem=16GB",
        "--qos=low",
        "--signal=USR2@120",
    ):
        assert f"#SBATCH {line}" in lines


class Submitted:
    """A job of submitit, for as long as it is not done."""

    def __init__(self) -> None:
        self.ended: Outcome | None = None

    def done(self) -> bool:
        return self.ended is not None

    def result(self) -> Outcome | None:
        return self.ended


def test_every_remark_of_a_job_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    options = LaunchOptions(launcher="slurm", slurm=SlurmOptions(cluster="local"))
    cluster = slurm(options, tmp_path)
    told, job = [], Submitted()

    def submit(does: Any) -> Submitted:
        told.append(does._tell)
        return job

    monkeypatch.setattr(cluster._executor, "submit", submit)
    monkeypatch.setattr("formatlab.launch.cluster.slurm._LOOK_EVERY", 0.0)
    task, experiment = Node("a"), tmp_path / "experiment.py"
    experiment.touch()

    def events() -> list[TaskEvent]:
        return [event for _, event in cluster.events()]

    one, two, three = (Remark(f"{n}:\nmade again") for n in ("one", "two", "three"))
    cluster.submit(task, None)
    begun, ended = Progress("a", 0, 1, None, None), Progress("a", 1, 1, None, None)
    for event in (one, begun, two, ended):
        told[0](event)
    assert events() == [one, begun, two, ended]
    assert events() == []
    told[0](three)
    job.ended = Outcome("a")
    assert events() == [three, job.ended]
    assert not list(tmp_path.glob("*.jsonl"))

    job.ended = None  # ended while it wrote, and queued again
    cluster.submit(task, None)
    news = next(iter(cluster._jobs.values())).news
    news.write_text('{"text": "cut')
    assert events() == []
    for event in (two, three):
        told[-1](event)
    assert events() == [three]  # the first one is in the line that was cut short

    job.ended = Outcome("a")
    assert events() == [job.ended]
    job.ended = None  # lost, and submitted again
    cluster.submit(task, None)
    assert events() == []
    told[-1](one)
    assert events() == [one]


@pytest.mark.parametrize("option", ["qos", "qos=", "=low"])
def test_an_option_of_sbatch_has_a_name_and_a_value(option: str, tmp_path: Path):
    options = LaunchOptions(slurm=SlurmOptions(options=(option,), cluster="local"))
    with pytest.raises(InputError, match="give name=value"):
        slurm(options, tmp_path)
