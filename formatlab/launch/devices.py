"""Devices: the cores, memory and GPUs of this machine, and which GPU a task may start on.

A small model leaves most of a GPU idle: six runs of 0.8M parameters side by side on one H200 had
4.9 times the throughput of one. So several tasks share a GPU, as many as its memory holds. On a
machine without GPUs they share the cores.

The launcher itself never touches CUDA: a context there would take memory from its workers.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psutil

from formatlab.errors import RunError
from formatlab.world.cores import available_cores

VARIABLE = "CUDA_VISIBLE_DEVICES"
"""The environment variable that gives a worker its GPU."""
CONTEXT = 600 * 2**20
"""Bytes that each process takes of a GPU before it has made a tensor: CUDA's context and kernels,
about 0.5 GB on recent cards, and what the allocator holds beside what tensors need."""
FILLED = 0.9
"""Part of a GPU's free memory that tasks may fill; estimates are rough."""
SIDE_BY_SIDE = 6
"""Most tasks on one GPU by default: more were not measured."""

_NODES = ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/kfd", "/dev/dxg")
"""Where Linux has a GPU that CUDA or ROCm could use: NVIDIA, Tegra, AMD, and inside WSL."""
_QUERY_TIMEOUT = 120
"""Seconds that a first query of the GPUs may take; on a large machine it takes ten."""
_QUERY = """
import json, torch
found = range(torch.cuda.device_count())
print(json.dumps([(torch.cuda.mem_get_info(i)[0], torch.cuda.get_device_name(i)) for i in found]))
"""
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
"""A container's memory limit and use: version 2 and version 1."""


def worker_threads(workers: int, most: int | None = None) -> int:
    """Threads of each of several workers, which divide the cores among them.

    More threads than cores slow small models down tenfold. `OMP_NUM_THREADS` is a limit.

    Args:
        workers: that run at the same time.
        most: threads that the worker's task can use; None where more always help.
    """
    threads = max(1, available_cores() // max(1, workers))
    # Of nested parallel regions the outer one; what is no number OpenMP ignores as well.
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(threads, most or threads, int(limit) if limit.isdigit() else threads) or 1


def available_memory() -> int:
    """Bytes that programs can still take, within a container's limit."""
    free = psutil.virtual_memory().available
    for limit, used in _CGROUPS:
        with suppress(OSError, ValueError):  # "max" is no limit
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
    return max(0, free)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpu:
    """One GPU before any task of ours ran on it."""

    name: str
    """Its name in `CUDA_VISIBLE_DEVICES`: a number, or a UUID where the variable has one."""
    free: int
    """Free bytes of its memory."""
    model: str = ""
    """Its maker's name for it."""


class Devices:
    """The seats of one launcher; not safe between threads."""

    def __init__(
        self, gpus: Sequence[Gpu], *, cores: int, jobs: int = 0, runs_per_gpu: int = 0
    ) -> None:
        """All seats are free.

        Args:
            gpus: of this machine, see `find_gpus`; none: tasks run on the CPU.
            cores: of this machine; each worker needs one to drive its GPU.
            jobs: most tasks at a time. 0: as many as cores, and as fit on the GPUs.
            runs_per_gpu: most tasks on one GPU, whatever memory they need. 0: as many as its memory
                holds, and at most `SIDE_BY_SIDE` unless `jobs` is given.
        """
        self.gpus = gpus
        self._runs_per_gpu = runs_per_gpu
        self._each = runs_per_gpu or jobs or SIDE_BY_SIDE
        self._seats: dict[str, tuple[Gpu | None, int | None]] = {}  # by task, with bytes
        self.most = jobs or max(1, min(cores, self._each * len(gpus)) if gpus else cores)
        """Most tasks at a time; memory may allow fewer."""

    def has_room(self, needed: int | None) -> bool:
        """Whether a task may start now that needs so many bytes, see `take`."""
        seat = not self.gpus or self._choice(needed) is not None
        return seat and len(self._seats) < self.most

    def take(self, task: str, needed: int | None) -> str | None:
        """Seat a task, for which there is room, on the GPU with the fewest tasks that holds it.

        Args:
            task: its address.
            needed: bytes of GPU memory beside the context; None if unknown, which takes a whole GPU
                unless `runs_per_gpu` was given.

        Returns:
            The worker's `CUDA_VISIBLE_DEVICES`; None on a machine without GPUs.
        """
        chosen = self._choice(needed)
        self._seats[task] = (chosen, needed)
        return chosen.name if chosen else None

    def give_back(self, task: str) -> None:
        """Free the seat of a task that ended."""
        del self._seats[task]

    def _choice(self, needed: int | None) -> Gpu | None:
        """The GPU for a task: one with enough memory, or the largest alone if no GPU has enough."""
        most = max((gpu.free for gpu in self.gpus), default=0)
        found: list[tuple[bool, int, float, Gpu]] = []
        for gpu in self.gpus:
            there = [size for taken, size in self._seats.values() if taken == gpu]
            room = FILLED * gpu.free - sum(map(_with_context, there))
            fits = _with_context(needed) <= room
            alone = not there and (needed is None or gpu.free == most)
            if len(there) < self._each and (fits or alone or self._runs_per_gpu):
                found.append((not fits, len(there), -room, gpu))
        return min(found, key=lambda of: of[:3])[-1] if found else None


def _with_context(needed: int | None) -> float:
    """What a process takes of a GPU's memory: all of it where that is not known."""
    return math.inf if needed is None else needed + CONTEXT


def find_gpus() -> list[Gpu]:
    """The GPUs that torch finds, without those that `CUDA_VISIBLE_DEVICES` hides.

    A child process queries them, so that the launcher holds no memory of theirs; on a machine that
    cannot have a GPU none is started. What the child itself took meanwhile counts as used.

    Raises:
        RunError: there are signs of a GPU, and the query failed.
    """
    visible = os.environ.get(VARIABLE)
    hidden = visible is not None and visible.strip() in ("", "-1")
    if hidden or not any(Path(node).exists() for node in _NODES):
        return []
    try:
        said = subprocess.run(
            [sys.executable, "-c", _QUERY],
            capture_output=True,
            text=True,
            timeout=_QUERY_TIMEOUT,
            check=True,
        ).stdout
        found = json.loads(said.strip().splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip()
        raise RunError(
            f"cannot look at the GPUs of this machine: {said.splitlines()[-1] if said else error}; "
            f"mend that, or set {VARIABLE}= to run on the CPU"
        ) from error
    # CUDA reads the variable up to the first name that it does not know.
    names = [name.strip() for name in visible.split(",")] if visible else map(str, count())
    return [
        Gpu(name=name, free=free, model=model)
        for name, (free, model) in zip(names, found, strict=False)
    ]
