"""Damage to a Parquet file, told from what the machine that reads it lacks."""

import pyarrow as pa


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
