"""Several launchers on one folder: each task's work is done once, also where one of them dies."""

import json
import shutil
import signal
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from random import Random

import pytest

from formatlab.store.lock import Owner, RecordFile
from tests.faults.command import Command, run
from tests.faults.moments import IN_BASES, IN_RUNS, drawn
from tests.faults.places import places
from tests.faults.soundness import resumes, task_folders
from tests.faults.whole_study import WholeStudy

pytestmark = pytest.mark.faults

PATIENCE = 6.0
"""Seconds without a beat, instead of a minute."""


def works(journal: Path) -> Counter[str]:
    """How often the work of each task was begun."""
    return Counter(line.split()[0] for line in journal.read_text().splitlines())


def test_launchers_that_start_together_do_each_task_once(runs: Path, tmp_path: Path, tally):
    of, lot, journal = tally("3 launchers at once"), Random(20261122), tmp_path / "journal"
    planted = {"FAULTS_JOURNAL": str(journal)}
    with ExitStack() as stack:
        commands = []
        for _ in range(3):
            commands.append(stack.enter_context(Command(runs, planted=planted)))
            time.sleep(lot.uniform(0, 4))
        of.strike(places(runs))
        ends = [command.wait() for command in commands]
    for end in ends:
        of.repeated()
        of.ended(runs, end)
    begun = works(journal)
    assert begun == Counter({f.relative_to(runs).as_posix(): 1 for f in task_folders(runs)})
    assert resumes(runs) == 0


@pytest.mark.parametrize("seed", [20261121, 20261122])
def test_what_a_launcher_that_died_was_at_is_taken_over_by_one_that_lives(
    runs: Path, tmp_path: Path, tally, seed: int
):
    of, lot, journal = tally("one of 2 launchers killed"), Random(seed), tmp_path / "journal"
    fell = tmp_path / "fell"
    name = lot.choice(IN_BASES if seed % 2 else IN_RUNS)
    strike = drawn(lot, name, "group", fell)
    planted = {"FAULTS_JOURNAL": str(journal)}
    with Command(runs, planted={**planted, **strike.environment}) as dying:
        time.sleep(lot.uniform(0, 1))
        with Command(runs, planted=planted) as living:
            died = dying.wait().status == -signal.SIGKILL
            of.strike(fell.read_text().splitlines() if died else [], hit=died)
            end = living.wait()
    print(f"seed {seed}: {strike}: {'killed' if died else 'too late'}")
    of.repeated()
    of.ended(runs, end)
    again = {address: count for address, count in works(journal).items() if count > 1}
    assert set(again.values()) <= {2}
    assert len(again) <= 2  # what the dead one's two workers were at
    of.ended(runs, run(runs))


def foreign(runs: Path, address: str) -> Owner:
    """Leave the lock of a process of another machine."""
    owner = Owner(
        host="elsewhere", boot="another start of it", pid=4711, process=1, beat=0, token="foreign"
    )
    assert RecordFile(runs / address).make(content(owner))
    return owner


def content(owner: Owner) -> bytes:
    return json.dumps(asdict(owner)).ljust(511).encode() + b"\n"


def test_a_lock_of_another_machine_is_taken_over_when_its_heart_stands_still(
    study: WholeStudy, runs: Path, tmp_path: Path, tally
):
    of, address = tally("dead lock of another machine"), study.run("rloo")
    shutil.copytree(study.runs, runs)
    shutil.rmtree(runs / address)
    shutil.copytree(study.midway(address), runs / address)
    foreign(runs, address)
    of.strike(places(runs))
    began = time.monotonic()
    end = run(runs, planted={"FAULTS_PATIENCE": str(PATIENCE)})
    assert time.monotonic() - began >= PATIENCE
    assert "waiting for process 4711 on elsewhere" in end.output
    of.repeated()
    of.ended(runs, end)


def test_a_lock_of_another_machine_is_respected_while_its_heart_beats(
    study: WholeStudy, runs: Path, tmp_path: Path, tally
):
    of, address = tally("living lock of another machine"), study.run("rloo")
    journal = tmp_path / "journal"
    shutil.copytree(study.runs, runs)
    shutil.rmtree(runs / address)
    owner, over = foreign(runs, address), threading.Event()
    planted = {"FAULTS_PATIENCE": str(PATIENCE), "FAULTS_JOURNAL": str(journal)}

    def beat() -> None:
        record, now = RecordFile(runs / address), owner
        while not over.wait(0.2):
            before, now = now, replace(now, beat=now.beat + 1)
            record.replace(content(before), content(now))
        shutil.copytree(study.runs / address, runs / address)  # it came to its end
        record.path.unlink()

    heart = threading.Thread(target=beat)
    heart.start()
    with Command(runs, planted=planted) as command:
        of.strike(places(runs))
        of.repeated()
        assert not command.ends_within(4 * PATIENCE)
        over.set()
        heart.join()
        end = command.wait()
    assert "waiting for process 4711 on elsewhere" in end.output
    assert not journal.exists()
    of.ended(runs, end)
