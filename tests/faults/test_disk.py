"""A disk that is full, and one that cannot be written to any more."""

import shutil
from pathlib import Path

import pytest

from tests.faults.command import Command, run
from tests.faults.moments import WRITTEN
from tests.faults.places import places
from tests.faults.planted_faults import Strike
from tests.faults.small_disk import small_disk
from tests.faults.whole_study import WholeStudy

pytestmark = pytest.mark.faults

ROOM = 40_000
"""Kilobytes; a study takes 7,000."""

MOMENTS = (
    ("base begun", 1, ""),
    ("documents", 3, ""),
    ("base checkpoint", 5, ""),
    ("base weights", 2, ""),
    ("base probe", 1, ""),
    ("run begun", 1, "algorithm=expert_iteration"),
    ("round", 6, "algorithm=expert_iteration"),
    ("start probe", 1, "algorithm=ppo"),
    ("rollouts", 2, "algorithm=ppo"),
    ("checkpoint", 3, "algorithm=ppo"),
    ("metrics", 1, "algorithm=ppo"),
    ("checkpoint", 8, "algorithm=dpo"),
    ("policy", 2, "algorithm=dpo"),
    ("winners", 1, "algorithm=dpo"),
    ("run done", 1, "algorithm=rloo"),
    ("table", 4, ""),
)


def test_a_study_whose_disk_fills_up_goes_on_when_there_is_room(tmp_path: Path, tally):
    of = tally("full disk")
    with small_disk(tmp_path / "disk", ROOM) as disk:
        runs, ballast = disk.folder / "runs", disk.folder / "ballast"
        runs.mkdir()
        for moment, number, only in MOMENTS:
            strike = Strike(
                pattern=WRITTEN[moment][0], number=number, target="fill", place=str(ballast)
            )
            words = ("--only", only) if only else ()
            with Command(runs, *words, planted=strike.environment) as command:
                end = command.wait()
                command.wait_for_group()
            print(f"{moment} {number} {only}: {end.status} {end.errors}")
            assert ballast.exists(), f"{moment} never came"
            of.strike([moment])
            of.repeated()
            assert end.status == 1, end.told
            assert "space" in end.errors, end.told
            assert "Traceback" not in end.told, end.told
            ballast.unlink()
        of.ended(runs, run(runs))


def test_a_disk_that_is_too_small_is_enough_when_it_is_made_larger(tmp_path: Path, tally):
    of = tally("full disk")
    with small_disk(tmp_path / "disk", 700) as disk:
        runs = disk.folder / "runs"
        for size in (1000, 2500, ROOM):
            with Command(runs) as command:
                end = command.wait()
                command.wait_for_group()
            of.strike(["disk too small"])
            of.repeated()
            assert end.status == 1, end.told
            assert "space" in end.errors, end.told
            assert "Traceback" not in end.told, end.told
            disk.resize(size)
        of.ended(runs, run(runs))


def test_a_disk_that_becomes_read_only_is_told_and_gone_on_with(
    study: WholeStudy, tmp_path: Path, tally
):
    of = tally("read-only folder")
    with small_disk(tmp_path / "disk", ROOM) as disk:
        runs, mark = disk.folder / "runs", tmp_path / "mark"
        for moment, number, only in (
            ("pretraining", 4, ""),
            ("metrics", 2, "algorithm=expert_iteration"),
            ("checkpoint", 4, "algorithm=ppo"),
        ):
            strike = Strike(
                pattern=WRITTEN[moment][0], number=number, target="mark", place=str(mark)
            )
            words = ("--only", only) if only else ()
            with Command(runs, *words, planted=strike.environment) as command:
                hit = command.sees(mark)
                if hit:
                    disk.make_read_only()
                fell = places(runs)
                end = command.wait()
                command.wait_for_group()
            of.strike(fell, hit=hit)
            of.repeated()
            mark.unlink()
            assert end.status in (1, 2), end.told
            assert "No permission to write" in end.errors, end.told
            assert "Traceback" not in end.told, end.told
            refused = run(runs)
            of.repeated()
            assert refused.status == 2
            assert f"cannot write to the runs folder {runs}: Read-only" in refused.errors
            disk.resize(ROOM)
        of.ended(runs, run(runs))


def test_a_run_folder_that_is_read_only_harms_no_other(study: WholeStudy, tmp_path: Path, tally):
    of = tally("read-only folder")
    runs = tmp_path / "runs"
    shutil.copytree(study.runs, runs)
    address = study.run("rloo")
    shutil.rmtree(runs / address)
    shutil.rmtree(runs / study.run("ppo"))
    with small_disk(runs / address, 4000) as disk:
        shutil.copytree(study.midway(address), runs / address, dirs_exist_ok=True)
        disk.make_read_only()
        end = run(runs)
        of.strike([f"one run: {place}" for place in places(runs)[:1]])
        of.repeated()
        assert end.status == 2, end.told
        assert f"No permission to write {runs / address}" in end.errors, end.told
        assert "Traceback" not in end.told, end.told
        assert (runs / study.run("ppo") / "DONE").exists()
    of.ended(runs, run(runs))
