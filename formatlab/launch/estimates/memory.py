"""Memory: what this process held at most, and what the machine has left to give."""

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
"""Where a container's limit stands, and what it uses: version 2 and version 1."""


def available_memory() -> int | None:
    """Bytes that programs can still take, a container's limit heeded; None where it is not told."""
    found = []
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
    for limit, used in _CGROUPS:
        with suppress(OSError, ValueError):  # "max" is no limit
            found.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
    return max(0, min(found)) if found else None


def peak_memory() -> int:
    """Most bytes that this process held since `reset_peak`, or since its start."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        from resource import RUSAGE_SELF, getrusage
    except ImportError:  # Windows, which tells no such thing
        return 0
    most = getrusage(RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def reset_peak() -> None:
    """Begin anew what `peak_memory` tells; on Linux alone, elsewhere it tells of all that was."""
    import torch

    with suppress(OSError, AttributeError):  # what was freed stays with the process otherwise
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def gpu_peak() -> int:
    """Most bytes that torch held of a GPU since `reset_peak`; 0 without one."""
    import torch

    return torch.cuda.max_memory_reserved() if torch.cuda.is_available() else 0
