"""What a failure becomes: a message where there is one for it, and FAILED in any case."""

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from plain_task import Node

from formatlab.errors import RunError
from formatlab.launch.worker import explained, note_failure, perform
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
    place = r"ZeroDivisionError: division by zero \(test_worker\.py, line \d+, in execute\)"
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


def test_a_full_disk_is_told_by_the_error_or_its_cause(tmp_path: Path):
    try:
        try:
            raise OSError(28, "No space left on device")
        except OSError as cause:
            raise RuntimeError("unexpected write") from cause
    except RuntimeError as error:
        told = explained(error, tmp_path)
    assert isinstance(told, RunError)
    assert str(tmp_path) in str(told)
    assert "--runs-dir" in str(told)


@pytest.mark.parametrize("text", ["unexpected pos 640 vs 534", "I/O error: File too large"])
def test_what_libraries_say_of_a_full_disk_is_known(text: str, tmp_path: Path):
    assert "no space left" in str(explained(RuntimeError(text), tmp_path))


TOO_MUCH = 2**50


@pytest.mark.parametrize(
    "allocate",
    [lambda: torch.empty(TOO_MUCH), lambda: np.empty(TOO_MUCH), lambda: bytearray(TOO_MUCH)],
    ids=["torch", "numpy", "python"],
)
def test_what_libraries_say_of_memory_is_told_with_what_to_do(allocate, tmp_path: Path):
    with pytest.raises((RuntimeError, MemoryError)) as error:
        allocate()
    told = explained(error.value, tmp_path)
    assert isinstance(told, RunError)
    assert "micro_batch" in str(told)
    assert "\n" not in str(told)


def test_the_memory_of_a_gpu_counts(tmp_path: Path):
    error = torch.OutOfMemoryError("CUDA out of memory")
    assert isinstance(explained(error, tmp_path), RunError)


@pytest.mark.parametrize("error", [ValueError("shapes differ"), RunError("no"), KeyError("a")])
def test_other_errors_stay_as_they_are(error: Exception, tmp_path: Path):
    assert explained(error, tmp_path) is error
