"""A folder at an address can be gone on with at every moment of being sent."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from formatlab.errors import RunError
from formatlab.store.remote.address import listing
from formatlab.store.remote.folder import MANIFEST, RemoteFolder, is_reported, starts_others

Place = tuple[Any, str, str]
RUN = "study/run"


@pytest.fixture(params=["memory", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A file system, a runs folder in it that nobody uses, and a run's folder in that."""
    if request.param == "memory":
        return MemoryFileSystem(), f"/{uuid4()}", RUN
    return LocalFileSystem(), str(tmp_path / "there"), RUN


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


BEGUN = {"config.json": "{}", "env.json": "{}", "metrics.jsonl": "1\n"}
CHECKPOINT = {f"checkpoints/checkpoint-2/{name}": name for name in ("model", "state", "WHOLE")}
DONE = {"policy/model": "m", "policy/config": "c", "DONE": "{}"}


def fetched(place: Place, into: Path) -> dict[str, str]:
    RemoteFolder(*place).fetch(into)
    return content(into)


@pytest.mark.parametrize(
    ("name", "reported", "starts"),
    [
        ("config.json", True, True),
        ("metrics.jsonl", True, True),
        ("rollouts/split=probe/epoch=000.parquet", True, False),
        ("model/model.safetensors", False, True),
        ("model-0.25/model.safetensors", False, True),
        ("policy/model.safetensors", False, True),
        ("checkpoints/checkpoint-2/WHOLE", False, False),
    ],
)
def test_reports_need_no_models_and_what_starts_needs_no_rollouts(
    name: str, reported: bool, starts: bool
):
    assert (is_reported(name), starts_others(name)) == (reported, starts)


def test_what_is_sent_comes_back(place: Place, tmp_path: Path):
    here = write(tmp_path / "here", BEGUN | CHECKPOINT)
    RemoteFolder(*place).send(here)
    assert fetched(place, tmp_path / "back") == BEGUN | CHECKPOINT


def test_a_checkpoint_without_its_mark_and_files_being_written_are_not_sent(
    place: Place, tmp_path: Path
):
    unfinished = {"checkpoints/checkpoint-4/model": "half", ".policy-unfinished/model": "half"}
    here = write(tmp_path / "here", BEGUN | CHECKPOINT | unfinished)
    RemoteFolder(*place).send(here)
    assert fetched(place, tmp_path / "back") == BEGUN | CHECKPOINT


def test_what_is_gone_here_is_removed_there(place: Place, tmp_path: Path):
    here = write(tmp_path / "here", BEGUN | CHECKPOINT)
    folder = RemoteFolder(*place)
    folder.send(here)
    for name in CHECKPOINT:
        (here / name).unlink()
    write(here, DONE)
    folder.send(here)
    assert fetched(place, tmp_path / "back") == BEGUN | DONE
    assert not any("checkpoints" in name for name in listing(place[0], folder.path))


def test_only_what_has_changed_is_sent(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    here = write(tmp_path / "here", BEGUN | CHECKPOINT)
    RemoteFolder(*place).send(here)
    resumed = RemoteFolder(*place)
    resumed.fetch(tmp_path / "back")
    put: list[str] = []
    monkeypatch.setattr(RemoteFolder, "put", lambda _self, _local, name: put.append(name))
    write(tmp_path / "back", {"metrics.jsonl": "1\n2\n"})
    resumed.send(tmp_path / "back")
    assert put == ["metrics.jsonl", MANIFEST]


class Killed(BaseException):
    """The end of a machine, in the middle of sending."""


def dying_at(patch: pytest.MonkeyPatch, call: int, kind: type, names: Sequence[str]) -> None:
    """Have the machine die before a call of some methods, at the given one."""
    calls = 0

    def counted(function: Callable[..., None]) -> Callable[..., None]:
        def counting(*arguments: Any, **named: Any) -> None:
            nonlocal calls
            calls += 1
            if calls > call:
                raise Killed
            function(*arguments, **named)

        return counting

    for name in names:
        patch.setattr(kind, name, counted(getattr(kind, name)))


@pytest.mark.parametrize("moment", range(7))
def test_a_machine_lost_while_it_sends_the_first_time_leaves_no_half_of_a_checkpoint(
    place: Place, tmp_path: Path, moment: int, monkeypatch: pytest.MonkeyPatch
):
    here = write(tmp_path / "here", BEGUN | CHECKPOINT)
    with monkeypatch.context() as patch:
        dying_at(patch, moment, RemoteFolder, ["put"])
        with suppress(Killed):
            RemoteFolder(*place).send(here)
    found = fetched(place, tmp_path / "back")
    assert "checkpoints/checkpoint-2/WHOLE" not in found or found == BEGUN | CHECKPOINT


@pytest.mark.parametrize("moment", range(14))
def test_a_machine_lost_while_it_sends_leaves_one_state_or_the_next(
    tmp_path: Path, moment: int, monkeypatch: pytest.MonkeyPatch
):
    place = (MemoryFileSystem(), f"/{uuid4()}", RUN)
    folder, here = RemoteFolder(*place), write(tmp_path / "here", BEGUN | CHECKPOINT)
    folder.send(here)
    for name in CHECKPOINT:
        (here / name).unlink()
    newer = {name.replace("-2/", "-4/"): text * 2 for name, text in CHECKPOINT.items()}
    write(here, newer | DONE | {"metrics.jsonl": "1\n2\n"})
    with monkeypatch.context() as patch:
        dying_at(patch, moment, RemoteFolder, ["put", "_remove"])
        try:
            folder.send(here)
        except Killed:
            assert moment < 13
    found = fetched(place, tmp_path / "back")
    metrics = found.pop("metrics.jsonl")
    del found["config.json"], found["env.json"]
    assert metrics in ("1\n", "1\n2\n")
    if "DONE" in found:
        assert found == newer | DONE
    else:
        whole = newer | {name: text for name, text in DONE.items() if name != "DONE"}
        assert found in (CHECKPOINT, whole)
    if found != CHECKPOINT:
        assert metrics == "1\n2\n"
    # Whoever goes on ends where the first one would have.
    again = RemoteFolder(*place)
    again.fetch(tmp_path / "again")
    write(tmp_path / "again", newer | DONE | {"metrics.jsonl": "1\n2\n"})
    for name in set(content(tmp_path / "again")) & set(CHECKPOINT):
        (tmp_path / "again" / name).unlink()
    again.send(tmp_path / "again")
    end = fetched(place, tmp_path / "end")
    assert end == BEGUN | newer | DONE | {"metrics.jsonl": "1\n2\n"}


def test_a_folder_that_was_copied_there_by_other_means_is_fetched_whole(
    place: Place, tmp_path: Path
):
    folder = RemoteFolder(*place)
    for name, text in (BEGUN | DONE).items():
        folder.put(write(tmp_path / "here", {name: text}) / name, name)
    assert fetched(place, tmp_path / "back") == BEGUN | DONE


def test_what_a_fetch_that_was_cut_short_left_is_no_part_of_the_next_one(
    place: Place, tmp_path: Path
):
    RemoteFolder(*place).send(write(tmp_path / "here", BEGUN))
    write(tmp_path / "back", CHECKPOINT)
    assert fetched(place, tmp_path / "back") == BEGUN


def test_a_file_that_is_gone_there_is_told(place: Place, tmp_path: Path):
    fs, path = place[0], f"{place[1]}/{RUN}"
    RemoteFolder(*place).send(write(tmp_path / "here", BEGUN | DONE))
    assert "policy/model" in json.loads(fs.cat_file(f"{path}/{MANIFEST}"))["files"]
    fs.rm_file(f"{path}/policy/model")
    with pytest.raises(RunError, match="lacks a file that was sent there"):
        RemoteFolder(*place).fetch(tmp_path / "back")


def test_what_grows_while_a_run_goes_on_is_no_damage(place: Place, tmp_path: Path):
    folder, here = RemoteFolder(*place), write(tmp_path / "here", BEGUN | CHECKPOINT)
    assert folder.damage() is None
    folder.send(here)
    write(here, {"metrics.jsonl": "1\n2\n"})
    folder.send(here)
    assert RemoteFolder(*place).damage() is None
    write(here, {"metrics.jsonl": "1\n2\n3\n"} | DONE)
    folder.send(here)
    assert RemoteFolder(*place).damage() is None


def test_a_list_without_sizes_tells_what_is_missing(place: Place, tmp_path: Path):
    fs, path = place[0], f"{place[1]}/{RUN}"
    RemoteFolder(*place).send(write(tmp_path / "here", BEGUN | DONE))
    names = sorted((BEGUN | DONE).keys() - {"DONE"})
    text = json.dumps({"schema_version": 1, "files": names})
    fs.pipe_file(f"{path}/{MANIFEST}", text.encode())
    fs.pipe_file(f"{path}/policy/model", b"longer")
    assert RemoteFolder(*place).damage() is None
    assert fetched(place, tmp_path / "back") == BEGUN | DONE | {"policy/model": "longer"}
    fs.rm_file(f"{path}/policy/model")
    assert RemoteFolder(*place).damage() == "policy/model is missing"


def test_a_list_that_cannot_be_read_is_damage(place: Place, tmp_path: Path):
    fs, path = place[0], f"{place[1]}/{RUN}"
    RemoteFolder(*place).send(write(tmp_path / "here", BEGUN))
    fs.pipe_file(f"{path}/{MANIFEST}", b'{"files"')
    assert RemoteFolder(*place).damage() == f"{MANIFEST} cannot be read"


@pytest.mark.parametrize("moment", range(7))
def test_a_machine_lost_while_it_puts_aside_leaves_what_is_told_from_whole(
    place: Place, tmp_path: Path, moment: int, monkeypatch: pytest.MonkeyPatch
):
    fs, root, _ = place
    path = f"{root}/{RUN}"
    RemoteFolder(*place).send(write(tmp_path / "here", BEGUN | DONE))
    fs.rm_file(f"{path}/policy/model")
    folder = RemoteFolder(*place)
    assert folder.damage() == "policy/model is missing"
    with monkeypatch.context() as patch:
        dying_at(patch, moment, type(fs), ["mv", "rm_file"])
        with suppress(Killed):
            folder.put_aside(folder.place_aside())
    left = RemoteFolder(*place)
    assert (left.damage() is None) == (listing(fs, path) == {})
    left.put_aside(left.place_aside())
    found = {name.partition("/")[2] for name in listing(fs, f"{root}/.aside/study")}
    assert found == {*BEGUN, *DONE, MANIFEST} - {"policy/model"}
    assert listing(fs, path) == {}
