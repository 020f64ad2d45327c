"""A command that is interrupted while it writes the report."""

import shutil
import signal
from pathlib import Path
from random import Random

import pytest

from tests.faults.command import Command, run
from tests.faults.moments import IN_REPORTS, drawn
from tests.faults.places import places
from tests.faults.soundness import compared
from tests.faults.whole_study import WholeStudy

pytestmark = pytest.mark.faults

KILLS = 8
SEED = 20261121


def test_a_report_that_was_interrupted_is_written_again(
    study: WholeStudy, runs: Path, tmp_path: Path, tally
):
    """What stands in its tables and figures meanwhile is that of before or that of now."""
    of, lot, fell = tally("interrupted report"), Random(SEED), tmp_path / "fell"
    shutil.copytree(study.runs, runs)
    for part in ("tables", "figures"):
        shutil.rmtree(runs / "small" / part)
    for number in range(KILLS):
        strike = drawn(lot, IN_REPORTS[number % len(IN_REPORTS)], "self", fell)
        fell.unlink(missing_ok=True)
        with Command(runs, planted=strike.environment) as command:
            end = command.wait()
        hit = end.status == -signal.SIGKILL
        print(f"seed {SEED}: {strike}: {end.status}")
        of.strike(places(runs), hit=hit)
        of.repeated()
        wrong = [line for line in compared(study.runs, runs).differences if "differs" in line]
        there = [line for line in wrong if (runs / line.removesuffix(" differs")).exists()]
        assert there == []
    of.ended(runs, run(runs))
