"""The cores that this process may use."""

import os

from formatlab.errors import InputError


def available_cores() -> int:
    """Count them; a container or scheduler can restrict them."""
    if hasattr(os, "sched_getaffinity"):  # absent on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def most_threads() -> int | None:
    """The most threads that `OMP_NUM_THREADS` gives a process; None if it is not set.

    Raises:
        InputError: it is no number.
    """
    value = os.environ.get("OMP_NUM_THREADS")
    if not value:
        return None
    number = value.partition(",")[0].strip()  # of nested parallel regions the outer one
    if not number.isdigit() or int(number) < 1:
        raise InputError(f"OMP_NUM_THREADS is {value!r}; set it to a number, or unset it")
    return int(number)
