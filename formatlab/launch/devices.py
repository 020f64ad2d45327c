"""Devices: the cores, memory and GPUs of this machine, and which GPU a task may start on.

A small model leaves most of a GPU idle: six runs of 0.8M parameters side by side on one H200 had
4.9 times the throughput of one. So several tasks share a GPU, as many as its memory holds. On a
machine without GPUs they share the cores.

The launcher itself never touches CUDA: a context there would take memory from its workers.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from formatlab.errors import InputError, RunError

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


def available_cores() -> int:
    """Cores that this process may use; a container or scheduler can restrict them."""
    if hasattr(os, "sched_getaffinity"):  # absent on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def worker_threads(workers: int, most: int | None = None) -> int:
    """Threads of each of several workers, which divide the cores among them.

    More threads than cores slow small models down tenfold.

    Args:
        workers: that run at the same time.
        most: threads that the worker's task can use; None where more always help.

    Raises:
        InputError: `OMP_NUM_THREADS`, which is a limit where it is set, is no number.
    """
    threads = max(1, available_cores() // max(1, workers))
    value = os.environ.get("OMP_NUM_THREADS", "")
    limit = value.partition(",")[0].strip()  # of nested parallel regions the outer one
    if limit and not (limit.isdigit() and int(limit)):
        raise InputError(f"OMP_NUM_THREADS is {value!r}; set it to a number, or unset it")
    return min(threads, most or threads, int(limit or threads))


def available_memory() -> int | None:
    """Bytes that programs can still take within a container's limit; None where not known."""
    found: list[int] = []
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
    for limit, used in _CGROUPS:
        with suppress(OSError, ValueError):  # "max" is no limit
            found.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
    return max(0, min(found)) if found else None


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
        """Whether a task may start now that needs so many bytes, see `take`.

        A task that is estimated to be too large for every GPU may start on the one with most
        memory, once no other task is on it.
        """
        if len(self._seats) >= self.most:
            return False
        return not self.gpus or any(self._fits(gpu, needed) for gpu in self.gpus)

    def take(self, task: str, needed: int | None) -> str | None:
        """Seat a task, for which there is room, on the GPU with the fewest tasks.

        Args:
            task: its address.
            needed: bytes of GPU memory beside the context; None if unknown, which takes a whole GPU
                unless `runs_per_gpu` was given.

        Returns:
            The worker's `CUDA_VISIBLE_DEVICES`; None on a machine without GPUs.
        """
        fitting = [gpu for gpu in self.gpus if self._fits(gpu, needed)]
        chosen = min(fitting, key=lambda gpu: (len(self._on(gpu)), -self._room(gpu)), default=None)
        self._seats[task] = (chosen, needed)
        return chosen.name if chosen else None

    def give_back(self, task: str) -> None:
        """Free the seat of a task that ended."""
        del self._seats[task]

    def _on(self, gpu: Gpu) -> list[int | None]:
        """Bytes that each task on a GPU needs."""
        return [needed for taken, needed in self._seats.values() if taken == gpu]

    def _room(self, gpu: Gpu) -> float:
        return FILLED * gpu.free - sum((needed or 0) + CONTEXT for needed in self._on(gpu))

    def _fits(self, gpu: Gpu, needed: int | None) -> bool:
        there = self._on(gpu)
        if self._runs_per_gpu or len(there) >= self._each:
            return len(there) < self._each
        if not there:
            # A larger GPU that is taken may be worth waiting for.
            too_large = needed is not None and needed + CONTEXT > self._room(gpu)
            return not too_large or gpu.free == max(gpu.free for gpu in self.gpus)
        return needed is not None and None not in there and needed + CONTEXT <= self._room(gpu)


def find_gpus() -> list[Gpu]:
    """The GPUs that torch finds, without those that `CUDA_VISIBLE_DEVICES` hides.

    A child process queries them, so that the launcher holds no memory of theirs; on a machine that
    cannot have a GPU none is started. What the child itself took meanwhile counts as used.

    Raises:
        RunError: there are signs of a GPU, and the query failed.
    """
    visible = os.environ.get(VARIABLE)
    if visible is not None and visible.strip() in ("", "-1"):
        return []
    if sys.platform == "darwin" or (
        sys.platform == "linux" and not any(Path(node).exists() for node in _NODES)
    ):
        return []
    try:
        queried = subprocess.run(
            [sys.executable, "-c", _QUERY],
            capture_output=True,
            text=True,
            timeout=_QUERY_TIMEOUT,
            check=True,
        )
        found = json.loads(queried.stdout.strip().splitlines()[-1])
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
