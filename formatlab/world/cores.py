"""Cores: how many of this machine a process may use."""

import os


def available_cores() -> int:
    """Cores that this process may use; a container or scheduler can restrict them."""
    if hasattr(os, "sched_getaffinity"):  # absent on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
