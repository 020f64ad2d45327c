"""What a task's failure becomes: a message where there is one for it, and FAILED in any case."""

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from plain_task import Node

from formatlab.errors import RunError
from formatlab.launch.perform import note_failure, perform
from formatlab.store.run_folder import RunFolder
from formatlab.train.progress import Emit, Progress, Remark


@dataclass(frozen=True)
class Failing(Node):
    error: Exception | None = None

    def execute(self, runs: Path, emit: Emit) -> None:
        assert self.error is not None
        raise self.error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "no space left to write"),
        (MemoryError("DefaultCPUAllocator: can't allocate memory"), "lower the algorithm's"),
    ],
)
def test_a_full_machine_is_told_in_words(error: Exception, words: str, tmp_path: Path):
    task = Failing("full", error=error)
    with pytest.raises(RunError, match=words):
        perform(task, tmp_path, lambda _: None)
    assert words in (RunFolder(tmp_path / task.address).failed or "")


def test_a_bug_stays_one(tmp_path: Path):
    task = Failing("bug", error=ZeroDivisionError("division by zero"))
    with pytest.raises(ZeroDivisionError):
        perform(task, tmp_path, lambda _: None)
    run = RunFolder(tmp_path / task.address)
    place = r"ZeroDivisionError: division by zero \(test_perform\.py, line \d+, in execute\)"
    assert re.fullmatch(place, run.failed or "")
    assert "raise self.error" in (run.path / "FAILED").read_text()


def test_every_folder_that_is_put_aside_is_remarked_on(tmp_path: Path):
    told: list[Progress | Remark] = []
    for task in (Failing(name, error=RunError("no")) for name in ("one", "two")):
        folder = RunFolder.create(tmp_path / task.address, config={}, env={})
        (folder.path / "env.json").write_text("{")
        with pytest.raises(RunError):
            perform(task, tmp_path, told.append)
    aside = tmp_path / ".aside" / "study"
    assert told == [
        Remark(f"{name}: env.json is not JSON; made again, the old folder is {aside / name}-1")
        for name in ("one", "two")
    ]


def test_who_failed_beside_another_that_came_to_the_end_does_not_say_so(tmp_path: Path):
    run = RunFolder.create(tmp_path / "run", config={}, env={})
    run.mark_done({})
    note_failure(run.path, "killed")
    assert not (run.path / "FAILED").exists()
