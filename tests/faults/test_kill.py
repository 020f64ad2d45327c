"""SIGKILL, which nothing can prepare for, at random moments over all stages."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from tests.faults.command import Command, run
from tests.faults.moments import IN_BASES, IN_REPORTS, IN_RUNS, drawn
from tests.faults.places import places
from tests.faults.planted_faults import Strike, Target

pytestmark = pytest.mark.faults

KILLS = 8
SEEDS = range(20261121, 20261124)
TARGETS: tuple[Target, ...] = ("launcher", "launcher", "group", "self")


def dealt(moments: tuple[str, ...], seed: int) -> list[str]:
    """The share of one seed, so that every moment falls to some seed."""
    return list(moments[SEEDS.index(seed) :: len(SEEDS)])


def strikes(seed: int, lot: Random, place: Path) -> Iterator[Strike | None]:
    """Kills over all of a study, in the order of its work; None stands for one at any time."""
    for name in dealt(IN_BASES, seed):
        yield drawn(lot, name, lot.choice(TARGETS), place)
    yield None
    for name in dealt(2 * IN_RUNS, seed)[: KILLS - 4]:
        yield drawn(lot, name, lot.choice(TARGETS), place)
    while True:
        yield drawn(lot, lot.choice(IN_REPORTS), lot.choice(TARGETS), place)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_study_killed_again_and_again_equals_one_that_ran_through(
    runs: Path, tmp_path: Path, tally, seed: int
):
    lot, fell = Random(seed), tmp_path / "fell"
    kills = tally("SIGKILL")
    following = strikes(seed, lot, fell)
    struck = 0
    while struck < KILLS:
        strike = next(following)
        latest = lot.uniform(40, 80) if strike else lot.uniform(2, 20)
        fell.unlink(missing_ok=True)
        with Command(runs, planted=strike.environment if strike else None) as command:
            command.sees(fell, latest)
            in_time = command.ends_within(lot.uniform(0.5, 3))
            late = [] if in_time else killed(command, lot.choice(TARGETS), lot, runs)
            command.wait_for_group()
        planted = fell.read_text().splitlines() if fell.exists() else []
        for words in (planted, late):
            if not words:
                continue
            print(f"seed {seed}: {strike or f'at {latest:.1f} s'}: {', '.join(words)}")
            kills.strike(words)
            struck += 1
        if not (planted or late):
            kills.strike([], hit=False)
        kills.repeated()
    kills.ended(runs, run(runs))


def killed(command: Command, target: Target, lot: Random, runs: Path) -> list[str]:
    """Kill at once, and say where it fell; nothing if there was nothing left to kill."""
    workers = command.workers()
    if target == "self" and workers:
        with suppress(ProcessLookupError):
            os.kill(lot.choice(workers), signal.SIGKILL)
    command.send_to_all(signal.SIGKILL) if target == "group" else command.send(signal.SIGKILL)
    return places(runs) if command.wait().status == -signal.SIGKILL else []
