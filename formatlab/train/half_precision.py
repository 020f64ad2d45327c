"""Forward passes in half precision outside of a trainer, as inside of one."""

from contextlib import AbstractContextManager
from typing import Literal

import torch


def half_precision(
    precision: Literal["float32", "bfloat16"], device: str
) -> AbstractContextManager[object]:
    """Autocast to bfloat16, or nothing.

    Args:
        precision: of the settings.
        device: type of the device, such as `cuda`.
    """
    return torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")
