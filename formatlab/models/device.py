"""The device that work is done on."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def best_device() -> "torch.device":
    """The accelerator that torch finds (CUDA, MPS, XPU, ...), else the CPU."""
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    return found or torch.device("cpu")
