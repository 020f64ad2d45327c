"""Workers that run out of memory, or are killed because of it."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.faults.command import Command, run
from tests.faults.moments import WRITTEN
from tests.faults.places import places
from tests.faults.planted_faults import Strike
from tests.faults.whole_study import WholeStudy

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("more", [0, 30_000_000, 150_000_000])
def test_a_worker_that_may_take_no_more_memory_says_so(
    study: WholeStudy, runs: Path, tally, more: int
):
    """It gets further or less far; with enough, to the end. What is starved may raise anything.

    What it wrote before is kept; of that, real values need to be equal to 1e-5 only.
    """
    of = tally("worker out of memory")
    shutil.copytree(study.runs, runs)
    addresses = [study.run(name) for name in ("grpo", "expert_iteration", "dpo")]
    for address in addresses:
        shutil.rmtree(runs / address)
    with Command(runs, planted={"FAULTS_MEMORY": str(more)}) as command:
        end = command.wait()
        command.wait_for_group()
    failed = [line for line in end.errors.splitlines() if "formatlab run: " in line]
    print(f"{more} more bytes: {end.status}\n{end.told}")
    for line in failed:
        of.strike([f"{more:,} bytes more: {line.rpartition(': ')[2].partition(';')[0]}"])
    if not failed:
        of.strike([], hit=False)
    of.repeated()
    missing = [address for address in addresses if not (runs / address / "DONE").exists()]
    assert len(failed) == len(missing), end.told
    assert end.status == (1 if failed else 0), end.told
    of.ended(runs, run(runs), starved=addresses)


def test_a_worker_that_the_system_kills_is_told_and_the_others_go_on(
    study: WholeStudy, runs: Path, tmp_path: Path, tally
):
    of, mark = tally("worker killed, out of memory"), tmp_path / "mark"
    shutil.copytree(study.runs, runs)
    names = ("grpo", "ppo", "dpo")
    for address in (study.run(name) for name in names):
        shutil.rmtree(runs / address)
    strike = Strike(
        pattern=WRITTEN["checkpoint"][0].replace(r"[^/]+", r"[^/]+-ppo-[^/]+", 1),
        number=9,
        target="self",
        place=str(mark),
    )
    with Command(runs, planted=strike.environment) as command:
        end = command.wait()
        command.wait_for_group()
    assert mark.exists(), end.told
    of.strike(mark.read_text().splitlines())
    of.repeated()
    assert end.status == 1
    assert "the process was ended by SIGKILL (often: out of memory; use fewer --jobs)" in end.errors
    assert "Traceback" not in end.told, end.told
    for name in ("grpo", "dpo"):
        assert (runs / study.run(name) / "DONE").exists()
    assert not (runs / study.run("ppo") / "DONE").exists()
    of.ended(runs, run(runs))


def test_a_worker_that_is_killed_while_it_speaks_keeps_no_other_from_speaking(
    study: WholeStudy, runs: Path, tally
):
    of = tally("worker killed, out of memory")
    shutil.copytree(study.runs, runs)
    for address in (study.run("grpo"), study.run("dpo")):
        shutil.rmtree(runs / address)
    with Command(runs, planted={"FAULTS_MUTE": ".*-grpo-.*"}) as command:
        end = command.wait()
        command.wait_for_group()
    of.strike(["in the middle of a word"])
    of.repeated()
    assert end.status == 1
    assert "grpo 0.04M s0: the process was ended by SIGKILL" in end.errors
    assert (runs / study.run("dpo") / "DONE").exists()
    of.ended(runs, run(runs))


def test_what_waits_for_a_base_whose_worker_is_killed_is_not_begun(
    study: WholeStudy, runs: Path, tmp_path: Path, tally
):
    of, mark = tally("worker killed, out of memory"), tmp_path / "mark"
    strike = Strike(pattern=WRITTEN["pretraining"][0], number=8, target="mark", place=str(mark))
    with Command(runs, planted=strike.environment) as command:
        assert command.sees(mark)
        (worker,) = command.workers()
        os.kill(worker, signal.SIGKILL)
        end = command.wait()
        command.wait_for_group()
    of.strike(places(runs))
    of.repeated()
    assert end.status == 1
    assert "base 0.04M s0: the process was ended by SIGKILL" in end.errors
    assert end.errors.count("not begun, because base 0.04M s0 failed") >= 6
    assert "Traceback" not in end.told, end.told
    shutil.copytree(
        study.runs / "small", runs / "small", dirs_exist_ok=True
    )  # the base alone is made
    of.ended(runs, run(runs))
