"""The device that work is done on."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def best_device() -> "torch.device":
    """The accelerator that torch finds (CUDA, MPS, XPU, ...), else the CPU."""
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    return found or torch.device("cpu")


def worker_devices(slot: int, visible: str | None, count: int) -> str | None:
    """What `CUDA_VISIBLE_DEVICES` should be in a worker, so that it sees one device.

    Args:
        slot: number of the worker.
        visible: the variable's value so far; None if it is not set.
        count: number of devices that CUDA finds.

    Returns:
        One device, taken in turn; None where there are not several.
    """
    if count < 2:
        return None
    names = visible.split(",") if visible else [str(index) for index in range(count)]
    return names[slot % len(names)]
