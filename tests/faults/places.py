"""Places: where in the work of a study a moment falls, told from its folders."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

_LOCK = re.compile(r"\.(.+)\.lock")


def paths(runs: Path) -> set[str]:
    """Everything in a runs folder, relative to it; folders end in a slash."""
    found: set[str] = set()

    def look(folder: str, name: str) -> None:
        try:
            entries = list(os.scandir(folder))
        except OSError:  # gone since it was seen
            return
        for entry in entries:
            path = f"{name}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                found.add(f"{path}/")
                look(entry.path, path)
            else:
                found.add(path)

    look(str(runs), "")
    return found


def places(runs: Path, folder: str = "") -> list[str]:
    """Where a study stands: a place a task that somebody is at, or was when he died.

    Args:
        runs: the runs folder.
        folder: of one task, `/study/name`; empty for all.
    """
    there = paths(runs)
    locks = [path for path in sorted(there) if _is_lock_of_task(path)]
    found = [_place(runs, lock, there) for lock in locks if folder in ("", _folder(lock))]
    if found:
        return found
    if any(re.match(r"/small/(tables|figures)/|/small/\.unfinished-", path) for path in there):
        return ["report"]
    return ["between tasks" if any(path.endswith("/DONE") for path in there) else "beginning"]


def _folder(lock: str) -> str:
    """The folder that a lock is of."""
    parent, _, name = lock.rpartition("/")
    match = _LOCK.fullmatch(name)
    assert match is not None
    return f"{parent}/{match[1]}"


def _is_lock_of_task(path: str) -> bool:
    _, _, name = path.rpartition("/")
    return path.count("/") == 2 and _LOCK.fullmatch(name) is not None


def _place(runs: Path, lock: str, there: set[str]) -> str:
    folder = _folder(lock)
    inside = {path.removeprefix(folder) for path in there if path.startswith(f"{folder}/")}
    if folder.startswith("/bases/"):
        return f"base: {_of_base(inside, there)}"
    return f"stage: {_of_run(runs, folder, inside)}"


def _of_base(inside: set[str], there: set[str]) -> str:
    if "/config.json" not in inside:
        return "beginning"
    if not any(re.fullmatch(r"/corpora/[0-9a-f]{8}/", path) for path in there):
        return "documents"
    if "/model/" not in inside:
        return "pretraining"
    return "end" if "/DONE" in inside else "probe"


def _of_run(runs: Path, folder: str, inside: set[str]) -> str:
    if "/config.json" not in inside:
        return "beginning"
    if inside & {"/DONE", "/policy/", "/.policy-unfinished/"}:
        return "end"
    if "/rollouts/split=probe/epoch=000.parquet" not in inside:
        return "start probe"
    if any(_half_written(inside)):
        return "checkpoint"
    if _newest(runs, folder, inside).startswith("/rollouts/split=probe/"):
        return "probe"
    return "training"


def _half_written(inside: set[str]) -> Iterator[str]:
    for path in inside:
        unmarked = re.search(r"/checkpoint-\d+/$", path) and f"{path}WHOLE" not in inside
        if unmarked or path.startswith("/checkpoints/.round-unfinished/"):
            yield path


def _newest(runs: Path, folder: str, inside: set[str]) -> str:
    """The file that was written last."""
    files = [path for path in inside if not path.endswith("/")]
    return max(files, key=lambda path: _changed(runs / f".{folder}{path}"), default="")


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
