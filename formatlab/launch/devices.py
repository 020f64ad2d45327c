"""The cores that this process may use.

Devices: which GPU a task may begin on, and how many tasks go side by side.

A small model leaves most of a GPU idle: six runs of 0.8M parameters side by side on one H200 gave
4.9 times the throughput of one. So several tasks share a device, as far as its memory reaches.
Where there is no GPU, tasks share the cores instead.

The launcher itself never touches CUDA: each context there would take memory from its workers.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from formatlab.errors import InputError, RunError


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


VARIABLE = "CUDA_VISIBLE_DEVICES"
"""What tells a worker which device is its own."""
CONTEXT = 600 * 2**20
"""Bytes that each process takes of a GPU before it has made a tensor: CUDA's context and kernels,
about 0.5 GB on recent cards, and what the allocator holds beside what tensors need."""
FILLED = 0.9
"""Most of what was free on a device that is given away; estimates are estimates."""
SIDE_BY_SIDE = 6
"""Most tasks on one device where --jobs leaves the number to us: six is what was measured."""

_NODES = ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/kfd", "/dev/dxg")
"""Where Linux has a GPU that CUDA or ROCm could use: NVIDIA, Tegra, AMD, and inside WSL."""
_PATIENCE = 120
"""Seconds that a first look at the GPUs may take; on a large machine it takes ten."""
_LOOK = """
import json, torch
found = range(torch.cuda.device_count())
print(json.dumps([(*torch.cuda.mem_get_info(i), torch.cuda.get_device_name(i)) for i in found]))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpu:
    """One device as it was found, before anything of ours ran on it."""

    name: str
    """What `CUDA_VISIBLE_DEVICES` calls it: a number, or a UUID where the variable has one."""
    total: int
    """Bytes of its memory."""
    free: int
    """Bytes that nobody used."""
    model: str = ""
    """What its maker calls it."""


@dataclass(frozen=True, slots=True)
class Seat:
    """Leave to begin, on a device."""

    gpu: str | None
    """What the worker's `CUDA_VISIBLE_DEVICES` has to be; None on a machine without GPUs."""


class Devices:
    """Keeps account of who is on which device; one launcher's, and not safe between threads."""

    def __init__(self, gpus: Sequence[Gpu], *, cores: int, jobs: int = 0) -> None:
        """Begin with everything free.

        Args:
            gpus: what there is, see `find_gpus`; none on a CPU.
            cores: that this machine gives us; each worker needs one to drive its device.
            jobs: most tasks at a time. 0: as many as cores, and at most `SIDE_BY_SIDE` a device.
        """
        self.gpus = gpus
        self._gpus = {gpu.name: gpu for gpu in gpus}
        self._each = SIDE_BY_SIDE if jobs == 0 else jobs
        self._seats: dict[str, tuple[str | None, int | None]] = {}  # task -> (device, bytes)
        self.most = jobs or max(1, min(cores, SIDE_BY_SIDE * len(gpus)) if gpus else cores)
        """Most tasks at a time; memory may allow fewer."""

    def take(self, task: str, needed: int | None) -> Seat | None:
        """Give a task a seat, the one on the device with the fewest tasks; None: it has to wait.

        A task that is thought to be too large for every device gets the one with most memory, once
        nobody is on it: no better place would come by waiting.

        Args:
            task: its address.
            needed: bytes of GPU memory beside the context; None if unknown, which takes a device
                for itself.
        """
        if task in self._seats:
            raise ValueError(f"{task} has a seat")
        if len(self._seats) >= self.most:
            return None
        if not self._gpus:
            self._seats[task] = (None, needed)
            return Seat(None)
        fitting = [name for name in self._gpus if self._fits(name, needed)]
        if not fitting:
            return None
        chosen = min(fitting, key=lambda name: (len(self._on(name)), -self._room(name)))
        self._seats[task] = (chosen, needed)
        return Seat(chosen)

    def give_back(self, task: str) -> None:
        """The task has ended; its place is free."""
        del self._seats[task]

    def _on(self, name: str) -> list[int | None]:
        """What the tasks on a device need."""
        return [needed for gpu, needed in self._seats.values() if gpu == name]

    def _room(self, name: str) -> float:
        taken = sum((needed or 0) + CONTEXT for needed in self._on(name))
        return FILLED * self._gpus[name].free - taken

    def _fits(self, name: str, needed: int | None) -> bool:
        there = self._on(name)
        if not there:
            # A larger device that is taken may be worth waiting for.
            best = max(self._gpus.values(), key=lambda gpu: gpu.free)
            too_large = needed is not None and needed + CONTEXT > FILLED * self._gpus[name].free
            return not too_large or self._gpus[name].free == best.free
        if needed is None or None in there or len(there) >= self._each:
            return False
        return needed + CONTEXT <= self._room(name)


def find_gpus() -> list[Gpu]:
    """The GPUs that torch finds, with their memory; what `CUDA_VISIBLE_DEVICES` hides is left out.

    A child process looks, so that the launcher holds no memory of theirs; where there cannot be a
    GPU, none is started. What the child itself took while it looked counts as used.

    Raises:
        RunError: there are signs of a GPU, and looking at it failed.
    """
    visible = os.environ.get(VARIABLE)
    if visible is not None and visible.strip() in ("", "-1"):
        return []
    if sys.platform == "darwin" or (
        sys.platform == "linux" and not any(Path(node).exists() for node in _NODES)
    ):
        return []
    try:
        looked = subprocess.run(
            [sys.executable, "-c", _LOOK],
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=True,
        )
        found = json.loads(looked.stdout.strip().splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip()
        raise RunError(
            f"cannot look at the GPUs of this machine: {said.splitlines()[-1] if said else error}; "
            f"mend that, or set {VARIABLE}= to run on the CPU"
        ) from error
    return named_gpus(found, visible)


def named_gpus(found: Sequence[tuple[int, int, str]], visible: str | None) -> list[Gpu]:
    """The GPUs by the names that the variable gives them.

    Args:
        found: (free bytes, all bytes, model) of each device that a process under `visible` sees, in
            order.
        visible: value of `CUDA_VISIBLE_DEVICES`; None if it is not set. CUDA reads it up to the
            first name that it does not know.
    """
    names = [name.strip() for name in visible.split(",")] if visible else map(str, range(10**6))
    return [
        Gpu(name=name, total=total, free=free, model=model)
        for name, (free, total, model) in zip(names, found, strict=False)
    ]


def threads_each(cores: int, workers: int, limit: int | None) -> int:
    """Threads of each of several workers: cores are divided, since more threads than cores cost.

    Small models become ten times slower with threads to spare.

    Args:
        cores: of this machine.
        workers: that run at the same time.
        limit: most that a worker's task can use; None where more always help.
    """
    return min(max(1, cores // max(1, workers)), limit or cores)
