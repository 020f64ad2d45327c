"""A mirror has what tells how far studies are, and nothing else."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from made_up_study import STUDY, begin, finish, hold, plan, planned

from formatlab.errors import InputError, RunError
from formatlab.launch.plan import PlannedTask
from formatlab.launch.status import TaskStatus, read_studies, read_task
from formatlab.store.remote.mirror import Mirror

BASE = planned("base 0.04M s0")
RUNS = [planned(f"{name} 0.04M s0", [BASE]) for name in ("grpo", "ppo", "rloo", "dpo")]


class There:
    """A runs folder at an address, with what is written to a folder of this machine."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.runs = folder / "written"
        self.runs.mkdir()
        self.address, self._kind = f"memory://{uuid4()}/runs", kind
        if kind == "file":
            self.address = self.runs.as_uri()

    def send(self) -> None:
        fs, root = MemoryFileSystem(), self.address.removeprefix("memory:/")
        if self._kind == "file":
            return
        files = {path.relative_to(self.runs).as_posix(): path for path in self.runs.rglob("*")}
        for name in {name.removeprefix(f"{root}/") for name in fs.find(root)} - files.keys():
            fs.rm_file(f"{root}/{name}")
        for name, path in files.items():
            content = path.read_bytes() if path.is_file() else None
            place = f"{root}/{name}"
            if content is not None and not (fs.isfile(place) and fs.cat_file(place) == content):
                fs.pipe_file(place, content)


@pytest.fixture(params=["memory", "file"])
def there(request: pytest.FixtureRequest, tmp_path: Path) -> There:
    return There(request.param, tmp_path)


@pytest.fixture
def mirror_of(tmp_path: Path) -> Callable[..., Mirror]:
    def mirror_of(there: There, study: str = "") -> Mirror:
        there.send()
        mirror = Mirror(there.address + study, tmp_path / "mirror")
        mirror.refresh()
        return mirror

    return mirror_of


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def look(mirror: Mirror, task: PlannedTask = RUNS[0]) -> TaskStatus:
    mirror.refresh()
    return read_task(mirror.runs, task)


def states(runs: Path, studies: list[str] | None = None) -> dict[str, Any]:
    found = read_studies(runs, studies)
    return {f"{s.name} {t.task.label}": (t.state, t.step, t.winner) for s in found for t in s.tasks}


@pytest.mark.parametrize("study", ["", f"/{STUDY}"])
def test_the_states_at_an_address_are_those_of_the_folder(
    there: There, mirror_of: Callable[..., Mirror], study: str
) -> None:
    plan(there.runs, [BASE, *RUNS])
    finish(there.runs, BASE)
    finish(there.runs, RUNS[0], winner="tool_tags")
    hold(begin(there.runs, RUNS[1], step=7).path)
    begin(there.runs, RUNS[2], step=3)
    begin(there.runs, RUNS[3], step=2).mark_failed("nan")
    finish(there.runs, planned("base 0.04M s7"))
    mirror = mirror_of(there, study)
    assert mirror.names == ([STUDY] if study else None)
    assert states(mirror.runs, mirror.names) == states(there.runs, mirror.names)
    found = {task[0] for task in states(mirror.runs, mirror.names).values()}
    assert found == {"done", "running", "interrupted", "failed"}


def test_a_study_without_a_plan_is_told_from_a_runs_folder(
    there: There, mirror_of: Callable[..., Mirror]
) -> None:
    finish(there.runs, RUNS[0])
    assert mirror_of(there, f"/{STUDY}/").names == [STUDY]


def test_what_is_large_and_what_is_put_aside_stays_there(
    there: There, mirror_of: Callable[..., Mirror]
) -> None:
    plan(there.runs, RUNS[:1])
    run = finish(there.runs, RUNS[0])
    (run.path / "policy").mkdir()
    (run.path / "policy" / "config.json").write_text("{}")
    (run.path / ".sent.json").write_text("{}")
    shutil.copytree(there.runs / STUDY, there.runs / ".aside" / STUDY)
    line = '{"step": 9, "seconds": 1.0}\n'
    (run.path / "metrics.jsonl").write_text("0" * 1_000_000 + "\n" + line * 40)
    mirror = mirror_of(there)
    kept = {"config.json", "env.json", "metrics.jsonl", "winners.parquet", "DONE"}
    assert names(mirror.runs) == {
        f"{STUDY}/plan.json",
        *(f"{RUNS[0].address}/{name}" for name in kept),
    }
    assert (mirror.runs / RUNS[0].address / "metrics.jsonl").stat().st_size < 300_000
    assert look(mirror).step == 10


def test_only_what_has_changed_is_fetched_again(
    there: There, mirror_of: Callable[..., Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(there.runs, RUNS)
    finish(there.runs, RUNS[0])
    running = begin(there.runs, RUNS[1], step=7)
    hold(running.path)
    mirror = mirror_of(there)
    fetched: list[str] = []
    for kind in (MemoryFileSystem, LocalFileSystem):

        def counted(self: Any, path: str, *words: Any, read: Any = kind.cat_file) -> bytes:
            fetched.append(path.rpartition("/")[2])
            return read(self, path, *words)

        monkeypatch.setattr(kind, "cat_file", counted)
    running.append_metrics({"step": 7})
    there.send()
    fetched.clear()
    assert look(mirror, RUNS[1]).step == 8
    lock = f".{running.name}.lock"
    assert sorted(fetched) == [lock, "metrics.jsonl"]
    hold(running.path).unlink()
    shutil.rmtree(there.runs / RUNS[0].address)
    there.send()
    assert look(mirror, RUNS[1]).state == "interrupted"
    assert look(mirror, RUNS[0]).state == "waiting"
    assert not (mirror.runs / RUNS[0].address / "DONE").exists()


def test_a_copy_is_no_sign_of_life(
    there: There, mirror_of: Callable[..., Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some storage does not tell when a file was changed; with files it is the lock's own time."""

    def untold(*_: Any) -> None:
        raise NotImplementedError

    monkeypatch.setattr(MemoryFileSystem, "modified", untold)
    lock = hold(begin(there.runs, RUNS[0], step=1).path, beat=1)
    then = time.time() - 100
    os.utime(lock, (then, then))
    mirror = mirror_of(there)
    silent = look(mirror, RUNS[0]).silent
    if there.address.startswith("memory"):
        assert silent is None
    else:
        assert silent is not None
        assert 100 <= silent < 160


def test_a_network_that_is_away_leaves_the_mirror_as_it_was(
    there: There, mirror_of: Callable[..., Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(there.runs, RUNS)
    begin(there.runs, RUNS[0], step=3)
    mirror = mirror_of(there)
    before = names(mirror.runs)

    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("the network is away")

    for kind in (MemoryFileSystem, LocalFileSystem):
        for method in ("find", "ls", "cat_file"):
            monkeypatch.setattr(kind, method, away)
    with pytest.raises(RunError, match=r"cannot work at .*the network is away"):
        mirror.refresh()
    assert names(mirror.runs) == before
    with pytest.raises(RunError, match="the network is away"):
        Mirror(there.address, mirror.runs)


def test_what_is_no_runs_folder_is_told(there: There, mirror_of: Callable[..., Mirror]) -> None:
    with pytest.raises(InputError, match="there is nothing at"):
        mirror_of(there, "/nowhere")
    finish(there.runs, RUNS[0])
    with pytest.raises(InputError, match="is one run"):
        mirror_of(there, f"/{RUNS[0].address}")
