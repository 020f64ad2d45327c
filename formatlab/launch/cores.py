"""The cores that this process may use."""

import os


def available_cores() -> int:
    """Count them; a container or scheduler can restrict them."""
    if hasattr(os, "sched_getaffinity"):  # absent on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
