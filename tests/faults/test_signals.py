"""SIGTERM and SIGINT, to the launcher, to a worker, to all at once."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.faults.command import Command, End, run
from tests.faults.moments import WRITTEN
from tests.faults.places import places
from tests.faults.planted_faults import Strike

pytestmark = pytest.mark.faults

Send = Callable[[Command], None]
WORDS_OF_CTRL_C = "the same command goes on from there"


def to_launcher(number: signal.Signals) -> Send:
    return lambda command: command.send(number)


def to_all(number: signal.Signals) -> Send:
    return lambda command: command.send_to_all(number)


def to_worker(number: signal.Signals) -> Send:
    return lambda command: os.kill(Random(command.launcher).choice(command.workers()), number)


def struck(runs: Path, mark: Path, moment: str, number: int, send: Send) -> tuple[End, list[str]]:
    """Run the command, send a signal at a moment, and say how it ended and where that fell."""
    mark.unlink(missing_ok=True)
    strike = Strike(pattern=WRITTEN[moment][0], number=number, target="mark", place=str(mark))
    with Command(runs, planted=strike.environment) as command:
        assert command.sees(mark), f"{moment} never came"
        send(command)
        fell = places(runs)
        end = command.wait()
        command.wait_for_group()
    return end, fell


def test_a_study_that_is_told_to_end_goes_on_with_the_same_command(
    runs: Path, tmp_path: Path, tally
):
    """The worker's comes last: the launcher goes on with what does not need its task."""
    moments = (
        ("SIGINT, as Ctrl-C", signal.SIGINT, "documents", 1, to_all),
        ("SIGTERM", signal.SIGTERM, "pretraining", 5, to_launcher),
        ("SIGINT, as Ctrl-C", signal.SIGINT, "pretraining", 12, to_launcher),
        ("SIGTERM", signal.SIGTERM, "base probe", 1, to_all),
        ("SIGINT, as Ctrl-C", signal.SIGINT, "run begun", 1, to_all),
        ("SIGTERM", signal.SIGTERM, "checkpoint", 4, to_launcher),
        ("SIGINT, as Ctrl-C", signal.SIGINT, "metrics", 3, to_all),
        ("SIGTERM", signal.SIGTERM, "checkpoint", 9, to_all),
    )
    for fault, number, moment, time, to in moments:
        end, fell = struck(runs, tmp_path / "mark", moment, time, to(number))
        tally(fault).strike(fell)
        tally(fault).repeated()
        assert "Traceback" not in end.told, end.told
        assert end.status == 128 + number
        assert WORDS_OF_CTRL_C in end.output
    end, fell = struck(runs, tmp_path / "mark", "metrics", 2, to_worker(signal.SIGTERM))
    of = tally("SIGTERM")
    of.strike(fell)
    of.repeated()
    assert end.status == 1
    assert "the process was ended by SIGTERM; the same command goes on" in end.errors
    assert "Traceback" not in end.told, end.told
    of.ended(runs, run(runs))
