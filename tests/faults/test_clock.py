"""Clocks that go backwards, and times of files that lie in the future or long ago."""

import os
import time
from pathlib import Path
from random import Random

import pytest

from tests.faults.command import Command, run
from tests.faults.places import places

pytestmark = pytest.mark.faults

SEED = 20261121


def set_times(runs: Path, lot: Random) -> int:
    """Set the times of all files of a runs folder to some day, before or after now."""
    count = 0
    for path in list(runs.rglob("*")):
        when = time.time() + lot.uniform(-1, 1) * 10 * 365 * 86_400
        try:
            os.utime(path, (when, when))
        except FileNotFoundError:  # it was a temporary one
            continue
        count += 1
    return count


def test_two_launchers_whose_clocks_go_back_end_as_ever(runs: Path, tmp_path: Path, tally):
    """One loses an hour every second, the other three; files get any time twice a second."""
    of, lot, journal = tally("clock going backwards"), Random(SEED), tmp_path / "journal"
    planted = {"FAULTS_JOURNAL": str(journal)}
    with (
        Command(runs, planted={**planted, "FAULTS_CLOCK": "3600"}) as one,
        Command(runs, planted={**planted, "FAULTS_CLOCK": "10800"}) as other,
    ):
        while one.running or other.running:
            if set_times(runs, lot):
                of.strike(places(runs)[:1])
            time.sleep(0.5)
        ends = [one.wait(), other.wait()]
    of.repeated()
    of.repeated()
    for end in ends:
        of.ended(runs, end)
    works = [line.split()[0] for line in journal.read_text().splitlines()]
    assert len(works) == len(set(works))
    of.ended(runs, run(runs, planted={"FAULTS_CLOCK": "3600"}))
