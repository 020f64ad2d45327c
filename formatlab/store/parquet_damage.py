"""Damage to a Parquet file, told from what the machine that reads it lacks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from formatlab.errors import RunError


@contextmanager
def explained_damage(path: Path, what_to_do: str) -> Iterator[None]:
    """Turn what reading a file raises into a message for people.

    Args:
        path: the file.
        what_to_do: where it is damaged.

    Raises:
        RunError: the file is damaged, or the machine cannot read it now.
    """
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if is_damage(error):
            raise RunError(f"cannot read {path} ({_words(error)}); {what_to_do}") from error
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> RunError:
    """What is told where the machine cannot read a file now."""
    return RunError(f"cannot read {path} now: {_words(error)}; repeat the command")


def is_damage(error: Exception) -> bool:
    """Whether reading failed because of what is in the file.

    When memory, threads, permission or a network file system give out, that says nothing of the
    file: pyarrow then raises a MemoryError, an error of unknown kind, or an OSError with a number,
    and for what it finds in a file one without.
    """
    if isinstance(error, OSError):
        return error.errno is None
    machine = isinstance(error, MemoryError) or type(error) is pa.ArrowException
    return isinstance(error, pa.ArrowException) and not machine


def _words(error: Exception) -> str:
    return " ".join(str(error).split())
