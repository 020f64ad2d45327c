"""A lock on a folder, so that two processes never write to one run or base."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from formatlab.errors import RunError
from formatlab.store.atomic_file import explained_os_errors


@contextmanager
def locked(
    folder: Path, *, wait: bool = False, waiting: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Hold a folder, which need not exist yet, for the length of a `with` block.

    The system frees the lock when the process ends, however it ends. On file systems shared over a
    network it may hold on one machine only.

    Args:
        folder: what is to be written to.
        wait: wait until it is free, instead of failing.
        waiting: called before waiting, if there is something to wait for.

    Raises:
        RunError: another process holds it, and `wait` is not set.
    """
    path = folder.with_name(f".{folder.name}.lock")
    with explained_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if not wait:
                raise RunError(
                    f"another process is writing to {folder}; let it finish, or choose another "
                    "folder"
                ) from error
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
