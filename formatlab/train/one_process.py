"""Stages that one process trains."""

import os

from formatlab.errors import InputError


def require_one_process(stage: str) -> None:
    """See that `accelerate launch` or `torchrun` started no more than one process.

    Raises:
        InputError: there are several; each would sample and write the same files.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes > 1:
        raise InputError(
            f"{stage}: {processes} processes were started, and this stage is trained by one; start "
            "it without `accelerate launch`, or with --num_processes 1"
        )
